"""A report in a notebook: nothing of the core is markup."""

from corebox.printable import html_table
from tests.unit.report import samples


def test_a_report_is_a_table_with_cause_and_stack() -> None:
    text = samples.report("</td><script>alert(1)</script>")._repr_html_()
    assert "<td>cause</td>" in text
    assert "<td>#0</td>" in text
    assert "<script" not in text


def test_words_of_a_core_stay_words() -> None:
    """Names as browsers have been misled with: an end of the cell, an entity, text that runs the other way."""
    text = html_table(("A",), [("</td><img src=x onerror=alert(1)>",), ("&lt;",), ("\u202eexe.\x1b[2J",)])
    assert text.count("<td>") == 3
    assert "<img" not in text
    assert "&amp;lt;" in text
    assert "\\u202eexe.\\x1b[2J" in text
