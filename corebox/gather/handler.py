"""The kernel's crash handler: turns each crash into a bundle at once, while the process and its files are still there.

core(5): with ``|program`` in ``/proc/sys/kernel/core_pattern`` the kernel writes the core to the standard input of the
program and keeps the process until all of it has been read. Of the core only headers and notes are read there, memory
is read from the process itself. Where that cannot be, all of the core is read and written to the disk first.
"""

import argparse
import contextlib
import fcntl
import itertools
import os
import re
import select
import signal
import sys
from typing import Any, BinaryIO, Callable, Iterator, NamedTuple, Optional

from corebox.bundle.envelope import envelope_for
from corebox.bundle.layout import SUFFIX
from corebox.bundle.runtime import HANDLER, Runtime
from corebox.coredump.core import CoreFile, open_core
from corebox.errors import HostError, UsageError, as_corebox_error
from corebox.files.diskroot import DiskRoot
from corebox.gather.compressed import write_sparse
from corebox.gather.dying import Start, dying_core
from corebox.gather.handlerscript import NO_BUNDLE
from corebox.gather.job import Output, collect_wanted, gather_options, pack, scratch_directory
from corebox.gather.live import HeldProcess, held_process
from corebox.gather.owner import reader_for, user_of
from corebox.gather.proc import read_runtime
from corebox.gather.retention import RAW, Limits, close_hours, close_queue, enforce, make_room, write_log
from corebox.gather.summary import is_exact
from corebox.printable import format_size

_PIECE = 1 << 20
#: Of headers and notes: while the pipe is full the process is there, and with each piece one more comes.
_SMALL_PIECE = 4096
_SET_PIPE_SIZE = 1031  # fcntl(2), F_SETPIPE_SZ
#: So many bytes are written between two looks at the free space.
_STEP = 16 << 20
_SILENCE = 60  # seconds
_ODD = re.compile(rb"[^A-Za-z0-9._+-]")


class Crash(NamedTuple):
    """What the kernel says of a crash: process ID, time in seconds since 1970, user ID, path of the program."""

    pid: int
    time: int
    user: int
    program: str

    @property
    def name(self) -> str:
        """The program's name, as a part of names of files; the handler's script makes the same of it."""
        path = self.program[: -len(" (deleted)")] if self.program.endswith(" (deleted)") else self.program
        name = _ODD.sub(b"_", os.fsencode(path.split("!")[-1])).decode("ascii")
        return "_" + name if not name or name[0] in ".-" else name

    @property
    def base(self) -> str:
        """What the names of its files begin with."""
        return "{}-{}-{}".format(self.name, self.pid, self.time)


class _LateError(KeyboardInterrupt):
    """It takes too long. Nobody who goes on after an error catches this one."""


class _Outcome(NamedTuple):
    """What the log says, and the exit status."""

    text: str
    status: int = NO_BUNDLE


def parse_crash(text: str) -> Crash:
    """The crash of the handler's option ``--crash=PID,TIME,USER,PROGRAM``.

    Raises:
        UsageError: ``wrong-usage``.
    """
    match = re.match(r"([0-9]{1,9}),([0-9]{1,12}),([0-9]{1,10}),(.*)\Z", text, re.DOTALL)
    if match is None:
        raise UsageError(
            "wrong-usage", "not a crash: {}".format(text), "the kernel calls this, through corebox-handler"
        )
    return Crash(int(match.group(1)), int(match.group(2)), int(match.group(3)), match.group(4))


