"""When a core is opened: puts all modules where they were, and greets who sees no prompt."""

import contextlib
import json
import os
import pathlib
import re
import sys
from collections.abc import Callable, Sequence

import gdb

from corebox.coredump.linkmap import AT_PHDR
from corebox.coredump.values import Segment
from corebox.errors import CoreboxError
from corebox.gdbside.memory.mapped import MappedCore, opened
from corebox.gdbside.session.images import bias, places_of_code, quoted, read_image

MANIFEST, REPLACED_EXECUTABLE = pathlib.Path("/.corebox/manifest.json"), "/.corebox/executable"
_AT_ENTRY = 9  # getauxval(3)
#: What gather could prove, or could not disprove.
_TRUSTED = ("verified", "cannot-verify")


def prepare(banner: Callable[[], list[str]]) -> None:
    """Put the executable in its place whenever a core is opened, and show the lines of ``banner`` then to an IDE."""

    def changed(_event: object) -> None:
        if gdb.selected_thread() is None:  # it was closed
            return
        core = opened()
        place_executable(core)
        add_modules(core)
        if "gdb.dap" in sys.modules:
            # gdb's DAP captures what is written while it opens the core; this descriptor it reads for the client.
            os.write(1, "".join(line + "\n" for line in banner()).encode())

    if hasattr(gdb.events, "corefile_changed"):  # new in gdb 17
        gdb.events.corefile_changed.connect(changed)


def open_core(path: str) -> None:
    """Open a core of another processor than gdb's, and hand on what gdb says, but for two things that mislead.

    It misses a libthread_db, which can only be of its own processor, and shows the innermost frame before the
    executable is in its place.
    """
    said = gdb.execute("core-file " + path, to_string=True)
    said = re.sub(r"warning: Unable to find libthread_db .*\n", "", said)
    gdb.write(re.sub(r"^#0 .*", "", said, flags=re.MULTILINE | re.DOTALL))
    gdb.execute("frame")


def place_executable(core: MappedCore) -> None:
    """Load the symbols where the program lay, if gdb did not.

    gdb finds out by how much a position-independent executable was moved, but takes it for another program unless its
    program headers are in the core's memory (svr4_exec_displacement in gdb/solib-svr4.c). qemu-user leaves out the
    page that they are in, and names no file to read it from: it reads as zeros.
    """
    path = gdb.current_progspace().filename
    if path is None or "\n" in path or not {AT_PHDR, _AT_ENTRY} <= core.auxv.keys():
        return
    try:
        headers = gdb.selected_inferior().read_memory(core.auxv[AT_PHDR], 32).tobytes()
        moved = core.auxv[_AT_ENTRY] - read_image(path)[0].entry
    except (gdb.MemoryError, CoreboxError):
        return
    if not any(headers) and moved > 0:
        gdb.execute(f"symbol-file -o {moved:#x} {quoted(path)}", to_string=True)


def add_modules(core: MappedCore) -> None:
    """Load the symbols of each module that gdb has not loaded where it lay.

    gdb knows the executable that it is given and what the dynamic linker lists. It does not find where the program was
    that somebody started through the linker itself, and lacks everything if the list is not in the core.
    """
    for module in json.loads(MANIFEST.read_bytes())["modules"]:
        replaced = REPLACED_EXECUTABLE if module["executable"] else None
        program = gdb.current_progspace().filename
        path = replaced if replaced and replaced == program else module["path"]
        if module["verdict"] not in _TRUSTED or "\n" in path or not pathlib.Path(path).is_file():
            continue
        with contextlib.suppress(CoreboxError, gdb.error):
            segments = read_image(path)[1]
            moved = bias(int(module["start"], 16), core, segments)
            if not _is_loaded(moved, segments):
                # The same file at addresses where nothing of it was would only be in the way.
                command = "symbol-file" if path == program else "add-symbol-file"
                gdb.execute(f"{command} {quoted(path)} -o {moved:#x}", to_string=True)


def _is_loaded(moved: int, segments: Sequence[Segment]) -> bool:
    """Whether gdb knows the file of some of this code."""
    space, places = gdb.current_progspace(), places_of_code(moved, segments)
    return not places or any(space.objfile_for_address(each) for each in places)
