"""The report for a terminal. The lines hold what came from the core as it is: who prints them escapes it."""

from collections.abc import Iterator

from corebox.gather.runtimewords import runtime_facts
from corebox.gather.summary import describe_crash
from corebox.report import words
from corebox.report.document import PlacedFrame, Report, ThreadGroup

_WIDTH = 3  # registers in a line


def text_lines(report: Report) -> Iterator[str]:
    """The report, line by line."""
    yield "crash:     " + describe_crash(report.manifest)
    why = report.answer.why
    if why:
        yield "cause:     " + why.sentence
        for each in why.evidence:
            yield "  " + each
    yield "signature: " + report.signature
    yield "memory:    " + words.VERDICTS[report.memory.verdict]
    for name, text in runtime_facts(report.manifest.runtime):
        yield (name.lower() + ":").ljust(10) + " " + text
    for group in report.groups:
        yield ""
        yield from _group_lines(group)
    if report.answer.python_missing:
        yield ""
        yield f"Python runs in it, but its stacks cannot be told: {report.answer.python_missing}"
    yield from _registers(report)
    yield from _disassembly(report)
    yield ""
    yield "modules:"
    for module, symbols in zip(report.manifest.modules, report.symbols, strict=True):
        wanted = f", {symbols.wanted}" if symbols.wanted else ""
        yield f"  {module.path}: {module.verdict}, symbols {symbols.symbols}{wanted}"


def _group_lines(group: ThreadGroup) -> Iterator[str]:
    # Linux keeps the names of threads out of cores; the crash handler notes them.
    names = ", ".join(
        f"{each.number} ({each.name + ', ' if each.name else ''}LWP {each.tid})" for each in group.threads[:8]
    )
    more = f" and {len(group.threads) - 8} more" if len(group.threads) > 8 else ""
    if group.crashed:
        yield f"thread {names}, which crashed:"
    else:
        yield f"{len(group.threads)} with this stack: thread {names}{more}:"
    for index, frame in enumerate(group.frames):
        yield f"  #{index:<3} {_frame(frame)}"
        for line in frame.frame.source:
            yield f"       {'>' if line.line == frame.frame.line else ' '} {line.line}  {line.text}"
        for each in frame.frame.locals:
            yield f"         {each.name} = {each.value}"
        yield from (f"       py {each.text}" for each in group.python if each.native == index)
    if not group.complete:
        yield f"  the stack ends here: {group.end}"
    yield from (f"       py {each.text}" for each in group.python if each.native is None)


def _frame(frame: PlacedFrame) -> str:
    if frame.kind == "signal-handler":
        return "<signal handler called>"
    inside = frame.frame
    arguments = ", ".join(f"{each.name}={each.value}" for each in inside.arguments)
    function = f"{inside.function} ({arguments})" if inside.function else f"{inside.pc:#x}"
    source = f" at {inside.file}:{inside.line}" if inside.file else ""
    return f"{function}{source} in {frame.place}"


def _registers(report: Report) -> Iterator[str]:
    cells = [f"{each.name:8} {each.value:#018x}" for each in report.answer.registers]
    if cells:
        yield ""
        yield "registers:"
    for start in range(0, len(cells), _WIDTH):
        yield "  " + "  ".join(cells[start : start + _WIDTH])


def _disassembly(report: Report) -> Iterator[str]:
    if report.answer.disassembly:
        yield ""
        yield "disassembly:"
    for each in report.answer.disassembly:
        yield f"{'=>' if each.address == report.program_counter else '  '} {each.address:#x}  {each.text}"
