"""Texts that came from elsewhere than the core are blanked as the core is: a thread's name, a command line."""

from collections.abc import Callable

import pytest

from corebox.coredump.core import open_core
from corebox.reduce import redact
from corebox.reduce.redact import plan_redaction
from tests.unit.conftest import RealCore

SECRET = b"abcabcXYZ-secret"  # it begins as it goes on
BLANK = redact.BLANK


@pytest.fixture
def blank(real_core: RealCore) -> Callable[[bytes], bytes]:
    """Blanks one pattern of the site's."""
    with open_core(str(real_core("dynamic"))) as core:
        return plan_redaction(core, environment=False, patterns=[SECRET]).blank


def test_it_goes_wherever_it_stands(blank: Callable[[bytes], bytes]) -> None:
    gone = BLANK * len(SECRET)
    for before, after in ((b"", b""), (b"x", b""), (b"", b"y"), (b"token=", b" --verbose"), (SECRET, b"")):
        assert blank(before + SECRET + after) == before.replace(SECRET, gone) + gone + after


def test_two_that_overlap_go_both(real_core: RealCore) -> None:
    with open_core(str(real_core("dynamic"))) as core:
        made = plan_redaction(core, environment=False, patterns=[b"abababab"]).blank
    assert made(b"-ababababab-") == b"-" + BLANK * 10 + b"-"


@pytest.mark.parametrize("length", redact._CUT_LENGTHS)
def test_the_beginning_of_one_that_the_kernel_has_cut_goes(blank: Callable[[bytes], bytes], length: int) -> None:
    for kept in (redact._CUT_PATTERN, redact._CUT_PATTERN + 1, len(SECRET) - 3):
        text = b"-" * (length - kept) + SECRET[:kept]
        assert blank(text) == b"-" * (length - kept) + BLANK * kept


def test_an_end_that_nobody_has_cut_stays(blank: Callable[[bytes], bytes]) -> None:
    text = b"-" * 20 + SECRET[: redact._CUT_PATTERN]
    assert blank(text) == text
    short = b"-" * (15 - redact._CUT_PATTERN + 1) + SECRET[: redact._CUT_PATTERN - 1]
    assert blank(short) == short, "of so few bytes nobody can say"
    assert blank(b"x" * 15) == b"x" * 15
