"""What HotSpot wrote when it crashed: ``hs_err_pid*.log``, with its own view of threads, heap and events."""

import os
import re
from typing import Iterable, Iterator, List

from corebox.coredump.core import CoreFile
from corebox.coredump.values import Module
from corebox.files.extents import read_at
from corebox.files.openfile import OpenFile
from corebox.gather.files import FileSet

_MAX_SIZE = 64 << 20
_HEAD = 4096
#: Before Java 9 the thread is told by an address, in hexadecimal.
_CRASHED = re.compile(rb"^# .*, pid=(\d+), tid=(\d+\b|0x[0-9a-f]+)", re.MULTILINE)


def take_java_log(core: CoreFile, files: FileSet, modules: Iterable[Module], folders: List[str]) -> None:
    """Take it from where HotSpot writes it by itself: the working directory, else /tmp; ``folders`` are more places.

    It is taken only if it says that it is of this process and one of its threads. A stranger's crash has none: the
    file is whatever its user wants to have read.
    """
    pid = core.process.pid
    if pid is None or files.root.reader or not any(os.path.basename(each.path) == "libjvm.so" for each in modules):
        return
    for folder in dict.fromkeys([*_working_directories(core), *folders, "/tmp"]):  # noqa: S108 - where HotSpot writes it if it may not elsewhere
        found = files.root.find("{}/hs_err_pid{}.log".format(folder.rstrip("/"), pid))
        if found.file and _is_of(core, pid, found.file):
            files.take(found, "extra")
            return


def _working_directories(core: CoreFile) -> Iterator[str]:
    """Where the process was started, as its shell told it."""
    from corebox.reduce.environment import read_environment  # noqa: PLC0415  # a dozen modules, for Java alone

    for string in read_environment(core).strings:
        if string.startswith(b"PWD=/"):
            yield os.fsdecode(string[4:])


def _is_of(core: CoreFile, pid: int, file: OpenFile) -> bool:
    found = _CRASHED.search(read_at(file.fileno(), 0, _HEAD)) if file.status.size <= _MAX_SIZE else None
    if found is None or int(found.group(1)) != pid:
        return False
    thread = found.group(2)
    return thread.startswith(b"0x") or any(each.tid == int(thread) for each in core.process.threads)
