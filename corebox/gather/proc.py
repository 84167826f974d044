"""What the kernel tells of a process in ``/proc/PID`` (proc(5)), which is there until its core has been read.

Nothing of the process's own is opened: a file of a network or FUSE mount could make us wait for ever.
"""

import contextlib
import os
import re
from collections import Counter
from typing import Dict, Iterator, List, Optional, Tuple

from corebox.bundle.runtime import OpenFiles, ResourceLimit, Runtime, ThreadName
from corebox.files.reader import Reader
from corebox.gather.cgroup import container_of, control_group, unit_of

_MAX_THREADS = 10000
_MAX_FILES = 65536
_MAX_SIZE = 1 << 20  # bytes of one file of /proc
_HIGHEST = 1 << 63  # what a manifest can hold
_ANONYMOUS = re.compile(r"anon_inode:\[?([^\]]*)\]?")
_MODELS = ("model name", "cpu model", "cpu", "uarch", "isa")
_SOCKET = "system.sockprotoname"


def place_of(pid: int) -> str:
    """Where the process of this number is told of, whichever that is at the moment."""
    return "/proc/{}".format(pid)


@contextlib.contextmanager
def held_place(pid: int) -> Iterator[str]:
    """Where the process is told of that has this number now, and never another one that gets it: ``/proc/PID``, open.

    When the process is gone, nothing is found there any more.

    Raises:
        OSError: there is no such process.
    """
    descriptor = os.open(place_of(pid), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield "/proc/self/fd/{}".format(descriptor)
    finally:
        os.close(descriptor)


def owner_of(place: str) -> Optional[Reader]:
    """Whose crash it is; None if the process is gone.

    A core has the numbers of the process's own user namespace, in which anybody may be root; ``/proc`` has those of
    this one. Of a set-user-ID program, or a service that gave up its rights for a while, the lesser user counts.
    """
    status = _status(place + "/status")
    try:
        real_user, effective_user = (int(word) for word in status["Uid"].split()[:2])
        real_group, effective_group = (int(word) for word in status["Gid"].split()[:2])
        groups = tuple(sorted(int(word) for word in status.get("Groups", "").split()))
    except (KeyError, ValueError):
        return None
    return Reader(effective_user or real_user, effective_group or real_group, groups)


def is_crash_of(place: str, user: int, time: int) -> bool:
    """Whether the process is the one whose crash it is, not another one that has got its number since.

    The kernel does not wait for a handler that waits for others: a process whose core fits into the pipe is gone by
    then. One that crashes says so since Linux 4.15; before, one that started after the crash is told from it.
    """
    status = _status(place + "/status")
    if status.get("Uid", "").split()[:1] != [str(user)]:
        return False
    if "CoreDumping" in _status("/proc/self/status"):
        return status.get("CoreDumping") == "1"
    started = _started(place + "/stat")
    return started is not None and started <= time + 1


def process_of(pidfd: int) -> Optional[int]:
    """The number of the process that a descriptor is of (pidfd_open(2)); None if it has ended."""
    number = _status("/proc/self/fdinfo/{}".format(pidfd)).get("Pid", "-1")
    return int(number) if number.isdigit() else None


def _started(path: str) -> Optional[float]:
    """When the process started, in seconds since 1970."""
    fields = _read(path).rpartition(")")[2].split()
    boot = re.search(r"^btime ([0-9]+)$", _read("/proc/stat"), re.MULTILINE)
    return int(boot.group(1)) + int(fields[19]) / os.sysconf("SC_CLK_TCK") if boot and len(fields) > 19 else None


def read_runtime(place: str, source: str) -> Optional[Runtime]:
    """All that is told of the process; None if it is gone. What may not be read is left out."""
    if not os.path.isdir(place + "/task"):
        return None
    group = control_group(_read(place + "/cgroup"))
    system = os.uname()
    return Runtime(
        source=source,
        kernel="{} {}".format(system.release, system.version),
        cpu=_processor(_read("/proc/cpuinfo")),
        threads=tuple(_threads(place)),
        cgroup=group,
        unit=unit_of(group) if group else None,
        container=container_of(group) if group else None,
        limits=tuple(_limits(_read(place + "/limits"))),
        open_files=_open_files(place + "/fd"),
    )


def _read(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return os.fsdecode(file.read(_MAX_SIZE))
    except OSError:
        return ""


def _status(path: str) -> Dict[str, str]:
    # Not splitlines(): a thread's name, which is in it, may hold any other character that ends a line for Python.
    lines = [line.partition(":") for line in _read(path).split("\n")]
    return {name: value.strip() for name, _, value in lines}


def _processor(text: str) -> Optional[str]:
    """The model, or of a processor of ARM, which has numbers instead, these."""
    fields: Dict[str, str] = {}
    for line in text.split("\n"):
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), value.strip())
    models = [fields[name] for name in _MODELS if fields.get(name)]
    numbers = [fields[name] for name in ("CPU implementer", "CPU part") if fields.get(name)]
    if not models and len(numbers) == 2:
        return "implementer {}, part {}".format(*numbers)
    return models[0] if models else None


def _threads(place: str) -> Iterator[ThreadName]:
    """Names of the threads, with the IDs that the core knows: those of the process's own namespace."""
    inside = len(_status(place + "/status").get("NSpid", "").split()) > 1
    for tid in sorted(_numbers(place + "/task"))[:_MAX_THREADS]:
        task = "{}/task/{}".format(place, tid)
        name = _read(task + "/comm")
        own = _status(task + "/status").get("NSpid", "").split() if inside else []
        if name:
            yield ThreadName(int(own[-1]) if own else tid, name[:-1] if name.endswith("\n") else name)


def _limits(text: str) -> Iterator[ResourceLimit]:
    """The columns of ``/proc/PID/limits``, which are as wide as their heads."""
    head, *lines = text.split("\n")
    soft, hard, unit = (head.find(word) for word in ("Soft Limit", "Hard Limit", "Units"))
    for line in filter(None, lines):
        with contextlib.suppress(ValueError):
            yield ResourceLimit(
                line[:soft].strip(), _bound(line[soft:hard]), _bound(line[hard:unit]), line[unit:].strip() or None
            )


def _bound(text: str) -> Optional[int]:
    value = None if text.strip() == "unlimited" else int(text)
    return value if value is None or value < _HIGHEST else None


def _open_files(place: str) -> Tuple[OpenFiles, ...]:
    kinds = Counter(_kind("{}/{}".format(place, number)) for number in _numbers(place)[:_MAX_FILES])
    kinds.pop("", None)
    return tuple(OpenFiles(kind, kinds[kind]) for kind in sorted(kinds, key=lambda kind: (-kinds[kind], kind)))


def _kind(path: str) -> str:
    """What a descriptor is of, by its link alone; "" if it is gone."""
    try:
        target = os.readlink(path)
    except OSError:
        return ""
    if target.startswith("socket:"):
        try:
            return os.fsdecode(os.getxattr(path, _SOCKET)).rstrip("\0") + " socket"
        except OSError:
            return "socket"
    if target.startswith("pipe:"):
        return "pipe"
    if target.startswith("anon_inode:"):
        match = _ANONYMOUS.match(target)
        return match.group(1) if match and match.group(1) else "anonymous"
    if target.startswith("/memfd:"):
        return "memfd"
    if target.startswith("/dev/"):
        return "device"
    return "deleted file" if target.endswith(" (deleted)") else "file"


def _numbers(place: str) -> List[int]:
    try:
        return [int(name) for name in os.listdir(place) if name.isdigit()]
    except OSError:
        return []
