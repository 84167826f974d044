"""Python frames find the native frames that run them."""

from corebox.debugger.answer import Frame, PythonFrame, Stack
from corebox.report.python import place_python

EVALUATOR = "_PyEval_EvalFrameDefault"


def stack(functions: str, python: str, end: str | None = None) -> Stack:
    """Native functions, ``E`` for the evaluator; Python functions, in capitals if the evaluator was called for them."""
    frames = (
        Frame(16 * at, "normal", EVALUATOR if name == "E" else name, None, None, (), ())
        for at, name in enumerate(functions)
    )
    lines = (PythonFrame(name, "x.py", at, name.isupper()) for at, name in enumerate(python))
    return Stack(1, 7, None, tuple(frames), end or "complete", not end, tuple(lines))


def placed(made: Stack) -> list[int | None]:
    return [each.native for each in place_python(made)]


def test_before_311_each_frame_has_a_call_of_its_own() -> None:
    assert placed(stack("abEcEd", "FG")) == [2, 4]


def test_since_311_one_call_runs_what_it_calls() -> None:
    assert placed(stack("abEcEd", "fgHiJ")) == [2, 2, 2, 4, 4]


def test_a_stack_cut_at_its_outer_end_has_the_innermost_calls() -> None:
    assert placed(stack("aEb", "fGhI", end="more than 128 frames")) == [1, 1, None, None]


def test_nothing_is_certain_if_the_numbers_differ() -> None:
    assert placed(stack("aEbEc", "fG")) == [None, None]
    assert placed(stack("ab", "fG")) == [None, None]


def test_a_thread_without_python() -> None:
    assert placed(stack("abc", "")) == []


def test_the_compilers_part_of_the_evaluator_is_one() -> None:
    made = stack("aE", "F")
    cold = Frame(0, "normal", EVALUATOR + ".cold", None, None, (), ())
    assert placed(Stack(1, 7, None, (cold,), "", True, made.python)) == [0]
