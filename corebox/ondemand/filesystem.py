"""Shows a core as a file through FUSE. The only importer of mfusepy."""

import ctypes
import errno
import logging
import os
import signal
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from corebox.ondemand.cache import BlockCache, Interrupted
from corebox.ondemand.source import BlockError

#: The name of the file in the mounted folder.
FILE = "core"
#: libfuse 3.17 has another soname than those before.
_LIBRARIES = ("libfuse3.so.4", "libfuse3.so.3")
_VARIABLE = "FUSE_LIBRARY_PATH"
_DAY = 86400
_ASYNC_READ = 1  # FUSE_CAP_ASYNC_READ in fuse_common.h


def find_library() -> str | None:
    """The name of libfuse 3, if it is on this machine."""
    for name in _LIBRARIES:
        try:
            ctypes.CDLL(name)
        except OSError:
            continue
        return name
    return None


def show(cache: BlockCache, folder: Path, options: dict[str, bool | str], ready: Callable[[], object]) -> None:
    """Mount ``folder`` with the core in it until a signal, or whoever unmounts it, ends that.

    Raises:
        RuntimeError: it cannot be mounted; libfuse has written why to standard error.
    """
    # mfusepy would take libfuse 2 where it is, and finds libraries by running a compiler.
    os.environ[_VARIABLE] = find_library() or ""
    import mfusepy  # noqa: PLC0415  # it needs the variable

    # With it libfuse wakes a thread whose reader does not wait any more; mfusepy asks for that too late for libfuse to
    # catch it.
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    logging.getLogger("fuse").setLevel(logging.CRITICAL)
    operations = type("Core", (_Core, mfusepy.Operations), {})(cache, ready, mfusepy)
    mfusepy.FUSE(operations, str(folder), foreground=True, ro=True, intr=True, **options)


class _Core:
    """The operations: one folder with one file."""

    use_ns = True

    def __init__(self, cache: BlockCache, ready: Callable[[], object], library: Any) -> None:
        self._cache = cache
        self._ready = ready
        self._fail = library.FuseOSError
        self._interrupted = library._libfuse.fuse_interrupted  # mfusepy has no name for it
        # gdb warns of programs that are newer than the core.
        times = dict.fromkeys(("st_atime", "st_mtime", "st_ctime"), time.time_ns())
        owner = {"st_uid": os.getuid(), "st_gid": os.getgid(), **times}
        self._files = {
            "/": {"st_mode": stat.S_IFDIR | 0o555, "st_nlink": 2, **owner},
            f"/{FILE}": {"st_mode": stat.S_IFREG | 0o555, "st_nlink": 1, "st_size": cache.size, **owner},
        }

    def init_with_config(self, connection: Any, config: Any) -> None:
        """Nothing ever changes: what the kernel knows it may keep.

        Without asynchronous reads one that waits hears of Ctrl-C (fuse_readahead in the kernel's fs/fuse/file.c).
        """
        connection.want &= ~_ASYNC_READ
        config.kernel_cache = 1
        config.attr_timeout = config.entry_timeout = config.negative_timeout = _DAY
        self._ready()

    def getattr(self, path: str, fh: int | None = None) -> dict[str, int]:  # noqa: ARG002
        """Of the folder and of the file."""
        if path not in self._files:
            raise self._fail(errno.ENOENT)
        return self._files[path]

    def readdir(self, path: str, fh: int) -> list[str]:  # noqa: ARG002
        """What is in the folder."""
        return [".", "..", FILE]

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:  # noqa: ARG002
        """An error where a block cannot be had, never other bytes."""
        try:
            return self._cache.read(offset, size, lambda: bool(self._interrupted()))
        except BlockError:
            raise self._fail(errno.EIO) from None
        except Interrupted:
            raise self._fail(errno.EINTR) from None
