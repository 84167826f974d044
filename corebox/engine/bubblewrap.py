"""bubblewrap: a sandbox out of user namespaces, without daemon and without root (bwrap(1))."""

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from corebox.engine.batch import MAX_OUTPUT, run_batch
from corebox.engine.cgroup import Group, bounding_group, can_bound
from corebox.engine.pipe import piped
from corebox.engine.procfs import masked
from corebox.engine.sandbox import OUTPUT, Finished, Limits, Sandbox, read_root_entries, working_folder
from corebox.engine.seccomp import sandbox_filter
from corebox.engine.terminal import attach
from corebox.engine.userns import way_to_namespaces
from corebox.errors import HostError

_DESCRIPTORS, _STACK = 1024, 64 << 20
_MAX_LINKS = 512


class _Line(NamedTuple):
    """A command line, the descriptors that it reads, and what bounds it: to be called between fork and exec."""

    words: list[str]
    inherited: list[int]
    bound: Callable[[], None]


class Bubblewrap:
    """Engine on the ``bwrap`` program.

    Attributes:
        has_proc: it may mount a /proc. In a container whose own has parts hidden the kernel refuses that
            (mount_too_revealing in fs/namespace.c): then it is empty, which gdb can do with.
    """

    name = "bubblewrap"

    def __init__(self, *, has_proc: bool = True) -> None:
        self.has_proc = has_proc

    @property
    def bounds_memory(self) -> bool:
        """Whether a control group can be made."""
        return can_bound()

    def attach(self, sandbox: Sandbox, command: Sequence[str], tty: bool) -> int:
        """Run ``command`` on our standard streams."""
        # Without a filter (see ``sandbox_filter``) a session of its own keeps the command from typing for us.
        apart = [] if tty and sandbox_filter() else ["--new-session"]
        with self._line(sandbox, command, apart) as line:
            # On a terminal Ctrl-C reaches bwrap as well, which would die of it and take gdb along; it ends a program.
            shielded = tty and not sandbox.processes
            return attach(line.words, line.inherited, shielded=shielded, prepare=line.bound, environment={})

    def run(
        self, sandbox: Sandbox, command: Sequence[str], time_limit: float, max_output: int = MAX_OUTPUT
    ) -> Finished:
        """Run ``command`` without input and return what it wrote."""
        with self._line(sandbox, command, ["--new-session"]) as line:
            return run_batch(line.words, time_limit, line.inherited, line.bound, environment={}, max_output=max_output)

    @contextmanager
    def pipe(self, sandbox: Sandbox, command: Sequence[str]) -> Iterator["subprocess.Popen[bytes]"]:
        """Run ``command`` with pipes as its standard input and output."""
        with (
            self._line(sandbox, command) as line,
            piped(line.words, line.inherited, line.bound, environment={}) as child,
        ):
            yield child

    def interrupt(self, child: "subprocess.Popen[bytes]") -> None:
        """Give the command that ``pipe`` runs as ``child`` what Ctrl-C gives a program, if it still runs."""
        innermost = child.pid
        with contextlib.suppress(OSError):  # it has just ended; or a kernel without CONFIG_PROC_CHILDREN
            while below := Path(f"/proc/{innermost}/task/{innermost}/children").read_text().split():
                innermost = int(below[0])
            # bwrap, which is above it twice, would die of the signal.
            if Path(f"/proc/{innermost}/comm").read_text() != "bwrap\n":
                os.kill(innermost, signal.SIGINT)

    @contextmanager
    def _line(self, sandbox: Sandbox, command: Sequence[str], more: Sequence[str] = ()) -> Iterator[_Line]:
        """The command that runs ``command``; its environment must be empty.

        bwrap stays in the sandbox as the first process, and /proc shows how it was started: the environment that it was
        given, whatever --clearenv does to that of the command, and its arguments. So it has no environment, and reads
        from a file which parts of this machine it binds.
        """
        program = shutil.which("bwrap") or "bwrap"
        with (
            tempfile.TemporaryDirectory(dir=sandbox.owner) as skeleton,
            bounding_group(sandbox.limits) as group,
            tempfile.TemporaryFile() as filtering,
            tempfile.TemporaryFile() as reading,
        ):
            options = [*more, *plan_options(sandbox, Path(skeleton), self.has_proc)]
            inherited = [reading.fileno()]
            bpf = sandbox_filter(processes=sandbox.processes and group is not None)
            if bpf is not None:
                _fill(filtering, bpf)
                inherited.append(filtering.fileno())
                options += ["--seccomp", str(filtering.fileno())]
            _fill(reading, b"".join(os.fsencode(word) + b"\0" for word in options))
            words = [program, "--args", str(reading.fileno()), "--", *command]
            yield _Line(words, inherited, lambda: _bound(sandbox.limits, group))


