"""Locks of a store, also between machines on a shared file system that does not carry locks from one to the other.

flock(2) is what processes of one machine wait by: the kernel releases it when a process dies. Whoever holds it also
leaves a note of who he is in the folder ``locks``. Another machine that does not see the lock sees the note: it waits
for a while, then says who is in the way. A note that a dead process left is told by its machine: there, whoever holds
the lock knows that nobody else does, and a machine that was started again has none of its processes left.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import secrets
import socket
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from corebox.errors import HostError
from corebox.files.temporary import temporary_directory
from corebox.store.files import locked, write_atomically

_POLL = 0.05  # seconds
#: Seconds that we wait for a process of another machine.
_PATIENCE = 20.0
#: How the names of notes begin that say which states have been replaced, and the seconds that they are kept.
_AFTER, _REMEMBERED = "after-", 600.0


class Owner(NamedTuple):
    """Who holds a lock.

    Attributes:
        place: this boot of this kernel and the file system as mounted here; within it, locks meet.
        machine: the machine's ID and name, empty if it has no ID.
        boot: which boot of it.
        pids: the namespace of process numbers.
        pid: the process.
        started: when it started, in the kernel's ticks.
        host: the machine's name, for people.
    """

    place: str
    machine: str
    boot: str
    pids: str
    pid: int
    started: str
    host: str


def this_process(folder: Path) -> Owner:
    """We, for locks on the file system of ``folder``."""
    boot, machine, host = _text("/proc/sys/kernel/random/boot_id"), _text("/etc/machine-id"), socket.gethostname()
    place = hashlib.sha256(f"{boot} {folder.stat().st_dev}".encode()).hexdigest()[:16]
    named = f"{machine} {host}" if machine else ""
    return Owner(place, named, boot, _pid_namespace(), os.getpid(), _started(os.getpid()), host)


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def _pid_namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def _started(pid: int) -> str:
    """The field ``starttime`` of proc(5), empty for a process that is not there."""
    fields = _text(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return fields[19] if len(fields) > 19 else ""


def _is_gone(owner: Owner, us: Owner) -> bool:
    """Whether the process has certainly ended; of another machine's we do not know."""
    if owner.boot == us.boot:
        return bool(owner.pids) and owner.pids == us.pids and _started(owner.pid) != owner.started
    return bool(owner.machine) and owner.machine == us.machine


def is_of_before(note: Path, us: Owner) -> bool:
    """Whether the note is of this machine before it was started again, so that no process of then is left."""
    owner = read_owner(note)
    return owner is not None and owner.boot != us.boot and _is_gone(owner, us)


