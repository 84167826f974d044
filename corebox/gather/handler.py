"""The kernel's crash handler: turns each crash into a bundle at once, while the process and its files are still there.

core(5): with ``|program`` in ``/proc/sys/kernel/core_pattern`` the kernel writes the core to the standard input of the
program and keeps ``/proc/PID`` until all of it has been read.
"""

import contextlib
import os
import stat
import sys
import time
from typing import BinaryIO, Dict, Iterator, List, NamedTuple, Tuple

from corebox.bundle.corecontent import CompactCore
from corebox.bundle.disk import DiskRoot
from corebox.bundle.layout import SUFFIX
from corebox.bundle.write import write_bundle
from corebox.coredump.core import open_core
from corebox.errors import CoreboxError, UsageError
from corebox.gather.collect import Wishes, collect
from corebox.gather.compressed import write_sparse
from corebox.gather.live import mapped_files
from corebox.gather.request import quote
from corebox.gather.zipapp import make_zipapp
from corebox.printable import printable

PROGRAM = "corebox-gather.pyz"
SCRIPT = "corebox-handler"
LOG = "handler.log"
_LONGEST_PATTERN = 127  # CORENAME_MAX_SIZE of the kernel, without the NUL

_SCRIPT = """\
#!/bin/sh
# Called by the kernel for each crash: the core on standard input, process ID, time and name as arguments.
# Turn it on:  echo '@PATTERN@' > /proc/sys/kernel/core_pattern
# Turn it off: echo core > /proc/sys/kernel/core_pattern
umask 077
pid=$1
time=$2
shift 2 # what is left is the name; older kernels split it at its spaces
python3=$(command -v python3) || exec cat > @DIR@/"core.$pid"
"$python3" -S @DIR@/corebox-gather.pyz --handle @DIR@ --max-bundles @COUNT@ --max-bytes @BYTES@ \\
    --crash "$pid" "$time" "$*"
status=$?
# If the program did not even start, which its status does not tell, keep the core that it has not read.
cat > @DIR@/"core.$pid"
[ -s @DIR@/"core.$pid" ] || rm -f @DIR@/"core.$pid"
exit "$status"
"""


class Limits(NamedTuple):
    """How many bundles the directory may hold, and how many bytes they may have together."""

    bundles: int
    size: int


def install_handler(directory: str, program: str, limits: Limits) -> str:
    """Put the program and its script into ``directory`` and return the line for core_pattern.

    ``program`` is the one-file program that runs now, or "" to make one of the installed corebox.

    Raises:
        UsageError: ``bad-handler-directory`` for a path that the kernel would not take, or where others may write.
        HostError: ``cannot-write``.
    """
    directory = os.path.abspath(directory)
    pattern = "|{} %P %t %e".format(os.path.join(directory, SCRIPT))
    if len(os.fsencode(pattern)) > _LONGEST_PATTERN or any(char.isspace() or char in "%'\\" for char in directory):
        raise UsageError(
            "bad-handler-directory",
            "the kernel would not call a handler in {}".format(directory),
            "choose a short path without spaces: --install-handler /var/crash/corebox",
        )
    os.makedirs(directory, mode=0o700, exist_ok=True)
    if os.stat(directory).st_mode & 0o022:
        raise UsageError(
            "bad-handler-directory",
            "others may write into {}, and so have the kernel run their program as root".format(directory),
            "choose a directory that only root may write to: --install-handler /var/crash/corebox",
        )
    target = os.path.join(directory, PROGRAM)
    if program:
        with open(program, "rb") as source, open(target, "wb") as copy:
            copy.write(source.read())
    else:
        make_zipapp(target)
    script = os.path.join(directory, SCRIPT)
    text = _SCRIPT.replace("@COUNT@", str(limits.bundles)).replace("@BYTES@", str(limits.size))
    with open(script, "w") as file:
        file.write(text.replace("@DIR@", quote(directory)).replace("@PATTERN@", pattern))
    os.chmod(script, 0o700)
    return pattern


def handle_crash(directory: str, core: BinaryIO, crash: Tuple[str, str, str], limits: Limits, jobs: int) -> int:
    """Make a bundle of the crash whose core is being written to us; keep the raw core when that fails.

    ``crash`` is process ID, time (seconds) and name as the kernel gives them. Returns an exit status.
    """
    pid, when, name = crash
    base = "{}-{}-{}".format(
        "".join(c if c.isalnum() or c in "._+-" else "_" for c in name).lstrip(".") or "crash", pid, when
    )
    raw = os.path.join(directory, base + ".core")
    with _held_process(int(pid)) as (root, live):
        descriptor = os.open(raw, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with open(descriptor, "wb") as file:
            write_sparse(iter(lambda: core.read(1 << 20), b""), file)
        try:
            with DiskRoot(root) as disk:
                _bundle(raw, os.path.join(directory, base + SUFFIX), disk, Wishes(live=live), jobs)
        except (CoreboxError, OSError) as error:
            _log(directory, "{}: kept the raw core: {}".format(raw, error))
            return 1
    os.unlink(raw)
    for old in surplus(read_bundles(directory), limits):
        os.unlink(old)
        _log(directory, "removed {}: over the limit".format(old))
    return 0


def _bundle(raw: str, out: str, disk: DiskRoot, wishes: Wishes, jobs: int) -> None:
    with open_core(raw) as core:
        collection = collect(core, disk, wishes)
        write_bundle(out, collection.manifest, collection.sources, CompactCore(core), jobs=jobs)


@contextlib.contextmanager
def _held_process(pid: int) -> Iterator[Tuple[str, Dict[int, str]]]:
    """Root and mapped files of the process, held open so that they outlive it."""
    with contextlib.ExitStack() as stack:

        def hold(path: str, flags: int) -> str:
            descriptor = os.open(path, flags)
            stack.callback(os.close, descriptor)
            return "/proc/self/fd/{}".format(descriptor)

        try:
            root = hold("/proc/{}/root".format(pid), os.O_PATH | os.O_DIRECTORY)
        except OSError:
            root = "/"
        live = {}
        for start, path in mapped_files(pid).items():
            with contextlib.suppress(OSError):  # not ours to open, or gone already: the root has a file of that name
                if stat.S_ISREG(os.stat(path).st_mode):
                    live[start] = hold(path, os.O_RDONLY)
        yield root, live


def read_bundles(directory: str) -> List[Tuple[float, int, str]]:
    """Time, size and path of each bundle in the directory, the newest first."""
    paths = [os.path.join(directory, name) for name in os.listdir(directory) if name.endswith(SUFFIX)]
    return sorted(((os.path.getmtime(path), os.path.getsize(path), path) for path in paths), reverse=True)


def surplus(bundles: List[Tuple[float, int, str]], limits: Limits) -> List[str]:
    """The bundles, oldest last, that are over the limits; the newest one always stays."""
    total = 0
    over = []
    for number, (_, size, path) in enumerate(bundles):
        total += size
        if number and (number >= limits.bundles or total > limits.size):
            over.append(path)
    return over


def _log(directory: str, text: str) -> None:
    line = "{} {}\n".format(time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), printable(text))
    with open(os.path.join(directory, LOG), "a") as file:
        file.write(line)


def running_program() -> str:
    """Path of the one-file program that runs now, or "" when corebox is installed."""
    return sys.argv[0] if os.path.isfile(sys.argv[0]) and sys.argv[0].endswith(".pyz") else ""
