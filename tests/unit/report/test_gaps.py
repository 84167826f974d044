"""Whatever is missing in a report is named, with the reason."""

from corebox.debugger.answer import Missing
from corebox.report.document import Report, group_threads
from corebox.report.gaps import gaps
from corebox.report.text import text_lines
from tests.unit.report.samples import report


def with_values(reasons: list[str | None]) -> Report:
    made = report()
    stack = made.answer.threads[0]
    frames = tuple(stack.frames[0]._replace(no_values=reason) for reason in reasons)
    groups = group_threads([stack._replace(frames=frames)], made.manifest.modules)
    return made._replace(groups=groups)


def test_frames_without_values_are_named_by_reason() -> None:
    lines = list(gaps(with_values([None, "no debug information", "gdb crashed", *["no debug information"] * 2, None])))
    assert "no values in frames 1, 3-4: no debug information" in lines
    assert "no values in frame 2: gdb crashed" in lines


def test_threads_that_were_not_read_are_counted() -> None:
    made = report()
    assert "1,997 of 2,000 threads are not shown" in list(gaps(made._replace(answer=made.answer._replace(total=2000))))


def test_parts_that_gdb_could_not_read_are_named() -> None:
    made = report()
    answer = made.answer._replace(registers=(), missing=(Missing("registers", "gdb has no registers"),))
    lines = list(text_lines(made._replace(answer=answer)))
    assert "  the registers could not be read: gdb has no registers" in lines
    assert lines.index("missing:") < lines.index("thread 1 (deep, LWP 42), which crashed:")


def test_without_a_thread_the_rest_is_told() -> None:
    made = report()._replace(groups=())
    answer = made.answer._replace(threads=(), missing=(Missing("stacks", "no thread"),))
    lines = list(text_lines(made._replace(answer=answer)))
    assert "  the stacks of the threads could not be read: no thread" in lines
    assert "modules:" in lines


def test_symbols_that_lack_where_it_crashed_are_asked_for() -> None:
    assert [line for line in gaps(report()) if line.startswith("no full symbols for deep (build ID ")]
