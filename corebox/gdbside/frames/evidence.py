"""What is found out while gdb unwinds: of each frame how its caller was found, and why a stack ends."""

import gdb

from corebox.errors import CoreboxError
from corebox.gdbside.frames import codemap

NO_CODE = "the return address {:#x} is not in executable memory"


class Evidence:
    """What was found out while stacks were unwound.

    Attributes:
        memory: the core's, None if no core can be read.
        found: for (thread, level) how the caller of that frame was found, if not by gdb.
        trampolines: (thread, level) of frames that return from a signal: what called such a frame was interrupted, and
            need not be at a call. gdb's own frames must not be asked, while it makes one of them.
        unmarked: those of them that gdb takes for frames of ordinary functions.
        ends: for a thread why its stack ends, if it was the unwinder that ended it, and whether it is complete.
        guessed: the thread and level of the frame before, if its caller is a guess of gdb's.
    """

    def __init__(self) -> None:
        self.memory: codemap.Memory | None = None
        self.found: dict[tuple[int, int], str] = {}
        self.ends: dict[int, tuple[str, bool]] = {}
        self.guessed: tuple[int, int] | None = None
        self.trampolines: set[tuple[int, int]] = set()
        self.unmarked: set[tuple[int, int]] = set()

    def open(self) -> codemap.Memory | None:
        """The memory of the core that is open, or None."""
        if self.memory is None:
            try:
                self.memory = codemap.Memory()
            except (CoreboxError, OSError):
                return None
        return self.memory

    def forget(self, _event: object = None) -> None:
        """Another core is open, of which gdb may have made frames already."""
        self.memory, self.found, self.ends, self.guessed = None, {}, {}, None
        self.trampolines, self.unmarked = set(), set()
        gdb.invalidate_cached_frames()


evidence = Evidence()


def thread_number() -> int:
    """The selected thread's number in gdb."""
    thread = gdb.selected_thread()
    return thread.global_num if thread else 0
