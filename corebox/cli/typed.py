"""A line that somebody types at a shell."""

from typing import NamedTuple


class Typed(NamedTuple):
    """A line that is being typed: whole words, what there is of the last one, and whether that is in quotes."""

    words: list[str]
    incomplete: str
    quoted: bool


def split_line(line: str) -> Typed:
    """A shell's line as words, quotes and backslashes taken away; a quote may be open still."""
    words: list[str] = []
    current, quote, inside = "", "", False
    signs = iter(line)
    for sign in signs:
        if quote:
            if sign == quote:
                quote = ""
            elif sign == "\\" and quote == '"':
                current += next(signs, "")
            else:
                current += sign
        elif sign in "'\"":
            quote, inside = sign, True
        elif sign == "\\":
            current, inside = current + next(signs, ""), True
        elif sign.isspace():
            words, current, inside = [*words, current] if inside else words, "", False
        else:
            current, inside = current + sign, True
    return Typed(words, current, bool(quote))
