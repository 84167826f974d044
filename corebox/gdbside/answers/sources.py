"""Names the source files of the frames of all threads that are not there.

Build ID and path of each, as one line of JSON; everything is bounded, and no name is opened that a core could choose.
"""

import pathlib
from collections.abc import Iterator

import gdb

from corebox.gdbside.answers import report
from corebox.gdbside.bounded import MAX_TEXT_LENGTH

MAX_THREADS, MAX_FRAMES, MAX_NAMES = 256, 64, 512


def names() -> list[tuple[str, str]]:
    """(build ID, path) of each source file, in the order of the frames, the thread that crashed first."""
    found: dict[tuple[str, str], None] = {}
    crashed = gdb.selected_thread()
    every = gdb.selected_inferior().threads() if crashed is not None else ()
    first = crashed.num if crashed else 0
    for thread in sorted(every, key=lambda each: (each.num != first, each.num))[:MAX_THREADS]:
        thread.switch()
        for symtab in symtabs():
            path = symtab.fullname()
            if symtab.objfile.build_id and not pathlib.Path(path).exists():
                found[symtab.objfile.build_id, path[:MAX_TEXT_LENGTH]] = None
    return list(found)[:MAX_NAMES]


def symtabs() -> Iterator[gdb.Symtab]:
    """Those of the frames of the selected thread."""
    try:
        frame: gdb.Frame | None = gdb.newest_frame()
        for _ in range(MAX_FRAMES):
            if frame is None:
                return
            symtab = frame.find_sal().symtab
            if symtab is not None:
                yield symtab
            frame = frame.older()
    except (gdb.error, RuntimeError):
        return  # the stack ends here


def answer() -> None:
    """Write them."""
    report.write({"sources": [{"build_id": build_id, "path": path} for build_id, path in names()]})
