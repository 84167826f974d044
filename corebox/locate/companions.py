"""What comes with a library: libthread_db, the scripts that gdb loads for it, and the name of the system.

They are never mapped, so that no core proves them. They are taken out of the same package, folder or image as the
library beside which the process would have had them.
"""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from posixpath import basename, dirname
from typing import NamedTuple

from corebox.locate.folders import Folder
from corebox.locate.staging import Staging
from corebox.locate.wanted import Candidate, Member, Origin, Tree, Wanted

_LIBC = re.compile(r"(libc\.so\.6|libc-2\.\d+\.so|libpthread\.so\.0|libpthread-2\.\d+\.so|ld-musl-.*|libc\.musl-.*)")
#: Beside a library: what gdb needs of glibc (with its links), and of .NET.
_BESIDE = {
    "libc": re.compile(r"libthread_db(-1\.0)?\.so(\.1)?"),
    "libcoreclr.so": re.compile(r"libmscord(accore|bi)\.so|libsos(plugin)?\.so"),
}
_AUTO_LOAD = "/usr/share/gdb/auto-load"
_SCRIPT = re.compile(r"-gdb\.(py|gdb)")
#: Where libraries have the Python that their scripts import: libstdc++ and GLib.
_PACKAGES = re.compile(r"/(python|gdb)/")
OS_RELEASE = ("/etc/os-release", "/usr/lib/os-release")
_MAX_FILES, _MAX_SIZE, _MAX_ALL_SIZE = 2000, 8 << 20, 256 << 20


class _Beside(NamedTuple):
    """A library in a tree: its name there and in the crash, and the root of the crash's files in the tree.

    ``root`` is None where its name in the tree does not end as that in the crash.
    """

    there: str
    here: str
    root: str | None


def take_companions(staging: Staging, taken: Sequence[tuple[Wanted, Candidate]]) -> dict[str, Origin]:
    """Put the companions of what was taken into the root; those of the C library's tree first.

    Returns:
        The origin of each, by its canonical path.
    """
    origins: dict[str, Origin] = {}
    trees: dict[int, tuple[Tree, Origin, list[_Beside]]] = {}
    for wanted, candidate in sorted(taken, key=lambda each: not is_libc(each[0])):
        if candidate.tree is not None:
            _, _, beside = trees.setdefault(id(candidate.tree), (candidate.tree, candidate.origin, []))
            beside.append(_Beside(candidate.name, wanted.names[0], _root(candidate.name, wanted)))
    for tree, origin, beside in trees.values():
        for path, other in _take(staging, tree, beside):
            origins[path] = other or origin
    if staging.has(OS_RELEASE[1]):
        staging.link(OS_RELEASE[0], "../usr/lib/os-release")  # os-release(5); zip files have no links
    return origins


def is_libc(wanted: Wanted) -> bool:
    """Whether it is the C library, or what came out of it."""
    return any(_LIBC.fullmatch(basename(name)) for name in wanted.names)


def _root(there: str, wanted: Wanted) -> str | None:
    """What stands in the tree before the name that the core has, on either side of a merged ``/usr``."""
    for name in sorted(_both(wanted.names), key=len, reverse=True):
        if there.endswith(name):
            return there.removesuffix(name)
    return None


def _both(names: Iterable[str]) -> Iterator[str]:
    for name in names:
        yield name
        yield name.removeprefix("/usr") if name.startswith("/usr/") else "/usr" + name


def _take(staging: Staging, tree: Tree, beside: Sequence[_Beside]) -> Iterator[tuple[str, Origin | None]]:
    targets: dict[str, str] = {}

    def wants(name: str) -> bool:
        target = next((found for each in beside if (found := _target(name, each))), None)
        if target is not None:
            targets[name] = target
        return target is not None

    files, size = 0, 0
    # A folder may be a whole disk, of which nearly all is of no interest here.
    for member in tree.members_in(_folders(beside), wants) if isinstance(tree, Folder) else tree.members(wants):
        target = targets.get(member.name)
        files += 1
        if target is None or files > _MAX_FILES or staging.has(target):
            continue
        if member.path is None:
            staging.link(target, member.target or "")
            continue
        size += member.path.stat().st_size
        if member.path.stat().st_size <= _MAX_SIZE and size <= _MAX_ALL_SIZE:
            yield from _put(staging, target, member)


def _folders(beside: Sequence[_Beside]) -> list[str]:
    """Where companions may be: beside the libraries, and, beneath the root of a system, where scripts are."""
    folders = {dirname(each.there) for each in beside}
    for each in beside:
        if each.root is not None:
            folders |= {each.root + path for path in (dirname(each.here), "/usr/share", *OS_RELEASE)}
            folders |= {each.root + path for path in _both([dirname(each.here)])}
    return sorted(folders)


def _put(staging: Staging, target: str, member: Member) -> Iterator[tuple[str, Origin | None]]:
    assert member.path
    with member.path.open("rb") as file:
        path = staging.put(target, file.fileno(), os.fstat(file.fileno()))
    if path is not None:
        yield path, member.origin


def _target(name: str, beside: _Beside) -> str | None:
    """Where a member of the tree belongs in the crash's root, if it is a companion of the library."""
    own = basename(beside.here)
    kind = "libc" if _LIBC.fullmatch(own) else own
    last = basename(name)
    inside = name.removeprefix(beside.root) if beside.root is not None and name.startswith(beside.root + "/") else None
    folders = set(_both([dirname(beside.here)]))
    if dirname(name) == dirname(beside.there) or (inside and dirname(inside) in folders):
        pattern = _BESIDE.get(kind)
        if (last.startswith(own) and _SCRIPT.fullmatch(last.removeprefix(own))) or (
            pattern and pattern.fullmatch(last)
        ):
            return f"{dirname(beside.here)}/{last}"
    if inside is None:
        return None
    scripts = {f"{_AUTO_LOAD}{each}" for each in _both([beside.here])}
    is_script = any(inside.startswith(each) and _SCRIPT.fullmatch(inside.removeprefix(each)) for each in scripts)
    is_python = last.endswith(".py") and inside.startswith("/usr/share/") and _PACKAGES.search(inside) is not None
    return inside if is_script or is_python or inside in OS_RELEASE else None
