"""What a report lacks, and why, in sentences: nothing that was cut or could not be read goes without a word."""

import shlex
from collections.abc import Iterator
from itertools import groupby
from posixpath import basename

from corebox.coredump.verdict import MISMATCH, MISSING, VERIFIED
from corebox.describe.languages import language_of
from corebox.locate.status import ModuleSymbols
from corebox.printable import counted, format_size
from corebox.report.document import Report

_PARTS = {
    "stacks": "the stacks of the threads",
    "registers": "the registers",
    "disassembly": "the instructions around the fault",
    "cause": "the cause",
    "python": "the Python stacks",
    "goroutines": "the goroutines",
    "values": "arguments and variables",
}
_MAX_MODULES = 10
#: Languages whose functions are read; how far depends on the version.
_READ = ("Java", "PHP")


def gaps(report: Report) -> Iterator[str]:
    """Each gap in a sentence without its full stop, the gravest first."""
    for reason, missing in groupby(report.answer.missing, lambda each: each.reason):
        parts = [_PARTS[each.part] for each in missing]
        yield f"{', '.join(parts)} could not be read: {reason}"
    truncated = report.manifest.core.truncated
    if truncated:
        yield f"the core is truncated: {format_size(truncated.missing_bytes)} missing ({', '.join(truncated.lost)})"
    yield from _threads(report)
    yield from _ends(report)
    yield from _languages(report)
    yield from _python(report)
    yield from _values(report)
    yield from _modules(report)
    yield from _symbols(report)


def _threads(report: Report) -> Iterator[str]:
    read, total = len(report.answer.threads), report.threads_total
    if 0 < read < total:
        yield f"{total - read:,} of {total:,} threads are not shown"


def _ends(report: Report) -> Iterator[str]:
    """Where the stack of the thread that crashed ends too early, and how many of the others do."""
    if report.groups and not report.groups[0].complete and report.groups[0].frames:
        yield f"the stack of the thread that crashed ends early: {report.groups[0].end}"
    others = sum(len(group.threads) for group in report.groups[1:] if not group.complete)
    if others:
        yield f"the stacks of {others:,} other threads end early" if others > 1 else "another thread's stack ends early"


def _languages(report: Report) -> Iterator[str]:
    """Languages whose functions run in the stack of the thread that crashed, and are not read."""
    modules = [frame.module for frame in report.groups[0].frames if frame.module] if report.groups else []
    for found in dict.fromkeys(map(language_of, modules)):
        if found and found.name not in _READ:
            how = ": SOS shows them, see the how-to on .NET" if found.name == ".NET" else ", only of what runs them"
            yield f"no functions of {found}{how}"


def _python(report: Report) -> Iterator[str]:
    for thread in report.answer.threads:
        if not thread.python_whole:
            count = counted(len(thread.python), "function")
            yield f"the Python stack of thread {thread.number} is damaged further out than {count}"


def _values(report: Report) -> Iterator[str]:
    """The frames of the thread that crashed whose values are not there."""
    if not report.groups:
        return
    frames = [each for each in report.groups[0].frames if each.kind != "signal-handler"]
    reasons: dict[str, list[int]] = {}
    for each in frames:
        if each.frame.no_values and not each.frame.language:  # the machine's are not those of a managed function
            reasons.setdefault(each.frame.no_values, []).append(each.level)
    for reason, levels in reasons.items():
        yield f"no values in frame{'s' if len(levels) > 1 else ''} {_ranges(levels)}: {reason}"


def _ranges(levels: list[int]) -> str:
    """``1-3, 7`` of [1, 2, 3, 7]."""
    runs = [list(run) for _, run in groupby(enumerate(levels), lambda each: each[1] - each[0])]
    return ", ".join(f"{run[0][1]}-{run[-1][1]}" if len(run) > 1 else str(run[0][1]) for run in runs)


def _modules(report: Report) -> Iterator[str]:
    wrong = [module for module in report.manifest.modules if module.verdict != VERIFIED]
    for module in wrong[:_MAX_MODULES]:
        yield f"{module.path}: {module.verdict}" + (f" ({module.detail})" if module.detail else "")
    if len(wrong) > _MAX_MODULES:
        yield f"{counted(len(wrong) - _MAX_MODULES, 'more module')} not verified"
    if any(module.verdict in (MISSING, MISMATCH) for module in wrong):
        name = shlex.quote(report.name)
        yield f"to find what is missing: --from PLACE; or ask the customer for it: corebox request {name} -o request.sh"


def _symbols(report: Report) -> Iterator[str]:
    """The modules in the stack of the thread that crashed whose functions have no lines and variables."""
    used = {frame.module for frame in report.groups[0].frames} if report.groups else set()
    lacking = [each for each in report.symbols if each.path in used and each.symbols not in ("full", None)]
    if lacking:
        names = ", ".join(map(_wanted, lacking[:_MAX_MODULES]))
        more = f" and {len(lacking) - _MAX_MODULES} more" if len(lacking) > _MAX_MODULES else ""
        yield f"no full symbols for {names}{more}; add them with --symbols PLACE"


def _wanted(module: ModuleSymbols) -> str:
    known = [f"build ID {module.build_id}" if module.build_id else "", module.package or ""]
    return f"{basename(module.path)} ({', '.join(filter(None, known)) or 'no build ID'})"