def plan_options(sandbox: Sandbox, skeleton: Path, has_proc: bool = True) -> list[str]:
    """Options of bwrap; its root is an empty tmpfs into which everything is bound read-only.

    With very many links, of which bwrap's options hold 9000 words at most (bubblewrap.c, MAX_ARGS), the root is
    ``skeleton``, an empty folder that they are made in.
    """
    entries = read_root_entries(sandbox.root)
    uid, gid = sandbox.user
    line = ["--unshare-all", "--unshare-user", "--die-with-parent", "--cap-drop", "ALL", "--clearenv"]
    line += ["--uid", str(uid), "--gid", str(gid), "--hostname", "corebox"]
    if len(entries.symlinks) > _MAX_LINKS:
        line += ["--bind", str(skeleton), "/"]
        _make_links(skeleton, entries.symlinks)
    else:
        line += [word for name, target in entries.symlinks for word in ("--symlink", target, "/" + name)]
    for mount in entries.mounts:
        line += ["--ro-bind", str(mount.source), mount.target]
    line += ["--proc", "/proc", *_mask()] if has_proc else ["--tmpfs", "/proc"]
    line += ["--dev", "/dev"]
    # A shared mapping of it is memory that no limit of the process counts.
    line += [] if sandbox.processes else ["--dev-bind", "/dev/null", "/dev/zero"]
    for mount in sandbox.mounts:
        line += ["--ro-bind", str(mount.source), mount.target]
    line += [] if sandbox.output is None else ["--bind", str(sandbox.output), OUTPUT]
    writable = [sandbox.scratch]
    if not os.path.lexists(sandbox.root / "tmp"):
        writable.append("/tmp")  # noqa: S108  # the sandbox's own
    for folder in writable:
        line += ["--perms", "1777", "--size", str(sandbox.limits.scratch), "--tmpfs", folder]
    # /dev is a tmpfs without a bound that the sandbox's user owns. Whom root starts is root for the files in /proc/sys,
    # whatever user namespace and capabilities say (test_perm in fs/proc/proc_sysctl.c): core_pattern could be written.
    line += ["--remount-ro", "/dev", "--remount-ro", "/proc", "--remount-ro", "/", "--chdir", working_folder(sandbox)]
    for name, value in sandbox.environment.items():
        line += ["--setenv", name, value]
    return line


def _make_links(skeleton: Path, links: Iterable[tuple[str, str]]) -> None:
    for name, target in links:
        (skeleton / name).parent.mkdir(exist_ok=True)
        (skeleton / name).symlink_to(target)


def _mask() -> Iterator[str]:
    """Hide what tells about the machine: an empty file or folder in its place."""
    for path, is_folder in masked():
        yield from (("--tmpfs", path, "--remount-ro", path) if is_folder else ("--ro-bind", "/dev/null", path))


def find_bubblewrap() -> Bubblewrap:
    """The engine, if this machine can run it.

    Raises:
        HostError: ``no-engine``.
    """
    program = shutil.which("bwrap")
    if program is None:
        raise HostError("no-engine", "bubblewrap is not installed", "install it: apt-get install bubblewrap")
    reason = ""
    for has_proc in (True, False):
        proc = ("--proc", "/proc") if has_proc else ("--tmpfs", "/proc")
        line = [program, "--unshare-all", "--unshare-user", "--ro-bind", "/", "/", *proc, "--", "true"]
        trial = subprocess.run(line, capture_output=True, check=False)
        if trial.returncode == 0:
            return Bubblewrap(has_proc=has_proc)
        reason = trial.stderr.decode(errors="replace").strip()
    raise HostError("no-engine", f"bubblewrap does not work here: {reason}", way_to_namespaces())


def _fill(stream: IO[bytes], content: bytes) -> None:
    stream.write(content)
    stream.seek(0)


def _bound(limits: Limits, group: Group | None) -> None:
    """Bound this process and what it starts; runs between fork and exec."""
    if group:
        group.enter()
    # RLIMIT_DATA and not RLIMIT_AS: gdb maps large files, which costs nothing. A stack counts for itself.
    _lower(resource.RLIMIT_DATA, limits.memory)
    _lower(resource.RLIMIT_STACK, _STACK)
    _lower(resource.RLIMIT_NOFILE, _DESCRIPTORS)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _lower(limit: int, most: int) -> None:
    """Let nobody have more of it than ``most``."""
    soft, hard = (most if each == resource.RLIM_INFINITY else min(each, most) for each in resource.getrlimit(limit))
    if limit == resource.RLIMIT_DATA:
        soft = hard
    resource.setrlimit(limit, (soft, hard))
