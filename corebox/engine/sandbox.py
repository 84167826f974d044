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
        processes: the command may start others and share memory with them, where a bound counts them all.
    """

    root: Path
    mounts: tuple[Mount, ...] = ()
    environment: Mapping[str, str] = MappingProxyType({})
    scratch: str = "/.corebox/tmp"
    owner: Path | None = None
    user: tuple[int, int] = caller()
    limits: Limits = Limits()
    processes: bool = False


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


def read_root_entries(root: Path) -> RootEntries:
    """List what stands at the top of ``root`` and in its ``etc``, sorted; symbolic links are not followed.

    ``etc`` is taken apart because container engines mount files of their own into it.
    """
    mounts: list[Mount] = []
    symlinks: list[tuple[str, str]] = []
    etc = root / "etc"
    inside_etc = list(etc.iterdir()) if etc.is_dir() and not etc.is_symlink() else []
    for entry in sorted([*root.iterdir(), *inside_etc]):
        name = str(entry.relative_to(root))
        if name in _OURS or (inside_etc and entry == etc):
            continue
        if entry.is_symlink():
            symlinks.append((name, str(entry.readlink())))
        else:
            mounts.append(Mount(entry, "/" + name))
    return RootEntries(tuple(mounts), tuple(symlinks))
