"""Texts and numbers of bounded size, as the answers have them."""

from typing import SupportsInt, overload

CUT = "…"
MAX_TEXT_LENGTH = 1024


@overload
def text(value: None, longest: int = ...) -> None: ...
@overload
def text(value: object, longest: int = ...) -> str: ...
def text(value: object, longest: int = MAX_TEXT_LENGTH) -> str | None:
    """Any name as a string of bounded length, which ends with ``CUT`` if it was longer; or None."""
    if value is None:
        return None
    value = str(value)
    return value if len(value) <= longest else value[: longest - 1] + CUT


def hexadecimal(value: SupportsInt) -> str:
    """An address as JSON has it."""
    return f"0x{int(value) & 0xFFFFFFFFFFFFFFFF:x}"


def one_line(error: object) -> str:
    """What an error says, in one line."""
    return text(" ".join(str(error).split()) or type(error).__name__)
