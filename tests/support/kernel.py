"""A Linux kernel of a test's own, which runs as a program: User-Mode Linux, on this machine's files, read-only.

So there are set-ups that this machine has not: control groups of version 2, AppArmor, settings of the kernel.
"""

import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support.lab import Result
from tests.support.programs import REPOSITORY

#: Where the guest can write; it is lost at the end.
SCRATCH = "/mnt"
_BEGUN, _ERRORS, _ENDED = "==begun==", "==errors==", "==ended=="
_INIT = """#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t securityfs none /sys/kernel/security
mount -t cgroup2 none /sys/fs/cgroup
mount -t tmpfs -o mode=1777 none {scratch}
mount -t tmpfs none /run
mkdir -p /dev/shm
mount -t tmpfs none /dev/shm
ip link set lo up 2>/dev/null
cd {repository}
export PATH=/usr/sbin:/usr/bin:/sbin:/bin TMPDIR={scratch} HOME={scratch} COREBOX_HOME={scratch}/store
export PYTHONDONTWRITEBYTECODE=1 {environment}
{prepare}
{command} >{scratch}/output 2>{scratch}/errors </dev/null
status=$?
echo {begun}
cat {scratch}/output
echo {errors}
cat {scratch}/errors
echo {ended} $status
halt -f
"""


def run_in_kernel(
    folder: Path,
    command: Sequence[object],
    prepare: str = "",
    environment: Mapping[str, str] = {},
    options: Sequence[str] = (),
    timeout: float = 120,
) -> Result:
    """Start the kernel, run ``command`` as root when ``prepare``, lines of shell, has been, and stop it.

    ``folder`` is for what this needs, ``options`` are the kernel's.
    """
    init = folder / "init"
    text = _INIT.format(
        scratch=SCRATCH,
        repository=shlex.quote(str(REPOSITORY)),
        environment=" ".join(f"{name}={shlex.quote(value)}" for name, value in environment.items()),
        prepare=prepare,
        command=shlex.join(map(str, command)),
        begun=_BEGUN,
        errors=_ERRORS,
        ended=_ENDED,
    )
    init.write_text(text)
    init.chmod(0o755)
    words = ["linux.uml", "mem=2G", "quiet", "rootfstype=hostfs", "rootflags=/", "ro", f"init={init}", *options]
    words += [f"uml_dir={folder}/", "con=null", "con0=null,fd:1"]
    # It may crash when it halts: its core is to be where nobody takes it for something of the project.
    done = subprocess.run(
        words, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=timeout
    )
    shown = done.stdout.decode(errors="replace").replace("\r\n", "\n")
    _, _, rest = shown.partition(f"{_BEGUN}\n")
    output, _, rest = rest.partition(f"{_ERRORS}\n")
    errors, ended, rest = rest.partition(f"{_ENDED} ")
    assert ended, f"{shown}{done.stderr.decode(errors='replace')}"
    return Result(int(rest.split()[0]), output, errors)