def handle_crash(directory: str, core: BinaryIO, crash: Crash, options: argparse.Namespace) -> int:
    """Make a bundle of the crash whose core is being written to us; keep the raw core when that fails.

    Returns an exit status. Whatever happens is in the log.
    """
    limits = Limits(options.max_bundles, options.max_bytes, options.keep_free)
    before = signal.signal(signal.SIGALRM, _give_up)  # the script has it sent
    try:
        with held_process(crash.pid, crash.user, crash.time, options.pidfd) as held:
            outcome = _handle(directory, core, crash, options, held)
        enforce(directory, limits, _newest(directory, crash))
        close_hours(directory, crash.time)
        close_queue(directory)
    except _LateError:
        outcome = _Outcome("given up after {} s{}".format(options.max_seconds, _what_is_kept(directory, crash)))
    except KeyboardInterrupt:
        outcome = _Outcome("interrupted{}".format(_what_is_kept(directory, crash)))
    except Exception as error:  # noqa: BLE001  # nobody sees a traceback of what the kernel has called
        outcome = _Outcome("failed: {}".format(as_corebox_error(error)))
    finally:
        signal.signal(signal.SIGALRM, before)
    with contextlib.suppress(OSError):  # the disk is full, or read-only
        write_log(directory, "{} (process {}, user {}): {}".format(crash.name, crash.pid, crash.user, outcome.text))
    return outcome.status


def _give_up(*_: object) -> None:
    raise _LateError


def _what_is_kept(directory: str, crash: Crash) -> str:
    raw = os.path.exists(os.path.join(directory, crash.base + RAW))
    return "; what it has read of the core is kept" if raw else "; nothing is kept"


def _newest(directory: str, crash: Crash) -> str:
    """The file that this crash has left, which stays whatever the limits are."""
    names = [name for name in os.listdir(directory) if name.startswith(crash.base + ".")]
    return os.path.join(directory, min(names)) if names else ""


def _handle(directory: str, core: BinaryIO, crash: Crash, options: argparse.Namespace, held: HeldProcess) -> _Outcome:
    runtime = read_runtime(held.place, HANDLER) if held.owner else None
    room = _Room(directory, options, os.path.join(directory, crash.base + RAW))
    pipe = room.bounded(core)
    note = ""
    with Start(directory) as start:
        if held.owner:
            kept = _Kept(core)
            try:
                with dying_core(room.raw, start, pipe, held.place, crash.time) as dying:
                    done = _bundle(room, dying, crash, options, held, runtime, kept.let_go)
                    kept.let_go()
                    return _Outcome(done, 0)
            except Exception as error:  # noqa: BLE001  # a core that we do not understand is kept for who does
                note = "{}; ".format(as_corebox_error(error))
                if kept.gone or room.reason:
                    return _Outcome("nothing kept: " + note)
        return _handle_raw(room, itertools.chain(start.pieces(), pipe), crash, options, held, runtime, note)


class _Room:
    """Looks after the free space while the raw core and the bundle are written."""

    def __init__(self, directory: str, options: argparse.Namespace, raw: str) -> None:
        self.directory = directory
        self.raw = raw
        self.reason: Optional[str] = None
        self.piece = _SMALL_PIECE
        self._limits = Limits(options.max_bundles, options.max_bytes, options.keep_free)
        self._looked = -_STEP

    def is_there(self, done: int) -> bool:
        """Whether one more step can be written after ``done`` bytes; older bundles and raw cores go for that."""
        if done - self._looked < _STEP:
            return True
        self._looked = done
        if make_room(self.directory, self._limits, self.raw, _STEP):
            return True
        free = format_size(self._limits.keep_free)
        self.reason = "less than {} would remain free on the disk".format(free)
        return False

    def bounded(self, core: BinaryIO) -> Iterator[bytes]:
        """The core in pieces, as far as there is room."""
        done = 0
        while self.is_there(done):
            if not _has_more(core):
                self.reason = "the kernel sent nothing for {} s".format(_SILENCE)
                return
            piece = core.read1(self.piece)  # type: ignore[attr-defined]  # what is there: read() waits for all of it
            if not piece:
                return
            done += len(piece)
            yield piece

    def watch(self, done: int, _total: int) -> None:
        """Progress of the bundle.

        Raises:
            HostError: ``no-space``.
        """
        self._looked = min(self._looked, done)  # the counting has begun again
        if not self.is_there(done):
            raise HostError("no-space", "no room for a bundle: {}".format(self.reason), "lower --keep-free")


