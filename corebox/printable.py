"""Words for people. What comes from a core is data: nothing is left in it that moves a cursor before it is printed.

Runs at the customer site: Python 3.6, standard library only.
"""

from typing import Iterable, Sequence


def printable(text: str) -> str:
    """The text without control characters, which a hostile path could use to rewrite the terminal."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


def counted(number: int, noun: str, plural: str = "") -> str:
    """The number with its noun: 1 thread, 2 threads; ``plural`` is for nouns that take more than an s."""
    return "{} {}".format(number, noun if number == 1 else plural or noun + "s")


def format_size(size: int, smallest: str = "bytes") -> str:
    """A size as people say it, in decimal units, of which ``smallest`` is one byte."""
    value = float(size)
    for unit in (smallest, "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == smallest else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def html_table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table for a notebook, in which nothing of the core is markup."""
    import html  # noqa: PLC0415  # only a notebook needs it

    def row(cells: Sequence[object], tag: str) -> str:
        words = (html.escape(printable(str(cell))) for cell in cells)
        return "<tr>{}</tr>\n".format("".join(f"<{tag}>{each}</{tag}>" for each in words))

    body = "".join(row(cells, "td") for cells in rows)
    return "<table>\n<thead>{}</thead>\n<tbody>{}</tbody>\n</table>".format(row(head, "th"), body)
