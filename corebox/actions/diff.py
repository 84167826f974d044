"""Compare two crashes."""

from collections.abc import Callable

from corebox.actions.report import report, require_stack
from corebox.actions.session import SessionOptions
from corebox.actions.subject import Found
from corebox.report.difference import Difference, difference
from corebox.store.store import Store


def diff(
    store: Store,
    subjects: tuple[tuple[str, Found], tuple[str, Found]],
    time_limit: float,
    options: SessionOptions,
    progress: Callable[[str], None] = lambda _: None,
) -> Difference:
    """What differs between two crashes, each with its name; gdb is asked about one after the other.

    Raises:
        InputError: ``no-answer`` if gdb can read no frame of one of them, and those of ``report``.
        HostError: those of ``report``.
    """
    first, second = (report(store, subject, name, time_limit, options, progress).report for name, subject in subjects)
    require_stack(first)
    require_stack(second)
    return difference(first, second)
