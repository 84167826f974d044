"""What is known of files in folders, so that no file is read twice: a small database in the store.

It is a cache. Whatever is found through it is read again before it is used, a broken one is made again, and where it
cannot be written, files are read each time.
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

from corebox.coredump.elffile import read_elf
from corebox.coredump.values import NONE
from corebox.errors import CoreboxError
from corebox.locate.wantedfiles import Facts

_VERSION = 2
_COLUMNS = "path BLOB PRIMARY KEY, stamp TEXT, build_id TEXT, symbols TEXT, shared TEXT, code INTEGER"
_BATCH = 2048  # files between two commits, each of which waits for the disk
_PATIENCE = 30.0  # seconds to wait for another process


class Index:
    """The database in the file ``path``; any number of processes may use it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, files: Iterable[Path]) -> Iterator[tuple[Path, Facts]]:
        """The facts of each file that can be read; those that are not ELF files have no symbols."""
        with contextlib.closing(_Table(self._path)) as table:
            for path in files:
                stamp = _stamp(path)
                if stamp is None:
                    continue
                facts = table.get(path, stamp)
                if facts is None:
                    facts = read_facts(path)
                    table.put(path, stamp, facts)
                yield path, facts


def read_facts(path: Path) -> Facts:
    """The facts of one file, read from it."""
    try:
        found = read_elf(str(path))
    except CoreboxError:  # not an ELF file, not readable, or damaged: then it is not the file
        return Facts(None, NONE)
    code = found.is_program and found.whole and not found.hollow
    return Facts(found.build_id, found.symbols, found.debugaltlink[1] if found.debugaltlink else None, code)


def _stamp(path: Path) -> str | None:
    """Differs when the file was changed or replaced; None if it is not there."""
    try:
        status = path.stat()
    except OSError:
        return None
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ino} {status.st_dev}"


class _Table:
    """Reads and writes rows; after the first error that no new file mends, it knows and keeps nothing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._new: list[tuple[bytes, str, str | None, str, str | None, bool]] = []
        self._database: sqlite3.Connection | None = None
        with self._mending():
            self._open()

    def close(self) -> None:
        """Write what is new."""
        self._write()
        if self._database is not None:
            self._database.close()

    def get(self, path: Path, stamp: str) -> Facts | None:
        """The facts of the file as noted under this stamp."""
        row = None
        with self._mending():
            if self._database is not None:
                query = "SELECT build_id, symbols, shared, code FROM files WHERE path = ? AND stamp = ?"
                row = self._database.execute(query, (os.fsencode(path), stamp)).fetchone()
        return Facts(row[0], row[1], row[2], bool(row[3])) if row else None

    def put(self, path: Path, stamp: str, facts: Facts) -> None:
        """Note the facts, now or with the next ones."""
        self._new.append((os.fsencode(path), stamp, facts.build_id, facts.symbols, facts.shared, facts.code))
        if len(self._new) >= _BATCH:
            self._write()

    def _write(self) -> None:
        rows, self._new = self._new, []
        with self._mending():
            if self._database is not None and rows:
                with self._database:
                    self._database.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?)", rows)

    def _open(self) -> None:
        self._database = sqlite3.connect(self._path, timeout=_PATIENCE)
        if self._database.execute("PRAGMA user_version").fetchone()[0] != _VERSION:
            with self._database:
                self._database.execute("BEGIN IMMEDIATE")
                if self._database.execute("PRAGMA user_version").fetchone()[0] != _VERSION:
                    self._database.execute("DROP TABLE IF EXISTS files")
                    self._database.execute(f"CREATE TABLE files ({_COLUMNS}) WITHOUT ROWID")
                    self._database.execute(f"PRAGMA user_version = {_VERSION}")

    @contextlib.contextmanager
    def _mending(self) -> Iterator[None]:
        """Go on without the database when it is locked or cannot be written, with a new one when it is damaged."""
        try:
            yield
        except sqlite3.OperationalError:
            self._database = None
        except sqlite3.DatabaseError:
            self._database = None
            with contextlib.suppress(sqlite3.Error, OSError):
                self._path.unlink()
                self._open()
