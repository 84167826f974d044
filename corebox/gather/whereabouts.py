"""Where the cores of this machine go: ``core_pattern`` (core(5)), the shell's limit, what systemd and others keep.

For who has called the gatherer without a core, and does not know where to look.
"""

import glob
import os
import re
import resource
import time
from typing import Iterator, List, NamedTuple

from corebox.bundle.layout import SUFFIX
from corebox.errors import InputError
from corebox.gather.defaults import COREDUMPS
from corebox.gather.systemd import read_store

_PATTERN = "/proc/sys/kernel/core_pattern"
_USES_PID = "/proc/sys/kernel/core_uses_pid"
_MAX_NAMED = 3
_SPECIFIER = re.compile("%.")
#: Where programs that the kernel hands cores to keep them, by the name of the program.
_STORES = (
    ("apport", "Ubuntu's apport", "/var/lib/apport/coredump/core.*"),
    ("abrt-hook-ccpp", "abrt", "/var/spool/abrt/*/coredump"),
)


class Site(NamedTuple):
    """What decides where cores go: the pattern, whether names end with the process ID, this shell's limit in bytes."""

    pattern: str
    uses_pid: bool
    limit: int


def where_cores_go() -> List[str]:
    """Sentences for the user, each a line."""
    limit = resource.getrlimit(resource.RLIMIT_CORE)[0]
    return list(describe(Site(_read(_PATTERN), _read(_USES_PID) == "1", limit)))


def describe(site: Site) -> Iterator[str]:
    """Where cores go, the newest that are there, and what to do to have one next time."""
    if site.pattern.startswith("|"):
        yield from _piped(site.pattern[1:].split(" ")[0])
        return
    if not site.pattern:
        yield "this kernel writes no cores: {} is empty or cannot be read".format(_PATTERN)
        return
    directory, name = os.path.split(site.pattern)
    name += ".%p" if site.uses_pid and "%p" not in name else ""
    shown = name.replace("%p", "PID").replace("%e", "PROGRAM").replace("%t", "TIME")
    if directory.startswith("/"):
        yield "cores go to {}/{}".format(directory, shown)
    else:
        yield "cores go to the crashed program's working directory, as {}".format(os.path.join(directory, shown))
    # Also in a container: there is one pattern for all, and the core is beneath the container's own root.
    yield from _newest(os.path.join(directory, _SPECIFIER.sub("*", name)))
    if site.limit == 0:
        yield "no core is written for programs started from this shell: its limit is 0; remove it: ulimit -c unlimited"
        yield "a systemd service needs LimitCORE=infinity in its unit"


def _piped(program: str) -> Iterator[str]:
    name = os.path.basename(program)
    if name == "systemd-coredump":
        yield "the kernel hands cores to systemd, which keeps them in {}".format(COREDUMPS)
        yield from _of_systemd()
        return
    if name == "corebox-handler":
        place = os.path.dirname(program)
        yield "corebox makes a bundle of each crash, in {}".format(place)
        yield from _newest(os.path.join(place, "*" + SUFFIX), "send the bundle of your crash; the newest")
        return
    for known, who, pattern in _STORES:
        if name.startswith(known):
            yield "the kernel hands cores to {}, which keeps them as {}".format(who, pattern)
            yield from _newest(pattern)
            return
    yield "the kernel hands cores to the program {}; its documentation says where they go".format(program)


def _of_systemd() -> Iterator[str]:
    try:
        crashes = read_store(COREDUMPS)
    except InputError as error:
        yield "{}; run it as root to see the rest".format(error.message)
        return
    if not crashes:
        yield "there is none at present; Storage= and MaxUse= in coredump.conf limit what is kept"
    for crash in crashes[:_MAX_NAMED]:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(crash.time // 1000000))
        yield "  --coredumpctl {:<8} {} {}".format(crash.pid, when, crash.executable or crash.name)


def _newest(pattern: str, title: str = "the newest") -> Iterator[str]:
    found = [(_modified(path), path) for path in glob.glob(pattern) if os.path.isfile(path)]
    if not found:
        yield "there is none {}".format("there" if pattern.startswith("/") else "in this directory")
        return
    yield title + ":"
    for modified, path in sorted(found, reverse=True)[:_MAX_NAMED]:
        yield "  {} {}".format(time.strftime("%Y-%m-%d %H:%M", time.localtime(modified)), path)


def _modified(path: str) -> float:
    try:
        return os.path.getmtime(path)
    except OSError:  # gone again
        return 0.0


def _read(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return os.fsdecode(file.read()).strip()
    except OSError:
        return ""
