"""What is known of a crash, as a document, as text, as a page, and as a signature."""

from corebox.report.document import FULL, MINIMAL, NONE, Report, ThreadGroup, group_threads
from corebox.report.page import html_page
from corebox.report.picture import Region
from corebox.report.signature import signature
from corebox.report.text import text_lines

__all__ = [
    "FULL",
    "MINIMAL",
    "NONE",
    "Region",
    "Report",
    "ThreadGroup",
    "group_threads",
    "html_page",
    "signature",
    "text_lines",
]
