"""A process that is still there: its core by gdb's ``gcore``, and the very files that it has mapped.

``/proc/PID/map_files/START-END`` (proc(5)) opens the mapped file itself, even if it was deleted or replaced.
"""

import contextlib
import os
import shutil
import subprocess
from typing import Dict, Iterator

from corebox.bundle.temporary import temporary_directory
from corebox.errors import HostError, InputError


def mapped_files(pid: int) -> Dict[int, str]:
    """Start address of each file mapping of the process to a path that opens the mapped file; empty if not allowed."""
    directory = "/proc/{}/map_files".format(pid)
    try:
        names = os.listdir(directory)
    except OSError:
        return {}
    return {int(name.split("-")[0], 16): os.path.join(directory, name) for name in names}


def root_of(pid: int) -> str:
    """The root directory of the process as a path of ours.

    Raises:
        InputError: ``no-such-process``.
    """
    root = "/proc/{}/root".format(pid)
    if not os.path.isdir(root):
        raise InputError(
            "no-such-process",
            "there is no process {}, or its root may not be read".format(pid),
            "check the number with ps; for processes of others run as root",
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
            "there is no gcore on this machine to take a core of a running process",
            "install gdb; or end the process with `kill -ABRT {}` and gather its core".format(pid),
        )
    with temporary_directory(directory) as place:
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
                "gcore gave no core of process {}: {}".format(pid, " ".join(last)),
                "run as root or as the process's user; check that nothing else debugs it",
            )
        yield path
