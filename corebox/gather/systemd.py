"""The store of systemd-coredump: ``/var/lib/systemd/coredump``, one file for each crash.

A file is named ``core.COMM.UID.BOOTID.PID.USEC[.zst|.lz4|.xz]``; the program's path is in the attribute
``user.coredump.exe`` (systemd, ``src/coredump/coredump.c``). ``coredumpctl`` is not asked, so it works on a mounted
disk too; the journal only for what no file says: whether systemd cut the core.
"""

import os
import re
from typing import List, NamedTuple, Optional

from corebox.errors import InputError
from corebox.gather.defaults import COREDUMPS

_JOURNAL_PATIENCE = 20  # seconds

_NAME = re.compile(
    r"core\.(?P<comm>.*)\.(?P<uid>\d+)\.[0-9a-f]{32}\.(?P<pid>\d+)\.(?P<usec>\d+)(\.(zst|lz4|xz))?\Z", re.DOTALL
)
_ESCAPE = re.compile(r"\\x([0-9a-f]{2})")


class StoredCrash(NamedTuple):
    """One core of the store; ``time`` in microseconds since 1970.

    Where the attributes are lost, ``executable`` and ``gid`` are None.
    """

    path: str
    name: str
    uid: int
    pid: int
    time: int
    executable: Optional[str]
    gid: Optional[int] = None


def parse_name(path: str) -> Optional[StoredCrash]:
    """What the name of a file in the store says, or None if it is not named so."""
    match = _NAME.match(os.path.basename(path))
    if match is None:
        return None
    name = _ESCAPE.sub(lambda escape: chr(int(escape.group(1), 16)), match.group("comm"))
    return StoredCrash(path, name, int(match.group("uid")), int(match.group("pid")), int(match.group("usec")), None)


def read_store(directory: str) -> List[StoredCrash]:
    """All crashes in the store, the newest first.

    Raises:
        InputError: ``no-coredump-store`` when the directory is not there or may not be read.
    """
    try:
        names = os.listdir(directory)
    except OSError as error:
        raise InputError(
            "no-coredump-store",
            "cannot read {}: {}".format(directory, error.strerror),
            "is systemd-coredump installed? Else give the core file itself: corebox-gather.pyz CORE",
        ) from error
    crashes = [parse_name(os.path.join(directory, name)) for name in names]
    known = [_with_attributes(crash) for crash in crashes if crash]
    return sorted(known, key=lambda crash: -crash.time)


def find_crash(directory: str, which: str) -> StoredCrash:
    """The newest crash that ``which`` means: "newest", a process ID, a program's path or its name.

    Raises:
        InputError: ``no-such-crash``, and those of ``read_store``.
    """
    crashes = read_store(directory)
    for crash in crashes:
        if which in ("newest", str(crash.pid), crash.name, crash.executable):
            return crash
        if crash.executable and os.path.basename(crash.executable) == which:
            return crash
    if not crashes:
        hint = "see where the kernel sends them (cat /proc/sys/kernel/core_pattern) and give the file itself"
        raise InputError("no-such-crash", "{} contains no crash".format(directory), hint)
    known = ", ".join("{} ({})".format(crash.pid, crash.name) for crash in crashes[:5])
    raise InputError(
        "no-such-crash",
        "{} has no crash of {}".format(directory, which),
        "the newest are: {}; old ones are deleted after some days".format(known),
    )


def was_cut(path: str) -> bool:
    """Whether the journal, where it can be read, says that systemd cut this core when it stored it.

    The field ``COREDUMP_TRUNCATED`` stands in the entry of the crash, found by the name of its file, which has boot,
    process and time in it (systemd.journal-fields(7)). A core that was copied elsewhere is still the same one.
    """
    if parse_name(path) is None:
        return False
    stored = os.path.join(COREDUMPS, os.path.basename(path))
    query = ["COREDUMP_FILENAME=" + stored, "COREDUMP_TRUNCATED=1"]
    import subprocess  # noqa: PLC0415  # the help needs a constant of this module only

    try:
        answer = subprocess.run(
            ["journalctl", "--quiet", "--no-pager", "--lines=1", "--output=cat", *query],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_JOURNAL_PATIENCE,
            check=False,
        )
    except (OSError, ValueError, subprocess.TimeoutExpired):  # no journal, a name with a NUL, a journal of many GB
        return False
    return answer.returncode == 0 and bool(answer.stdout)


def _with_attributes(crash: StoredCrash) -> StoredCrash:
    group = _attribute(crash.path, "gid") or ""
    known = crash._replace(executable=_attribute(crash.path, "exe"))
    return known._replace(gid=int(group)) if group.isdigit() else known


def _attribute(path: str, name: str) -> Optional[str]:
    try:
        return os.fsdecode(os.getxattr(path, "user.coredump." + name))
    except OSError:
        return None
