"""bubblewrap: a sandbox out of user namespaces, without daemon and without root (bwrap(1))."""

import os
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from corebox.engine.batch import run_batch
from corebox.engine.pipe import piped
from corebox.engine.sandbox import Finished, Limits, Sandbox, read_root_entries
from corebox.engine.seccomp import sandbox_filter
from corebox.engine.terminal import attach
from corebox.errors import HostError


class Bubblewrap:
    """Engine on the ``bwrap`` program."""

    name = "bubblewrap"

    def attach(self, sandbox: Sandbox, command: Sequence[str], tty: bool) -> int:
        """Run ``command`` on our standard streams."""
        with _filter_options() as (options, inherited):
            apart = [] if tty and inherited else ["--new-session"]
            line = plan_command(sandbox, command, [*options, *apart])
            # On a terminal Ctrl-C reaches bwrap as well, which would die of it and take gdb along.
            return attach(line, inherited, shielded=tty, prepare=lambda: _limit(sandbox.limits))

    def run(self, sandbox: Sandbox, command: Sequence[str], time_limit: float) -> Finished:
        """Run ``command`` without input and return what it wrote."""
        with _filter_options() as (options, inherited):
            line = plan_command(sandbox, command, [*options, "--new-session"])
            return run_batch(line, time_limit, inherited, lambda: _limit(sandbox.limits))

    @contextmanager
    def pipe(self, sandbox: Sandbox, command: Sequence[str]) -> Iterator["subprocess.Popen[bytes]"]:
        """Run ``command`` with pipes as its standard input and output."""
        with _filter_options() as (options, inherited):
            line = plan_command(sandbox, command, options)
            with piped(line, inherited, lambda: _limit(sandbox.limits)) as child:
                yield child


def plan_command(sandbox: Sandbox, command: Sequence[str], options: Sequence[str] = ()) -> list[str]:
    """The bwrap command line; its root is an empty tmpfs into which everything is bound read-only."""
    entries = read_root_entries(sandbox.root)
    uid, gid = sandbox.user
    line = ["bwrap", "--unshare-all", "--unshare-user", "--die-with-parent", "--cap-drop", "ALL", "--clearenv"]
    line += ["--uid", str(uid), "--gid", str(gid), "--hostname", "corebox", *options]
    for mount in entries.mounts:
        line += ["--ro-bind", str(mount.source), mount.target]
    for name, target in entries.symlinks:
        line += ["--symlink", target, "/" + name]
    line += ["--proc", "/proc", "--dev", "/dev"]
    for mount in sandbox.mounts:
        line += ["--ro-bind", str(mount.source), mount.target]
    writable = [sandbox.scratch]
    if not os.path.lexists(sandbox.root / "tmp"):
        writable.append("/tmp")  # noqa: S108  # the sandbox's own
    for folder in writable:
        line += ["--perms", "1777", "--size", str(sandbox.limits.scratch), "--tmpfs", folder]
    # /dev is a tmpfs without a bound that the sandbox's user owns. Whom root starts is root for the files in /proc/sys,
    # whatever user namespace and capabilities say (test_perm in fs/proc/proc_sysctl.c): core_pattern could be written.
    line += ["--remount-ro", "/dev", "--remount-ro", "/proc", "--remount-ro", "/", "--chdir", sandbox.scratch]
    for name, value in sandbox.environment.items():
        line += ["--setenv", name, value]
    return [*line, "--", *command]


def find_bubblewrap() -> Bubblewrap:
    """The engine, if this machine can run it.

    Raises:
        HostError: ``no-engine``.
    """
    if shutil.which("bwrap") is None:
        raise HostError("no-engine", "bubblewrap is not installed", "install it: apt-get install bubblewrap")
    line = ["bwrap", "--unshare-all", "--unshare-user", "--ro-bind", "/", "/", "true"]
    trial = subprocess.run(line, capture_output=True, check=False)
    if trial.returncode:
        reason = trial.stderr.decode(errors="replace").strip()
        hint = "allow user namespaces (sysctl kernel.unprivileged_userns_clone=1), or use --engine docker"
        raise HostError("no-engine", f"bubblewrap does not work here: {reason}", hint)
    return Bubblewrap()


@contextmanager
def _filter_options() -> Iterator[tuple[list[str], list[int]]]:
    """Bwrap's options that shut the system call filter in, and the descriptors that it inherits."""
    program = sandbox_filter()
    if program is None:
        yield [], []
        return
    with tempfile.TemporaryFile() as stream:
        stream.write(program)
        stream.seek(0)
        yield ["--seccomp", str(stream.fileno())], [stream.fileno()]


def _limit(limits: Limits) -> None:
    """Bound this process and what it starts; runs between fork and exec."""
    # RLIMIT_DATA and not RLIMIT_AS: gdb maps large files, which costs nothing.
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    memory = limits.memory if most == resource.RLIM_INFINITY else min(limits.memory, most)
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
