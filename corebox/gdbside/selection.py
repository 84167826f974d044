"""The thread and the frame that are selected in gdb."""

import contextlib
from collections.abc import Iterator

import gdb


def thread() -> gdb.InferiorThread:
    """The selected thread; a gdb.error if no core is open."""
    found = gdb.selected_thread()
    if found is None:
        raise gdb.error("no core is open")
    return found


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """Select the same thread and frame again afterwards, whatever was selected meanwhile."""
    selected, frame = thread(), gdb.selected_frame()
    try:
        yield
    finally:
        selected.switch()
        frame.select()
