"""What is known of a crash, as a document, as text, as a page, and as a signature."""

from corebox.report.document import Report, ThreadGroup, group_threads
from corebox.report.memory import MemoryVerdict, judge_memory
from corebox.report.page import html_page
from corebox.report.regions import Region, regions_of
from corebox.report.signature import signature
from corebox.report.text import text_lines
from corebox.report.words import memory_lines

__all__ = [
    "MemoryVerdict",
    "Region",
    "Report",
    "ThreadGroup",
    "group_threads",
    "html_page",
    "judge_memory",
    "memory_lines",
    "regions_of",
    "signature",
    "text_lines",
]
