"""Runs inside gdb when a core is opened: puts all modules where they were, and greets who sees no prompt."""

import contextlib
import json
import os
import pathlib
import re
import struct
import sys

import gdb

from corebox.gdbside.memory import corefile

MANIFEST, REPLACED_EXECUTABLE = pathlib.Path("/.corebox/manifest.json"), "/.corebox/executable"
_AT_PHDR, _AT_ENTRY = 3, 9  # getauxval(3)
_PT_LOAD, _PAGE, _MOST_HEADERS = 1, 4096, 256
#: What gather could prove, or could not disprove.
_TRUSTED = ("verified", "cannot-verify")
# A backslash before a character takes its meaning away (libiberty's buildargv).
_UNSAFE, _BACKSLASH = re.compile(r"([^A-Za-z0-9/._+-])"), r"\\\1"


def prepare(banner):
    """Put the executable in its place whenever a core is opened, and show the lines of ``banner`` then to an IDE."""

    def opened(_event):
        if gdb.selected_thread() is None:  # it was closed
            return
        core = corefile.CoreFile()
        place_executable(core)
        add_modules(core)
        if "gdb.dap" in sys.modules:
            # gdb's DAP captures what is written while it opens the core; this descriptor it reads for the client.
            os.write(1, "".join(line + "\n" for line in banner()).encode())

    if hasattr(gdb.events, "corefile_changed"):  # new in gdb 17
        gdb.events.corefile_changed.connect(opened)


def open_core(path):
    """Open a core of another processor than gdb's, and hand on what gdb says, but for two things that mislead.

    It misses a libthread_db, which can only be of its own processor, and shows the innermost frame before the
    executable is in its place.
    """
    said = gdb.execute("core-file " + path, to_string=True)
    said = re.sub(r"warning: Unable to find libthread_db .*\n", "", said)
    gdb.write(re.sub(r"^#0 .*", "", said, flags=re.MULTILINE | re.DOTALL))
    gdb.execute("frame")


def place_executable(core):
    """Load the symbols where the program lay, if gdb did not.

    gdb finds out by how much a position-independent executable was moved, but takes it for another program unless its
    program headers are in the core's memory (svr4_exec_displacement in gdb/solib-svr4.c). qemu-user leaves out the
    page that they are in, and names no file to read it from: it reads as zeros.
    """
    path = gdb.current_progspace().filename
    if path is None or "\n" in path or not {_AT_PHDR, _AT_ENTRY} <= core.auxv.keys():
        return
    try:
        headers = gdb.selected_inferior().read_memory(core.auxv[_AT_PHDR], 32).tobytes()
        moved = core.auxv[_AT_ENTRY] - _entry(path, core)
    except (gdb.MemoryError, OSError, struct.error):
        return
    if not any(headers) and moved > 0:
        gdb.execute(f"symbol-file -o {moved:#x} {_UNSAFE.sub(_BACKSLASH, path)}", to_string=True)


def add_modules(core):
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
        with contextlib.suppress(OSError, struct.error, gdb.error):
            segments = list(_segments(path, core))
            moved = _bias(int(module["start"], 16), core, segments)
            if not _is_loaded(moved, segments):
                # The same file at addresses where nothing of it was would only be in the way.
                command = "symbol-file" if path == program else "add-symbol-file"
                gdb.execute(f"{command} {_UNSAFE.sub(_BACKSLASH, path)} -o {moved:#x}", to_string=True)


def _is_loaded(moved, segments):
    """Whether gdb knows the file of some of this code; not all of a segment is in a section."""
    space = gdb.current_progspace()
    code = [(moved + address, size) for _, address, size, flags in segments if flags & corefile.PF_X]
    places = [start + size * part // 4 for start, size in code for part in range(4)]
    return not code or any(space.objfile_for_address(each) for each in places)


def _bias(start, core, segments):
    """How far a file's addresses lie from where it was linked; ``start`` is that of its first mapping."""
    mapping = core.at(start)
    offset = mapping.offset if mapping is not None and mapping.start == start else 0
    pages = [(at & -_PAGE, address & -_PAGE) for at, address, _, _ in segments]
    return start - next((address for at, address in pages if at == offset), pages[0][1] if pages else 0)


def _segments(path, core):
    """Offset, address, size and flags of each loaded part of an ELF file."""
    wide = core.word == 8
    with pathlib.Path(path).open("rb") as file:
        header = file.read(64)
        (table,) = core.unpack("Q" if wide else "I", header, 32 if wide else 28)
        entry, count = core.unpack("HH", header, 54 if wide else 42)
        file.seek(table)
        data = file.read(entry * min(count, _MOST_HEADERS))
    for at in range(0, len(data) - entry + 1, max(entry, 1)):
        if wide:
            kind, flags, offset, address, _, _, size = core.unpack("IIQQQQQ", data, at)
        else:
            kind, offset, address, _, _, size, flags = core.unpack("IIIIIII", data, at)
        if kind == _PT_LOAD:
            yield offset, address, size, flags


def _entry(path, core):
    """``e_entry`` of an ELF file (elf(5))."""
    with pathlib.Path(path).open("rb") as file:
        return core.unpack("Q" if core.word == 8 else "I", file.read(64), 24)[0]