class _Kept:
    """The process that the kernel keeps for us; ``gone`` when nothing more can be had of it."""

    def __init__(self, core: BinaryIO) -> None:
        self._core = core
        self.gone = False

    def let_go(self) -> None:
        """Nobody wants more of its memory: what is left of the core goes nowhere.

        To close the pipe, or to kill the process, would be quicker. But then its parent does not learn that it dumped
        its core, or of what it died.
        """
        self.gone = True
        with contextlib.suppress(OSError, ValueError):
            fcntl.fcntl(self._core.fileno(), _SET_PIPE_SIZE, _PIECE)
        space = bytearray(_PIECE)
        raw: Any = getattr(self._core, "raw", self._core)
        while _has_more(self._core) and raw.readinto(space):
            pass


def _handle_raw(
    room: _Room,
    pieces: Iterator[bytes],
    crash: Crash,
    options: argparse.Namespace,
    held: HeldProcess,
    runtime: Optional[Runtime],
    note: str,
) -> _Outcome:
    """Write all of the core to the disk, and bundle that."""
    room.piece = _PIECE
    with _locked(room.raw) as file:
        try:
            write_sparse(pieces, file)
            reason = room.reason
        except HostError as error:
            reason = error.message
        os.utime(file.fileno(), (crash.time, crash.time))  # the manifest takes the time of the crash from there
        if not os.path.getsize(room.raw):
            os.unlink(room.raw)
            return _Outcome("nothing kept: {}".format(reason or "the kernel sent no core"))
        cut = note + ("the core is truncated: {}; ".format(reason) if reason else "")
        try:
            with open_core(room.raw) as raw:
                done = _bundle(room, raw, crash, options, held, runtime, lambda: None)
        except Exception as error:  # noqa: BLE001  # a core that we do not understand is kept for who does
            why = as_corebox_error(error)
            return _Outcome("{}kept the raw core {}: {}".format(cut, os.path.basename(room.raw), why))
        os.unlink(room.raw)
    return _Outcome(cut + done, 0)


def _has_more(core: BinaryIO) -> bool:
    """Whether more of the core, or its end, comes before long.

    The kernel waits for the file system of each file that is dumped, which may be the crashed user's own (FUSE).
    """
    try:
        descriptor = core.fileno()
    except OSError:  # in memory
        return True
    look = select.poll()
    look.register(descriptor, select.POLLIN)
    return bool(look.poll(_SILENCE * 1000))


@contextlib.contextmanager
def _locked(path: str) -> Iterator[BinaryIO]:
    """A new file that other handlers do not remove while we have it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with open(descriptor, "wb", buffering=0) as file:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield file


def _bundle(
    room: _Room,
    core: CoreFile,
    crash: Crash,
    options: argparse.Namespace,
    held: HeldProcess,
    runtime: Optional[Runtime],
    core_is_read: Callable[[], object],
) -> str:
    """Write the bundle, and say what it is."""
    envelope = envelope_for(options.encrypt_to) if options.encrypt_to else None
    out = os.path.join(room.directory, crash.base + SUFFIX + (envelope.suffix if envelope else ""))
    wanted = gather_options(options)._replace(live=held.files, runtime=runtime)
    # Of a process that is gone nobody knows whether root was root of this system, or of a container only.
    gone = user_of(crash.user)
    reader = reader_for(core, None, held.root, held.owner or gone) or (None if held.owner else gone)
    with DiskRoot(held.root, reader, held.mounts) as root:
        found = collect_wanted(core, root, wanted)
        output = Output(out, scratch_directory(options), options.jobs, not options.no_nice, envelope, room.watch)
        manifest = pack(wanted, found, core, output._replace(core_is_read=core_is_read)).manifest
    proof = "exact" if is_exact(manifest) else "not exact, see corebox info"
    gone_note = "" if held.owner else "; the process had ended, so files were taken from this system"
    return "{}: {}{}".format(os.path.basename(out), proof, gone_note)


def running_program() -> str:
    """Path of the one-file program that runs now, or "" when corebox is installed."""
    return sys.argv[0] if os.path.isfile(sys.argv[0]) and sys.argv[0].endswith(".pyz") else ""