def read_owner(note: Path) -> Owner | None:
    """Who left the note, None if it is not there."""
    try:
        return Owner(*json.loads(note.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):
        return Owner("", "", "", "", 0, "", "an unknown machine")


class Locks:
    """The locks of the store in ``home``, by name."""

    def __init__(self, home: Path, us: Owner, scratch: Path) -> None:
        self._home = home
        self._us = us
        self._scratch = scratch
        self._notes = home / "locks"
        self._notes.mkdir(mode=0o700, exist_ok=True)

    @contextlib.contextmanager
    def exclusive(self, name: str) -> Iterator[None]:
        """Hold the lock alone.

        Raises:
            HostError: ``store-in-use``.
        """
        note = self._notes / f"{name}.alone"
        with locked(self._home / f"{name}.lock"):
            self._wait(lambda: self._claim(note), note)
            try:
                for other in self._notes.glob(f"{name}.with-*"):
                    self._wait(lambda other=other: not self._is_held(other), other)  # type: ignore[misc]
                yield
            finally:
                note.unlink(missing_ok=True)

    @contextlib.contextmanager
    def shared(self, name: str) -> Iterator[None]:
        """Hold the lock together with others.

        Raises:
            HostError: ``store-in-use``.
        """
        alone = self._notes / f"{name}.alone"
        with locked(self._home / f"{name}.lock", shared=True), self.noted(name) as note:
            while self._is_held(alone):
                # Not both may wait for each other: we step back.
                note.unlink()
                self._wait(lambda: not self._is_held(alone), alone)
                self._write(note)
            yield

    @contextlib.contextmanager
    def noted(self, name: str) -> Iterator[Path]:
        """Leave a note for other machines, and no lock; those of processes that were killed go."""
        self._others(name)
        note = self._notes / f"{name}.with-{secrets.token_hex(8)}"
        self._write(note)
        try:
            yield note
        finally:
            note.unlink(missing_ok=True)

    def elsewhere(self, name: str) -> bool:
        """Whether somebody whose locks we do not see has left a note."""
        return any(owner.place != self._us.place for owner in self._others(name))

    def _others(self, name: str) -> list[Owner]:
        """Who has left a note and may be alive; the notes of those who are gone are removed."""
        found = []
        for note in self._notes.glob(f"{name}.with-*"):
            owner = read_owner(note)
            if owner is not None and _is_gone(owner, self._us):
                note.unlink(missing_ok=True)
            elif owner is not None:
                found.append(owner)
        return found

    def _write(self, note: Path) -> None:
        write_atomically(note, json.dumps(self._us).encode(), self._scratch)

    def _claim(self, note: Path) -> bool:
        """Leave the note if nobody else has: link(2) is atomic on every file system that two machines share."""
        if self._is_held(note):
            return False
        with temporary_directory(str(self._scratch)) as work:
            draft = Path(work) / note.name
            draft.write_text(json.dumps(self._us), encoding="utf-8")
            try:
                note.hardlink_to(draft)
            except FileExistsError:
                return False
        return True

    def _is_held(self, note: Path) -> bool:
        """Whether somebody holds what the note says; the note of a dead process is removed.

        We hold the lock: who left a note in our place does so no more.
        """
        owner = read_owner(note)
        if owner is None:
            return False
        if owner.place == self._us.place:
            note.unlink(missing_ok=True)
            return False
        return not (_is_gone(owner, self._us) and self._discard(note, owner))

    def _discard(self, note: Path, owner: Owner) -> bool:
        """Remove the note if it is this owner's; a file system may have shown us an older one of the same name."""
        moved = note.with_name(f"{note.name}-{secrets.token_hex(8)}")
        try:
            note.rename(moved)
        except FileNotFoundError:
            return True
        if read_owner(moved) == owner:
            moved.unlink(missing_ok=True)
            return True
        with contextlib.suppress(FileExistsError):
            note.hardlink_to(moved)
        moved.unlink(missing_ok=True)
        return False

    def replaced(self, token: str) -> bool:
        """Whether somebody has already replaced the state of this token; else we do now, and nobody else can.

        Of a state that is read from a file a file system may show an older one for a while, but no name that is new.
        """
        claim = self._notes / f"{_AFTER}{token}"
        try:
            claim.touch(0o600, exist_ok=False)
        except FileExistsError:
            return True
        for old in self._notes.glob(f"{_AFTER}*"):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - old.stat().st_mtime > _REMEMBERED:
                    old.unlink()
        return False

    def _wait(self, ready: Callable[[], bool], note: Path) -> None:
        until = time.monotonic() + _PATIENCE
        while not ready():
            if time.monotonic() > until:
                owner = read_owner(note)
                who = f"process {owner.pid} on {owner.host}" if owner else "another process"
                raise HostError(
                    "store-in-use",
                    f"{who} is using the store {self._home}, and its file system does not share locks between the two",
                    f"wait until it has ended; if it is not running any more, remove {note}; "
                    "or give each machine its own store: COREBOX_HOME",
                )
            time.sleep(_POLL)


class RangeLocks:
    """Any number of locks within one file, for one descriptor (fcntl(2), "Open file description locks").

    A key is the name of the lock, in hex digits. They end with the process, or when this object is gone.
    """

    def __init__(self, file: Path) -> None:
        self._descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def __del__(self) -> None:
        with contextlib.suppress(OSError, AttributeError):
            os.close(self._descriptor)

    def try_shared(self, key: str) -> bool:
        """Hold the lock with others, unless somebody has it alone."""
        return self._set(key, fcntl.F_RDLCK)

    def try_exclusive(self, key: str) -> bool:
        """Hold the lock alone, unless somebody else has it."""
        return self._set(key, fcntl.F_WRLCK)

    def release(self, key: str) -> None:
        """Give the lock back."""
        self._set(key, fcntl.F_UNLCK)

    def _set(self, key: str, kind: int) -> bool:
        # struct flock: l_type, l_whence, l_start, l_len, l_pid.
        asked = struct.pack("hhqqi4x", kind, os.SEEK_SET, int(key[:15], 16), 1, 0)
        try:
            fcntl.fcntl(self._descriptor, fcntl.F_OFD_SETLK, asked)
        except (BlockingIOError, PermissionError):
            return False
        return True
