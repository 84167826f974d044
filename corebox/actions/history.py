"""The commands typed in earlier sessions on the same crash, kept in the store.

No file outside can be written to from the sandbox. The history leaves it through a named pipe, which may be written to
where the mount is read-only (sb_permission in fs/namei.c is about files, folders and links). The kernel holds as much
of it as a pipe holds, nobody reads before gdb has ended, and what comes is lines of text to us.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from corebox.actions.provision import Provision
from corebox.debugger.session import HISTORY, HISTORY_PIPE
from corebox.engine.sandbox import Mount
from corebox.store.store import Store

_KIND = "history"
_MAX_COUNT, _MAX_LENGTH = 1000, 1000  # commands, and characters of one
_PIPE = 1 << 16  # bytes that a pipe holds (pipe(7))


@contextmanager
def lent_history(store: Store, identity: str, work: Path) -> Iterator[Provision]:
    """What lets gdb read the commands of the crash ``identity``; at the end its new ones are kept."""
    past, pipe = work / "history", work / "history.pipe"
    note = store.recall(_KIND, identity) or {}
    past.write_text("".join(f"{line}\n" for line in _commands(note.get("commands", []))))
    os.mkfifo(pipe)
    past.chmod(0o444)
    pipe.chmod(0o622)
    # Open for both, so that neither end waits for the other (fifo(7)).
    end = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    try:
        yield Provision((Mount(past, HISTORY), Mount(pipe, HISTORY_PIPE)))
        with suppress(BlockingIOError):  # gdb was killed, or hands out nothing: what was known stays
            typed = _commands(os.read(end, _PIPE).decode(errors="replace").split("\n"))
            store.remember(_KIND, identity, {"commands": typed}, [identity])
    finally:
        os.close(end)


def _commands(lines: object) -> list[str]:
    """What can be commands: at the next session they are shown on the user's terminal."""
    found = lines if isinstance(lines, Iterable) else []
    kept = [line for line in found if isinstance(line, str) and 0 < len(line) <= _MAX_LENGTH and line.isprintable()]
    return kept[-_MAX_COUNT:]
