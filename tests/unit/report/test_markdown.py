"""The report for an issue tracker: nothing of the core is more than text."""

import re

import pytest

from corebox.report.markdown import code, fenced, markdown_lines
from tests.unit.report.samples import report
from tests.unit.report.test_page import HOSTILE


def outside_of_code(lines: list[str]) -> str:
    """What a reader of Markdown sees as markup: without fenced blocks and spans of code."""
    text = "\n".join(lines)
    text = re.sub(r"(?ms)^(`{3,})text\n.*?^\1$", "", text)
    return re.sub(r"(`+)(?!`).+?(?<!`)\1(?!`)", "CODE", text)


MARKUP = {
    **HOSTILE,
    "a fence": "```\n# owned",
    "many backticks": "`" * 50 + " owned",
    "a mention": "@everyone #1 [owned](https://example.com)",
    "one backtick at each end": "`owned`",
}


@pytest.mark.parametrize("text", MARKUP.values(), ids=MARKUP)
def test_nothing_of_the_core_is_markup(text: str) -> None:
    lines = list(markdown_lines(report(text)))
    assert outside_of_code(lines) == outside_of_code(list(markdown_lines(report("deep"))))
    assert all(line.isprintable() for line in lines)


def test_code_is_shown_as_it_is() -> None:
    assert code("a") == "`a`"
    assert code("a`b``c") == "``` a`b``c ```"
    assert list(fenced(["x", "````"])) == ["`````text", "x", "````", "`````"]


def test_it_begins_with_what_happened() -> None:
    lines = list(markdown_lines(report()))
    assert lines[0].startswith("## `")
    assert [line for line in lines if line.startswith("### ")] == [
        "### Missing",
        "### Crashed thread",
        "### Other threads",
        "### Registers",
        "### Instructions",
        "### Process and system",
        "### Modules",
    ]
