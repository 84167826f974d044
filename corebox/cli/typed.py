"""A line that somebody types at a shell."""

from typing import NamedTuple


class Typed(NamedTuple):
    """A line that is being typed.

    Attributes:
        words: those that are whole.
        incomplete: what there is of the last one.
        start: where in that the shell begins to replace it.
    """

    words: list[str]
    incomplete: str
    start: int


def split_line(line: str, breaks: str = "") -> Typed:
    """A shell's line as words, quotes and backslashes taken away; a quote may be open still.

    Args:
        line: up to the cursor.
        breaks: signs that begin another word for readline, unless they are quoted: COMP_WORDBREAKS of bash(1).
    """
    words: list[str] = []
    current, quote, inside, start = "", "", False, 0
    signs = iter(line)
    for sign in signs:
        if sign == quote:
            quote = ""
        elif quote and not (sign == "\\" and quote == '"'):
            current += sign
        elif sign == "\\":
            current, inside = current + next(signs, ""), True
        elif sign in ("'", '"'):
            quote, inside = sign, True
        elif sign.isspace():
            words, current, inside, start = [*words, current] if inside else words, "", False, 0
        else:
            current, inside = current + sign, True
            start = len(current) if sign in breaks else start
    return Typed(words, current, 0 if quote else start)
