"""Texts and numbers of bounded size."""

from corebox.gdbside.bounded import CUT, hexadecimal, one_line, text


def test_a_long_text_is_cut_and_says_so() -> None:
    assert text("x" * 1024) == "x" * 1024
    assert text("x" * 1025) == "x" * 1023 + CUT
    assert text("abcdef", 4) == "abc" + CUT
    assert text(12) == "12"
    assert text(None) is None


def test_a_negative_address_is_one_of_64_bits() -> None:
    assert hexadecimal(-1) == "0xffffffffffffffff"
    assert hexadecimal(0x1F) == "0x1f"


def test_an_error_is_one_line() -> None:
    assert one_line(ValueError("a\n  b")) == "a b"
    assert one_line(ValueError()) == "ValueError"
