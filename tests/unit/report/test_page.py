"""The page of a report: what is said, and that nothing from the core is more than text."""

import re
from html.parser import HTMLParser

import pytest

from corebox.report.page import html_page
from corebox.report.regions import Region
from corebox.report.text import text_lines
from corebox.report.words import lead
from tests.unit.report.samples import report

HOSTILE = {
    "markup": "<script>alert(1)</script>",
    "an attribute": '" onmouseover="alert(1)',
    "an end of the style": "</style><b>",
    "a template": "{{ 7 * 7 }}{% raw %}",
    "turned text": "\u202egnp.exe\u2066",
    "a terminal's escape": "\x1b]0;owned\x07",
    "lines": "a\nb\r\u2028c",
    "bytes that are no text": "\udcff\udc80",
    "nothing to be seen": "\u200b\u00ad\ufeff",
}


class Reader(HTMLParser):
    """Collects what a browser would do something with."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.targets: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.targets += [value or "" for name, value in attrs if name in ("href", "src", "action", "data")]


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(page(text))
    return reader


def page(text: str) -> str:
    return html_page(report(text), [Region(0, 4096, "file", "/opt/" + text, True, ((0, 4096),))])


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_nothing_of_the_core_is_more_than_text(text: str) -> None:
    plain, found = read("deep"), read(text)
    assert (found.tags, found.attributes) == (plain.tags, plain.attributes)
    assert all(target.startswith("#") for target in found.targets)
    shown = page(text)
    shown.encode()
    assert not [char for char in shown if not char.isprintable() and char != "\n"]


def test_right_to_left_names_cannot_turn_what_is_beside_them() -> None:
    """UAX #9: an isolate has no effect on its surroundings."""
    name = "\u05d0\u05d1"
    within = re.sub('<title>.*?</title>|aria-label="[^"]*"', "", page(name))
    outside = re.sub("<bdi>.*?</bdi>", "", within)
    assert name in within
    assert name not in outside


def test_the_crash_is_told_in_a_sentence() -> None:
    shown = re.sub("<[^>]*>", "", page("deep"))
    assert "deep (process 42) was killed by SIGSEGV at address 0xdead, in deep, deep:7." in shown


def test_the_signal_before_a_handler_is_told_too() -> None:
    made = report("deep")
    told = "".join(lead(made._replace(known=made.known._replace(signal="SIGBUS"))))
    assert told == "deep (process 42) was killed by SIGSEGV at address 0xdead after SIGBUS, in deep, deep:7."


def test_the_line_that_died_is_marked_among_the_source_lines() -> None:
    (here,) = re.findall(r"<tr class=\"here\"><td class=\"quiet\">(\d+)</td><td><bdi>(.*?)</bdi>", page("deep"))
    assert here == ("7", "return *order;")


def test_threads_of_one_stack_are_one_group() -> None:
    assert "<b>2 \u00d7</b>" in page("deep")


def test_the_text_has_the_source_and_the_memory() -> None:
    lines = list(text_lines(report()))
    assert "       > 7  return *order;" in lines
    assert "memory:    No sign that it ran out of memory" in lines
