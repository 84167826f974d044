"""A process that is still there: its core by gdb's ``gcore``, and the very files that it has mapped.

``/proc/PID/map_files/START-END`` (proc(5)) opens the mapped file itself, even if it was deleted or replaced.
"""

import contextlib
import os
import resource
import shutil
import subprocess
from typing import Dict, Iterator, NamedTuple, Optional, Tuple

from corebox.errors import HostError, InputError
from corebox.files.mounts import Mounts, answering_devices, read_mounts
from corebox.files.reader import Reader
from corebox.files.temporary import temporary_directory
from corebox.gather.proc import held_place, is_crash_of, owner_of, place_of, process_of

#: A process can map 65,530 files (vm.max_map_count). Of so many files the names must do for the others.
_MAX_HELD = 20000
_SPARE = 4096


class HeldProcess(NamedTuple):
    """Root and mapped files of a process, by start address: paths that stay good when the process is gone.

    ``mounts`` is what lies beneath its root, ``owner`` whose process it is, None if it was gone before: then the root
    is that of this system, which has files for what the core proves at most. ``place`` is where more is told of it.
    """

    root: str
    files: Dict[int, str]
    mounts: Mounts
    owner: Optional[Reader]
    place: str


@contextlib.contextmanager
def held_process(pid: int, user: int, time: int, pidfd: Optional[int] = None) -> Iterator[HeldProcess]:
    """Hold what the crashed process of the user has, if it is there still; ``time`` is that of its crash.

    Its number may be another process's by now, or become that while we look; ``pidfd`` is of the process itself.
    """
    with contextlib.ExitStack() as stack:
        held = None
        with contextlib.suppress(OSError):
            place = stack.enter_context(held_place(pid))
            if is_crash_of(place, user, time) and (pidfd is None or process_of(pidfd) == pid):
                held = _hold(place, stack)
        yield held if held and held.owner else HeldProcess("/", {}, read_mounts("/"), None, "")


def _hold(place: str, stack: contextlib.ExitStack) -> HeldProcess:
    """Hold the root and each mapped file of the process once, however often it is mapped.

    O_PATH asks no file system, and files of those that may never answer are left to their names.

    Raises:
        OSError: the process is gone.
    """
    most = _raise_limit()
    held: Dict[Tuple[str, ...], str] = {}
    files = {}

    def hold(path: str) -> str:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        stack.callback(os.close, descriptor)
        return "/proc/self/fd/{}".format(descriptor)

    root = hold(place + "/root")
    for start, (path, identity) in _file_mappings(place).items():
        with contextlib.suppress(OSError):  # not ours to open, or gone already: the root has a file of that name
            if identity not in held and len(held) < most:
                held[identity] = hold(path)
            if identity in held:
                files[start] = held[identity]
    return HeldProcess(root, files, read_mounts(place + "/root"), owner_of(place), place)


def _raise_limit() -> int:
    """Permit ourselves the descriptors that we may have, and say how many files can be held with some to spare.

    A handler has 1,024 from the kernel, and may have more as it is root.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MAX_HELD + _SPARE
    for limits in ((max(soft, wanted), max(hard, wanted)), (hard, hard)):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            break
    return min(_MAX_HELD, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)


def _file_mappings(place: str) -> Dict[int, Tuple[str, Tuple[str, ...]]]:
    """Start address of each file mapping to its path in map_files, and what tells files apart: device, inode, name."""
    found: Dict[int, Tuple[str, Tuple[str, ...]]] = {}
    answering = answering_devices(place)
    try:
        with open(place + "/maps", "rb") as file:
            for line in file:
                words = os.fsdecode(line).split(None, 5)
                if len(words) == 6 and words[4] != "0" and _device(words[3]) in answering:
                    start, end = (int(word, 16) for word in words[0].split("-"))
                    path = "{}/map_files/{:x}-{:x}".format(place, start, end)
                    found[start] = (path, (words[3], words[4], words[5]))
    except OSError:
        return {}
    return found


def _device(text: str) -> Tuple[int, int]:
    major, minor = text.split(":")
    return int(major, 16), int(minor, 16)


def mapped_files(pid: int) -> Dict[int, str]:
    """Start address of each file mapping of the process to a path that opens the mapped file; empty if not allowed."""
    found = {start: path for start, (path, _) in _file_mappings(place_of(pid)).items()}
    return found if found and os.access(place_of(pid) + "/map_files", os.X_OK) else {}


def root_of(pid: int) -> str:
    """The root directory of the process as a path of ours.

    Raises:
        InputError: ``no-such-process``.
    """
    root = place_of(pid) + "/root"
    if not os.path.isdir(root):
        raise InputError(
            "no-such-process",
            "process {} does not exist, or its root cannot be read".format(pid),
            "check the number with ps; for another user's process run as root",
        )
    return root


@contextlib.contextmanager
def core_of_process(pid: int, directory: str) -> Iterator[str]:
    """The path of a core of the process, which goes on running; the file is removed in the end.

    Raises:
        HostError: ``no-gcore`` where gdb is not installed, ``gcore-failed``.
        InputError: ``no-such-process``.
    """
    root_of(pid)
    if shutil.which("gcore") is None:
        raise HostError(
            "no-gcore",
            "gcore, which takes the core of a running process, is not installed",
            "install gdb; or end the process with `kill -ABRT {}` and gather its core".format(pid),
        )
    with temporary_directory(directory, guarded=True) as place:
        prefix = os.path.join(place, "core")
        command = ["gcore", "-o", prefix, str(pid)]
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
        )
        path = "{}.{}".format(prefix, pid)
        if done.returncode or not os.path.exists(path):
            last = done.stdout.decode("utf-8", "replace").strip().splitlines()[-1:]
            raise HostError(
                "gcore-failed",
                "gcore wrote no core of process {}: {}".format(pid, " ".join(last)),
                "run as root or as the process's user; check that nothing else debugs it",
            )
        yield path
