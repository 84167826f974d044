"""Stacks of managed languages are those that the runtime printed itself when the program crashed."""

import resource
import shutil

import pytest

from benchmarks.runtimes.__main__ import LANGUAGES, PROGRAMS, crash
from benchmarks.runtimes.stacks import Frame, compare
from tests.support.lab import Lab


@pytest.mark.parametrize(
    "program", ["go/callbacks.go", "node/recursion.js", "java/Streams.java", "python/callbacks.py"]
)
def test_every_frame_is_found_and_none_is_made_up(program: str, lab: Lab) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    name = program.partition("/")[0]
    command = shutil.which("python3" if name == "python" else name)
    assert command
    true, answer = crash(LANGUAGES[name], command, PROGRAMS / program, lab)
    ours = LANGUAGES[name].of_core(answer)
    for number, frames in true.items():
        counts, differ = compare(frames, ours.get(number, []))
        assert counts.true, "the runtime printed no stack"
        assert (counts.function, counts.wrong) == (counts.true, 0), differ
        assert counts.line == counts.with_line, differ


def test_what_is_invented_is_counted() -> None:
    true = [Frame("a", "x", 1), Frame("b", "x", 2), Frame("c", "x", 3)]
    counts, _ = compare(true, [Frame("a", "x", 1), Frame("d", None, None), Frame("b", "x", 9), Frame("c", None, None)])
    assert (counts.function, counts.file, counts.line, counts.wrong) == (3, 2, 1, 2)
