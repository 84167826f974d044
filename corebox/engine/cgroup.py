"""A control group for a sandbox, which bounds the memory of all that runs in it together, and the number of threads.

It is made where we may: as root, or where the system has given us a part of the tree (systemd's Delegate=), in version
2 or 1 (cgroups(7)). Its name has the process that made it: what a killed one left is removed by the next.
"""

import contextlib
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from corebox.engine.sandbox import Limits

TREE = Path("/sys/fs/cgroup")
_NAME = re.compile(r"corebox-([0-9]+)-[0-9a-f]+")
_PATIENCE = 2.0  # seconds until the last of the sandbox's processes is gone; the kernel ends them with the first


class Group(NamedTuple):
    """The folders of a group: one, or one in each hierarchy of version 1."""

    folders: tuple[Path, ...]

    def enter(self) -> None:
        """Move this process into it; for between fork and exec."""
        for folder in self.folders:
            (folder / "cgroup.procs").write_text("0")


@contextmanager
def bounding_group(limits: Limits, tree: Path = TREE) -> Iterator[Group | None]:
    """A group for the length of the block, None where none can be made."""
    with contextlib.ExitStack() as made:
        group = None
        with contextlib.suppress(OSError):
            group = _make_group(made, limits, tree)
        yield group


def can_bound(tree: Path = TREE) -> bool:
    """Whether a group can be made here."""
    with bounding_group(Limits(), tree) as group:
        return group is not None


def _make_group(made: contextlib.ExitStack, limits: Limits, tree: Path) -> Group:
    """An OSError if the memory cannot be bounded; what else cannot is left."""
    # The scratch folders are memory too.
    memory, threads = str(limits.memory + 2 * limits.scratch), str(limits.processes)
    own = dict(_own_groups())
    if (tree / "cgroup.controllers").exists():
        parent = _delegating(tree, own.get("", "/"))
        more = {"memory.swap.max": "0", "pids.max": threads}
        return Group((made.enter_context(_folder(parent, {"memory.max": memory}, more)),))
    parent = _inside(tree / "memory", own["memory"])
    # This order: the second counts what the first counts, and swapped memory.
    bounds, more = {"memory.limit_in_bytes": memory}, {"memory.memsw.limit_in_bytes": memory}
    folders = [made.enter_context(_folder(parent, bounds, more))]
    with contextlib.suppress(OSError, KeyError):
        folders.append(made.enter_context(_folder(_inside(tree / "pids", own["pids"]), {"pids.max": threads})))
    return Group(tuple(folders))


@contextmanager
def _folder(parent: Path, bounds: Mapping[str, str], more: Mapping[str, str] = {}) -> Iterator[Path]:
    """A new group in ``parent``; an OSError if it does not take the ``bounds``, ``more`` it need not take."""
    _remove_abandoned(parent)
    folder = parent / f"corebox-{os.getpid()}-{os.urandom(4).hex()}"
    folder.mkdir()
    try:
        for name, value in bounds.items():
            _set(folder / name, value)
        for name, value in more.items():
            with contextlib.suppress(OSError):
                _set(folder / name, value)
        yield folder
    finally:
        _remove(folder)


def _set(file: Path, value: str) -> None:
    with file.open("r+") as opened:  # which makes none where the kernel has none
        opened.write(value)


def _own_groups() -> Iterator[tuple[str, str]]:
    """Each controller of version 1, "" for version 2, with the path of the group that we are in."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            yield controller, path


def _inside(tree: Path, path: str) -> Path:
    """Our own group; the root of what we see where a container hides the rest."""
    folder = tree / path.lstrip("/")
    return folder if folder.is_dir() and ".." not in folder.parts else tree


def _delegating(tree: Path, path: str) -> Path:
    """The innermost group above us that bounds the memory of groups within it; an OSError if none does.

    A group with processes of its own has no bounded groups within (cgroups(7), "no internal processes").
    """
    own = _inside(tree, path)
    for folder in (own, *own.parents):
        controllers = (folder / "cgroup.subtree_control").read_text().split()
        if "memory" in controllers:
            return folder
        if folder == tree:
            break
    raise FileNotFoundError(tree)


def _remove(folder: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    with contextlib.suppress(OSError):
        _set(folder / "cgroup.kill", "1")
    while not _gone(folder) and time.monotonic() < deadline:
        time.sleep(0.01)


def _gone(folder: Path) -> bool:
    with contextlib.suppress(OSError):  # busy
        folder.rmdir()
    return not folder.exists()


def _remove_abandoned(parent: Path) -> None:
    """Remove the groups in ``parent`` of processes that are gone; those in use cannot be removed."""
    for folder in parent.iterdir():
        match = _NAME.fullmatch(folder.name)
        if match and not Path("/proc", match[1]).exists():
            _gone(folder)
