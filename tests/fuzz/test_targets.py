"""No target raises anything, whatever it is given: mutations, and what a fuzzer once found."""

import subprocess
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.seeds import FOUND, found_of, seeds_of
from tests.fuzz.targets import TARGETS, bounds
from tests.support.programs import REPOSITORY

ANSWERED = settings(
    max_examples=500, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
INPUTS = 1000
ORDERS: tuple[Literal["little", "big"], ...] = ("little", "big")
#: What breaks readers of numbers: 0, small ones, the largest of all widths, with and without sign.
NUMBERS = [
    number.to_bytes(width, order, signed=False)
    for width, order in product((1, 2, 4, 8), ORDERS)
    for number in (0, 1, 0x7F, 0xFF, (1 << 8 * width) - 1, (1 << 8 * width - 1) - 1, 1 << 8 * width - 1)
]
PIECES = st.one_of(st.sampled_from(NUMBERS), st.binary(max_size=16))


@st.composite
def mutations(draw: st.DrawFn, target: str) -> bytes:
    """A seed with some of its bytes replaced, from near its beginning or anywhere, and maybe cut."""
    data = bytearray(draw(st.sampled_from(seeds_of(target))))
    for _ in range(draw(st.integers(0, 8))):
        at = draw(st.one_of(st.integers(0, min(len(data), 512)), st.integers(0, len(data))))
        piece = draw(PIECES)
        data[at : at + draw(st.sampled_from([0, len(piece)]))] = piece
    return bytes(data[: draw(st.one_of(st.just(len(data)), st.integers(0, len(data))))])


@pytest.mark.parametrize("target", TARGETS)
def test_mutations_are_answered(target: str) -> None:
    @ANSWERED
    @given(mutations(target))
    def answers(data: bytes) -> None:
        with bounds():
            TARGETS[target](data)

    answers()


def found() -> Iterator[object]:
    for target in TARGETS:
        for name, data in found_of(target):
            yield pytest.param(target, data, id=f"{target}/{name}")


@pytest.mark.parametrize(("target", "data"), list(found()))
def test_what_was_found_is_answered(target: str, data: bytes) -> None:
    with bounds():
        TARGETS[target](data)


def test_everything_found_is_of_a_target() -> None:
    assert {path.name for path in FOUND.iterdir()} <= set(TARGETS)


@pytest.mark.skipif(
    sys.platform != "linux" or not (3, 11) <= sys.version_info < (3, 14),
    reason="needs Linux and Python 3.11 to 3.13: atheris has wheels for no other",
)
@pytest.mark.parametrize("target", TARGETS)
def test_a_short_run_of_the_fuzzer_finds_nothing(target: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.fuzz", target, "--inputs", str(INPUTS), "--keep", str(tmp_path)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, list(tmp_path.iterdir())) == (0, []), done.stdout
    assert f"{target}: {INPUTS} inputs, " in done.stdout
