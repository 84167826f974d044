"""What is shown of a stack: what is folded, and that nothing is left out without a word."""

from collections.abc import Sequence

import pytest

from corebox.debugger.answer import Frame, Omitted, PythonFrame, Repeated, Stack
from corebox.report.document import ThreadGroup, group_threads
from corebox.report.stack import entries, own_function
from corebox.report.text import stack_lines


def group(names: Sequence[str], omitted: Omitted | None = None, python: tuple[PythonFrame, ...] = ()) -> ThreadGroup:
    """A stack of functions, each at an address of its own: a signal handler is called "signal"."""
    kinds = {"signal": "signal-handler"}
    frames = tuple(
        Frame(index, kinds.get(name, "normal"), name, None, None, (), ()) for index, name in enumerate(names)
    )
    (found,) = group_threads([Stack(1, 7, None, frames, "begun here", True, python, omitted)], ())
    return found


def shown(found: ThreadGroup) -> list[tuple[str, int, int, str]]:
    return [(each.kind, each.first, each.last, " ".join(each.functions)) for each in entries(found)]


def frame(level: int, name: str) -> tuple[str, int, int, str]:
    return "frame", level, level, name


def test_a_stack_without_repetition_is_shown_as_it_is() -> None:
    assert shown(group(["a", "b", "main"])) == [frame(0, "a"), frame(1, "b"), frame(2, "main")]


def test_the_librarys_internals_are_folded_but_not_the_innermost_frame() -> None:
    found = shown(group(["__pthread_kill", "raise", "abort", "check", "std::sort", "main"]))
    assert found[:2] == [frame(0, "__pthread_kill"), ("library", 1, 2, "raise abort")]
    assert [each[3] for each in found[2:]] == ["check", "std::sort", "main"]


def test_of_folded_templates_their_names_alone_are_shown() -> None:
    templates = ["std::__invoke<int, char>(int&&)", "std::function<void ()>::operator()() const"]
    assert shown(group(["check", *templates, "main"]))[1] == (
        "library",
        1,
        2,
        "std::__invoke std::function::operator()",
    )


@pytest.mark.parametrize(
    ("names", "folded"),
    [
        (["f"] * 6 + ["main"], ("recursion", 2, 5, "f")),
        (["f", "g"] * 5 + ["main"], ("recursion", 2, 9, "f g")),
        (["f", "f", "g"] * 4 + ["main"], ("recursion", 3, 11, "f g")),
        (["leaf", *(["f"] * 9), "main"], ("recursion", 3, 9, "f")),
    ],
    ids=["one function", "two", "a cycle with a function twice", "a leaf on top"],
)
def test_a_recursion_is_folded_and_what_called_it_is_shown(names: list[str], folded: object) -> None:
    found = shown(group(names))
    assert folded in found
    assert found[-1] == frame(len(names) - 1, "main")


def test_few_calls_of_a_function_are_no_recursion() -> None:
    assert len(shown(group(["f", "f", "f", "f", "main"]))) == 5


def test_what_was_not_read_is_a_part_of_the_recursion_if_it_is_the_same_functions() -> None:
    gap = Omitted(4, 1000, (Repeated("f", 600), Repeated("g", 400)))
    found = shown(group(["f", "g", "f", "g", "g", "f", "main"], gap))
    assert found == [frame(0, "f"), frame(1, "g"), ("recursion", 2, 1005, "f g"), frame(1006, "main")]


def test_what_was_not_read_is_counted() -> None:
    gap = Omitted(2, 1000, (Repeated("h", 1000),))
    found = group(["f", "g", "main"], gap)
    assert shown(found) == [frame(0, "f"), frame(1, "g"), ("omitted", 2, 1001, "h (1,000)"), frame(1002, "main")]
    assert "  #2-#1001: 1,000 frames not shown, most of them h (1,000)" in list(stack_lines(found))


def test_calls_that_run_other_python_functions_are_no_recursion() -> None:
    python = tuple(PythonFrame(f"f{number}", "x.py", number, entry=True) for number in range(8))
    names = ["_PyEval_EvalFrameDefault"] * 8
    assert [each[0] for each in shown(group(names, python=python))] == ["frame"] * 8
    assert "       py f3 at x.py:3" in list(stack_lines(group(names, python=python)))


@pytest.mark.parametrize(
    ("names", "function"),
    [
        (["__libc_read", "__pthread_cond_wait", "Queue::pop", "main"], "Queue::pop"),
        (["raise"], "raise"),
        ([], "no frame"),
    ],
)
def test_a_thread_is_called_by_its_own_function(names: list[str], function: str) -> None:
    assert own_function(group(names)) == function


@pytest.mark.parametrize(
    ("unwind", "mark"),
    [
        ("cfi", "[calls check, which has no frame (tail call)]"),
        ("frame-pointer", "[by frame pointer, calls check, which has no frame]"),
    ],
)
def test_a_function_that_was_called_and_has_no_frame_stands_with_its_caller(unwind: str, mark: str) -> None:
    frames = (
        Frame(1, "normal", "abort", None, None, (), ()),
        Frame(2, "normal", "main", None, None, (), (), unwind=unwind, tail_call="check(int)"),
    )
    (found,) = group_threads([Stack(1, 7, None, frames, "begun here", True)], ())
    assert list(stack_lines(found))[-1].endswith(mark)
