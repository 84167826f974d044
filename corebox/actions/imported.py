"""Crashes as other tools keep them: the core is taken out, and what else comes with it is a place to look in.

Apport's reports, problem folders of ABRT and of retrace-server, journals that systemd exported, and archives that have
a core among their files (``tt coredump pack``, OpenJ9's ``jpackcore``, a minicoredumper's tar). Each file is proved.
"""

import base64
import binascii
import os
import struct
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import BinaryIO, NamedTuple

from corebox.actions import minidumps
from corebox.actions.places import opened_places
from corebox.actions.recover import Outcome, recover
from corebox.actions.subject import BareCore
from corebox.coredump.faults import not_a_core
from corebox.coredump.header import ET_CORE, MAGIC, parse_header
from corebox.errors import InputError
from corebox.files.magic import compression_in, compression_of
from corebox.gather.compressed import first_bytes, write_sparse
from corebox.locate.archives import entries
from corebox.locate.places import SymbolOptions
from corebox.store.store import Store

_APPORT, _JOURNAL = b"ProblemType: ", b"__CURSOR="
_ARCHIVES = ((0, b"PK\x03\x04"), (257, b"ustar"))
#: Bytes of a line: apport's are of 1 MiB in base64. Bytes of a journal's field that is not the core.
_MAX_LINE, _MAX_FIELD = 4 << 20, 64 << 20
_CHUNK = 1 << 20


class TakenOut(NamedTuple):
    """The core, as a file, maybe compressed; and what came with it, as a place."""

    core: Path
    place: str | None = None


class Imported(NamedTuple):
    """What came of looking for the files, and what the user should know of the places."""

    outcome: Outcome
    notices: tuple[str, ...]


def import_crash(
    store: Store, path: Path, places: tuple[str, ...], out: Path, progress: Callable[[str], None] = lambda _: None
) -> Imported:
    """Write the bundle ``out`` of the crash that another tool keeps at ``path``; ``places`` may have further files.

    Raises:
        InputError: ``not-a-core``, ``no-core``, ``minidump``, ``core-damaged``, ``bad-archive``; those of ``recover``.
    """
    with store.workplace() as work:
        taken = take_out(path, work)
        all_places = (*((taken.place,) if taken.place else ()), *places)
        opened = opened_places(store, SymbolOptions(all_places), progress)
        outcome = recover(store, BareCore(taken.core), opened.places, out, progress)
        return Imported(outcome, tuple(opened.notices))


def take_out(path: Path, work: Path) -> TakenOut:
    """Find the core in what lies at ``path``; it is written into the folder ``work`` where it is not a file by itself.

    Raises:
        InputError: ``no-such-file``, ``not-a-core``, ``no-core``, ``minidump``, ``core-damaged``, ``bad-archive``.
    """
    if path.is_dir():
        return TakenOut(_in_folder(path), str(path))
    try:
        with path.open("rb") as file:
            start = file.read(512)
            if start.startswith(_APPORT):
                return TakenOut(_written(_of_apport(path, file), work))
            if start.startswith(minidumps.MAGIC):
                raise minidumps.minidump_refused(path)
            if start.startswith(_JOURNAL):
                return TakenOut(_written(_of_journal(path, file), work))
    except OSError as error:
        hint = "check the name: ls -l"
        raise InputError("no-such-file", f"cannot read {path}: {error.strerror}", hint) from error
    content = first_bytes(str(path), len(start)) if compression_of(str(path)) else start
    if content.startswith(MAGIC):
        return TakenOut(path)
    if not any(content[at:].startswith(magic) for at, magic in _ARCHIVES):
        raise not_a_core(str(path), start, path.stat().st_size)
    return TakenOut(_of_archive(path, work), str(path))


def _in_folder(folder: Path) -> Path:
    """ABRT's ``coredump``, maybe compressed; apport-unpack's ``CoreDump``."""
    for path in sorted(folder.iterdir()):
        if path.name.lower().startswith("coredump") and path.is_file():
            return path
    raise _no_core(folder)


def _of_archive(path: Path, work: Path) -> Path:
    """The first member that is a core, or that is compressed and called one."""
    for entry in entries(path, work):
        first = next(entry.blocks, b"")
        named = "core" in entry.name.rpartition("/")[2].lower()
        if is_core(first) or (named and compression_in(first)):
            return _written(chain((first,), entry.blocks), work)
    raise _no_core(path)


def is_core(start: bytes) -> bool:
    """Whether it begins as an ELF core does, of either byte order."""
    header = parse_header(start)
    return header is not None and header.kind == ET_CORE


def _of_apport(path: Path, file: BinaryIO) -> Iterator[bytes]:
    """The field CoreDump (apport's problem_report.py): a compressed file in base64, a piece in each line."""
    file.seek(0)
    within = False
    while line := file.readline(_MAX_LINE):
        if not line.startswith(b" "):
            if within:
                return
            within = line.startswith(b"CoreDump: base64")
        elif within:
            try:
                yield base64.b64decode(line.strip(), validate=True)
            except binascii.Error as error:
                hint = "ask for the report again; it was changed or cut on its way"
                raise InputError("core-damaged", f"the core in {path} is damaged: {error}", hint) from error
    if not within:
        raise _no_core(path)


def _of_journal(path: Path, file: BinaryIO) -> Iterator[bytes]:
    """The field COREDUMP of the first entry that has it (systemd's Journal Export Format)."""
    file.seek(0)
    while line := file.readline(_MAX_LINE):
        if b"=" in line or not line.strip():
            continue
        (size,) = struct.unpack("<Q", file.read(8).ljust(8, b"\0"))
        if line == b"COREDUMP\n":
            while size and (data := file.read(min(size, _CHUNK))):
                size -= len(data)
                yield data
            return
        if size > _MAX_FIELD:
            break
        file.seek(size + 1, os.SEEK_CUR)
    raise _no_core(path)


def _written(pieces: Iterator[bytes], work: Path) -> Path:
    core = work / "core"
    with core.open("wb") as file:
        write_sparse(pieces, file)
    return core


def _no_core(path: Path) -> InputError:
    hint = "ask for the core itself; with systemd it is a file: coredumpctl dump -o core"
    return InputError("no-core", f"there is no core in {path}", hint)
