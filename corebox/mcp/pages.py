"""Answers for an agent: in pages, and fenced as what they are, the words of an untrusted core."""

import secrets
from collections.abc import Iterable

from corebox.printable import printable

#: Characters of an answer, unless the agent asks for more; 8,000 are some 2,500 tokens.
PAGE, MAX_PAGE = 8_000, 100_000
_MAX_ANSWER = 4 << 20


def page(lines: Iterable[str], offset: int = 0, limit: int = PAGE) -> str:
    """The lines from the character ``offset`` on, at most ``limit`` characters, as data.

    The fence has a random word, which nothing in the core can have foreseen.
    """
    text = "\n".join(printable(line) for line in lines)[:_MAX_ANSWER]
    start = min(max(offset, 0), len(text))
    end = min(start + min(max(limit, 1), MAX_PAGE), len(text))
    if end < len(text):  # a page ends with a line, if it has one
        end = text.rfind("\n", start, end) + 1 or end
    fence = secrets.token_hex(8)
    rest = f"\n{len(text) - end:,} more characters: offset={end}" if end < len(text) else ""
    return f"<core-data {fence}>\n{text[start:end].rstrip()}\n</core-data {fence}>{rest}"
