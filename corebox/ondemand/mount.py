"""Starts the process that serves a core as a file, and ends it; nothing stays mounted."""

import contextlib
import errno
import json
import os
import selectors
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from corebox.bundle.blocks import BLOCK_SIZE
from corebox.ondemand.request import Request

#: The name of the file in the mounted folder, as in ``filesystem``.
FILE = "core"
#: Seconds for the first answer: a registry is asked on the way; and for the end.
_START, _END = 60.0, 5.0
_DEVICE = "/dev/fuse"


class Unservable(Exception):  # noqa: N818 - whoever catches it fetches the whole core
    """A core cannot be served; the text says why."""


class Serving:
    """The process that serves a core, which may still be starting."""

    def __init__(self, process: "subprocess.Popen[bytes]", folder: Path) -> None:
        self._process = process
        self._folder = folder
        self._is_ready = False

    @property
    def process_id(self) -> int:
        """Of the process."""
        return self._process.pid

    def path(self) -> Path:
        """The core as a file; waits until it is mounted.

        Raises:
            Unservable: it cannot be.
        """
        if not self._is_ready:
            _await(self._process)
            _read_further(self._folder)
            self._is_ready = True
        return self._folder / FILE


@contextlib.contextmanager
def served(request: Request) -> Iterator[Serving]:
    """The core as a file, for as long as the block lasts."""
    process = subprocess.Popen(
        [sys.executable, "-m", "corebox.ondemand"],
        cwd="/",  # Python takes modules from where it is started, before all others
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for gdb
    )
    try:
        assert process.stdin
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(json.dumps(request.to_json()).encode() + b"\n")
            process.stdin.flush()
        yield Serving(process, request.folder)
    finally:
        _end(process, request.folder)


def _read_further(folder: Path) -> None:
    """Let the kernel read a block at a time for who reads on, not an eighth of one; only root may ask for that."""
    with contextlib.suppress(OSError):
        device = folder.stat().st_dev
        setting = Path(f"/sys/class/bdi/{os.major(device)}:{os.minor(device)}/read_ahead_kb")
        setting.write_text(str(BLOCK_SIZE >> 10))


def _await(process: "subprocess.Popen[bytes]") -> None:
    """Wait for the first answer."""
    assert process.stdout
    with selectors.DefaultSelector() as waiting:
        waiting.register(process.stdout, selectors.EVENT_READ)
        line = process.stdout.readline() if waiting.select(_START) else b""
    match json.loads(line) if line.strip() else None:
        case {"ready": True}:
            return
        case {"error": str(why)}:
            raise Unservable(why)
    raise Unservable("the process that serves it ended")


def _end(process: "subprocess.Popen[bytes]", folder: Path) -> None:
    for pipe in (process.stdin, process.stdout):
        with contextlib.suppress(OSError):
            pipe.close() if pipe else None
    try:
        process.wait(_END)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if _is_mounted(folder):
        from corebox.ondemand.serve import unmount  # noqa: PLC0415  # only what was killed leaves a mount

        unmount(folder)


def _is_mounted(folder: Path) -> bool:
    """Whether something is mounted there, alive or not."""
    try:
        return folder.is_mount()
    except OSError as error:
        return error.errno == errno.ENOTCONN


def remove_dead_mounts(place: Path) -> None:
    """Take away what was left mounted beneath ``place`` when a session and all its processes were killed at once."""
    with contextlib.suppress(OSError), Path("/proc/self/mounts").open() as mounts:
        for line in mounts:
            _, target, kind, *_ = line.split(" ")
            folder = Path(target.encode().decode("unicode_escape"))
            if kind == "fuse.corebox" and place in folder.parents and _is_dead(folder):
                from corebox.ondemand.serve import unmount  # noqa: PLC0415  # seldom

                unmount(folder)


def _is_dead(folder: Path) -> bool:
    try:
        os.statvfs(folder)
    except OSError as error:
        return error.errno == errno.ENOTCONN
    return False


def why_no_fuse() -> str | None:
    """Why this user can mount nothing through FUSE here, as far as can be seen without trying; None if he can."""
    from corebox.ondemand.filesystem import find_library  # noqa: PLC0415  # seldom asked

    if not os.path.exists(_DEVICE):  # noqa: PTH110
        return f"there is no {_DEVICE}"
    if not os.access(_DEVICE, os.R_OK | os.W_OK):
        return f"{_DEVICE} cannot be opened by this user"
    return None if find_library() else "libfuse 3 is not installed"
