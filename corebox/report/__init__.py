"""What is known of a crash, as a document, as text, and as a signature."""

from corebox.report.document import FULL, MINIMAL, NONE, Report, ThreadGroup, group_threads
from corebox.report.signature import signature
from corebox.report.text import text_lines

__all__ = ["FULL", "MINIMAL", "NONE", "Report", "ThreadGroup", "group_threads", "signature", "text_lines"]
