"""What to run, and how it is shut in: values that say the same to every engine."""

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

GiB = 1 << 30


class Mount(NamedTuple):
    """One host file or folder, read-only, at ``target`` in the sandbox."""

    source: Path
    target: str


class Limits(NamedTuple):
    """Bounds of a sandbox: memory and scratch space in bytes, and the number of processes."""

    memory: int = 16 * GiB
    scratch: int = GiB
    processes: int = 256


def caller() -> tuple[int, int]:
    """User and group inside the sandbox: the caller's own, or 1000:1000 if the caller is root."""
    return (os.getuid(), os.getgid()) if os.getuid() else (1000, 1000)


#: Where the one folder outside is that may be written to.
OUTPUT = "/.corebox/output"


class Sandbox(NamedTuple):
    """A root file system with mounts, read-only but for the scratch folder.

    Attributes:
        root: unpacked files; their top-level entries are what the sandbox sees, nothing is copied.
        mounts: what is laid over the root.
        environment: the whole environment of the command; nothing is inherited.
        scratch: an empty, writable folder in memory; the command starts in it.
        owner: a folder of ``temporary_directory`` that tells whether who runs the command lives. An engine's daemon
            does not die with us: what a killed process left running there is found and removed by it.
        user: user and group ID of the command.
        limits: bounds.
        output: a folder that the command may write to, at ``OUTPUT``; it starts there. Whatever is in it afterwards was
            made by hostile code.
        processes: the command may start others and share memory with them, where a bound counts them all.
    """

    root: Path
    mounts: tuple[Mount, ...] = ()
    environment: Mapping[str, str] = MappingProxyType({})
    scratch: str = "/.corebox/tmp"
    owner: Path | None = None
    user: tuple[int, int] = caller()
    limits: Limits = Limits()
    output: Path | None = None
    processes: bool = False


def working_folder(sandbox: Sandbox) -> str:
    """Where the command starts."""
    return sandbox.scratch if sandbox.output is None else OUTPUT


class Finished(NamedTuple):
    """How a batch command ended: exit status (128 + number for a signal) and what it wrote."""

    status: int
    output: bytes
    errors: bytes


class RootEntries(NamedTuple):
    """What of a root can be mounted, and the symbolic links (path from the root, target) to make again."""

    mounts: tuple[Mount, ...]
    symlinks: tuple[tuple[str, str], ...]


# These are the kernel's, the sandbox's or the engine's own; a customer's file there is of no use to gdb.
_OURS = {".corebox", "proc", "sys", "dev", "etc/hosts", "etc/hostname", "etc/resolv.conf", "etc/mtab"}
# Our own dynamic loader would obey them (ld.so(8)), and gdb would start with the customer's libraries in it.
_OURS |= {"etc/ld.so.preload", "etc/ld.so.cache"}
#: Container engines mount files of their own there, which a folder must be for.
_ENGINES = ("etc", "run")
#: Every mount slows the making of the next one (bubblewrap reads the list of all), and names are in requests.
_MAX_MOUNTS = 128
#: Where the whole root is as well, if single mounts do not do.
WHOLE_ROOT = "/.corebox/root"


def read_root_entries(root: Path, container: bool = False) -> RootEntries:
    """List what stands at the top of ``root`` and in its ``etc``, sorted; symbolic links are not followed.

    ``etc`` is taken apart because container engines mount files of their own into it. A root with very many entries is
    mounted as a whole at ``WHOLE_ROOT``; all but the first then are links to there. So are, for a ``container``, names
    that are not UTF-8, which its engine's requests cannot hold.
    """
    mounts: list[Mount] = []
    symlinks: list[tuple[str, str]] = []
    linked = 0
    for entry in _entries(root):
        name = str(entry.relative_to(root))
        if name in _OURS or (container and name in _ENGINES and (entry.is_symlink() or not entry.is_dir())):
            continue
        if entry.is_symlink():
            symlinks.append((name, str(entry.readlink())))
        elif len(mounts) < _MAX_MOUNTS and not (container and _is_bytes(name)):
            mounts.append(Mount(entry, "/" + name))
        else:
            symlinks.append((name, f"{WHOLE_ROOT}/{name}"))
            linked += 1
    if linked:
        mounts.append(Mount(root, WHOLE_ROOT))
    return RootEntries(tuple(mounts), tuple(symlinks))


def _entries(root: Path) -> list[Path]:
    """Folders first: libraries are in those, while many files beside each other are seldom opened."""
    etc = root / "etc"
    inside_etc = list(etc.iterdir()) if etc.is_dir() and not etc.is_symlink() else []
    top = [entry for entry in root.iterdir() if not (inside_etc and entry == etc)]
    return sorted([*top, *inside_etc], key=lambda entry: (entry.is_symlink() or not entry.is_dir(), entry))


def _is_bytes(name: str) -> bool:
    """Whether the system's name is no text (surrogateescape)."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return True
    return False
