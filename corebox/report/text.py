"""The report for a terminal. The lines hold what came from the core as it is: who prints them escapes it.

First what happened, then where in the program's own code, then what is missing, then all the rest.
"""

from collections.abc import Iterator, Sequence

from corebox.describe.crash import describe_crash
from corebox.printable import counted
from corebox.report import goroutines, words
from corebox.report.document import PlacedFrame, Report, ThreadGroup
from corebox.report.gaps import gaps
from corebox.report.python import PlacedPython
from corebox.report.stack import Entry, entries

_COLUMNS = 3  # of registers
_MAX_NAMED = 8
_ABOVE = ("Family", "Signature")  # facts that the summary has


def text_lines(report: Report) -> Iterator[str]:
    """The report, line by line."""
    yield from _summary(report)
    yield from _section("missing", list(gaps(report)))
    for group in report.groups:
        yield ""
        yield group_heading(group) + ":"
        yield from stack_lines(group)
    known = report.answer.goroutines
    if known:
        yield from _section(goroutines.heading(known), list(goroutines.lines(known)))
    yield from _section("registers", register_lines(report))
    yield from _section("instructions", instruction_lines(report))
    facts = (each for each in words.facts(report) if each[0] not in _ABOVE)
    yield from _section("process", [f"{name + ':':14}{value}" for name, value in facts])
    yield from _section("modules", list(module_lines(report)))


def _summary(report: Report) -> Iterator[str]:
    yield "crash:     " + describe_crash(report.manifest)
    why = report.answer.why
    if why:
        yield "cause:     " + why.sentence
        for each in why.evidence:
            yield "  " + each
    place = words.culprit(report)
    if place:
        yield f"where:     {frame_line(place)}"
    elif why and why.function:
        yield f"where:     {why.function}"
    yield "family:    " + report.known.family
    yield "signature: " + report.signature
    yield "memory:    " + words.VERDICTS[report.memory.verdict]


def _section(name: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield ""
        yield f"{name}:"
        yield from (f"  {line}" for line in lines)


def group_heading(group: ThreadGroup) -> str:
    """Which threads have this stack."""
    names = ", ".join(
        f"{each.number} ({each.name + ', ' if each.name else ''}LWP {each.tid})" for each in group.threads[:_MAX_NAMED]
    )
    more = len(group.threads) - _MAX_NAMED
    if more > 0:
        names += f" and {more:,} more"
    if group.crashed:
        return f"thread {names}, which crashed"
    if len(group.threads) == 1:
        return f"thread {names}"
    return f"{len(group.threads):,} threads share this stack: {names}"


def stack_lines(group: ThreadGroup) -> Iterator[str]:
    """The frames of a stack, folded, with source lines and variables."""
    for entry in entries(group):
        if entry.kind != "frame":
            yield _folded(entry)
            continue
        frame = entry.frames[0]
        yield f"  #{entry.first:<3} {frame_line(frame)}"
        yield from _inside(frame)
        yield from _python(group.python_at(entry.first))
    if not group.complete:
        yield f"  the stack ends here: {group.end}"
    yield from _python(group.python_at(None))
    if group.python_omitted:
        yield f"       py {group.python_omitted:,} more Python frames not shown"


def _folded(entry: Entry) -> str:
    numbers = f"  #{entry.first}-#{entry.last}"
    names = ", ".join(entry.functions)
    if entry.kind == "recursion":
        return f"{numbers}: recursion, {entry.calls:,} more calls of {names}"
    if entry.kind == "library":
        return f"{numbers}: in runtime libraries: {names}"
    return f"{numbers}: {entry.calls:,} frames not shown, most of them {names}"


def _inside(frame: PlacedFrame) -> Iterator[str]:
    for times, outer in words.outer(frame):
        yield f"       {outer}"
        if times > 1:
            yield f"       … {counted(times - 1, 'more time')}"
    for line in frame.frame.source:
        yield f"       {'>' if line.line == frame.frame.line else ' '} {line.line}  {line.text}"
    for each in frame.frame.locals:
        yield f"         {each.name} = {each.value}"
    if frame.frame.omitted:
        yield f"         … {counted(frame.frame.omitted, 'more variable')} not shown"


def _python(frames: Sequence[PlacedPython]) -> Iterator[str]:
    return (f"       py {each.text}" for each in frames)


def frame_line(frame: PlacedFrame) -> str:
    """A frame in one line: function, arguments, place in the source, module."""
    if frame.kind == "signal-handler":
        return "<signal handler called>"
    inside = frame.frame
    arguments = ", ".join(f"{each.name}={each.value}" for each in inside.arguments)
    function = inside.function or f"{inside.pc:#x}"
    if inside.function and inside.no_values is None:
        function += f" ({arguments})"
    inline = "inlined" if frame.kind == "inline" else None
    marks = [mark for mark in (inside.language, inline, words.unwind(frame), words.tail_call(frame)) if mark]
    return f"{function}{_source(inside.file, inside.line)} in {frame.place}" + (
        f" [{', '.join(marks)}]" if marks else ""
    )


def _source(file: str | None, line: int | None) -> str:
    """Where in the source, in words."""
    return f" at {file}{f':{line}' if line else ''}" if file else ""


def register_lines(report: Report) -> list[str]:
    """The registers of the thread that crashed, some in a line."""
    cells = [f"{each.name:8} {each.value:#018x}" for each in report.answer.registers]
    return ["  ".join(cells[start : start + _COLUMNS]) for start in range(0, len(cells), _COLUMNS)]


def instruction_lines(report: Report) -> list[str]:
    """The instructions around the fault, that one marked."""
    counter = report.program_counter
    return [
        f"{'=>' if each.address == counter else '  '} {each.address:#x}  {each.text}"
        for each in report.answer.disassembly
    ]


def module_lines(report: Report) -> Iterator[str]:
    """Each module with its verdict and symbols."""
    for module, symbols in zip(report.manifest.modules, report.symbols, strict=True):
        wanted = f", {symbols.wanted}" if symbols.wanted else ""
        yield f"{module.path}: {module.verdict}, symbols {symbols.symbols}{wanted}"
