"""The report for an issue tracker. Whatever came from the core stands in code, where no tracker reads markup in it."""

import re
from collections.abc import Iterable, Iterator

from corebox.printable import printable
from corebox.report import goroutines, text, words
from corebox.report.document import Report
from corebox.report.gaps import gaps

_MAX_GROUPS = 20  # of other threads: trackers take 65,536 characters


def markdown_lines(report: Report) -> Iterator[str]:
    """The report as Markdown (CommonMark), line by line, printable."""
    yield f"## {code(report.known.family)}"
    yield ""
    yield f"**Cause:** {code(words.headline(report))}"
    yield ""
    if report.answer.why and report.answer.why.evidence:
        yield from fenced(report.answer.why.evidence)
        yield ""
    for name, value in _summary(report):
        yield f"- **{name}:** {code(value)}"
    lacking = list(gaps(report))
    if lacking:
        yield ""
        yield "### Missing"
        yield ""
        yield from (f"- {code(each)}" for each in lacking)
    for group in report.groups[: _MAX_GROUPS + 1]:
        yield ""
        yield f"### {'Crashed thread' if group.crashed else 'Other threads'}"
        yield ""
        yield from fenced([text.group_heading(group) + ":", *text.stack_lines(group)])
    if len(report.groups) > _MAX_GROUPS + 1:
        yield ""
        yield f"{len(report.groups) - _MAX_GROUPS - 1} more groups of threads are not shown."
    known = report.answer.goroutines
    if known:
        yield from _section("Goroutines", [goroutines.heading(known) + ":", *goroutines.lines(known)])
    yield from _section("Registers", text.register_lines(report))
    yield from _section("Instructions", text.instruction_lines(report))
    yield from _section("Process and system", [f"{name + ':':14}{value}" for name, value in words.facts(report)])
    yield from _section("Modules", text.module_lines(report))


def _summary(report: Report) -> Iterator[tuple[str, str]]:
    place = words.culprit(report)
    if place:
        yield "Where", text.frame_line(place)
    yield "Signature", report.signature
    yield "Memory", words.VERDICTS[report.memory.verdict]


def _section(name: str, lines: Iterable[str]) -> Iterator[str]:
    found = list(lines)
    if found:
        yield ""
        yield f"### {name}"
        yield ""
        yield from fenced(found)


def fenced(lines: Iterable[str]) -> Iterator[str]:
    """A block of code that none of its lines can end: its fence is longer than any run of backticks in them."""
    shown = [printable(line) for line in lines]
    fence = "`" * max(3, 1 + _longest_run("\n".join(shown)))
    yield fence + "text"
    yield from shown
    yield fence


def code(value: str) -> str:
    """A span of code (CommonMark, "Code spans")."""
    shown = printable(value)
    ticks = "`" * (1 + _longest_run(shown))
    space = " " if "`" in shown or not shown.strip() else ""
    return f"{ticks}{space}{shown}{space}{ticks}"


def _longest_run(value: str) -> int:
    return max((len(run) for run in re.findall("`+", value)), default=0)
