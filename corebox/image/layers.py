"""Which file goes into which layer: a pure function of the manifest, so that crashes of one release share layers."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from corebox.bundle.layout import member_of
from corebox.bundle.manifest import FileEntry, Manifest
from corebox.errors import InputError
from corebox.image.parts import OURS, PROGRAM, SYSTEM
from corebox.image.tar import Entry, complete

#: Where distributions put what is not the vendor's (Filesystem Hierarchy Standard; /usr/local is the site's own).
_SYSTEM_FOLDERS = ("bin", "etc", "lib", "lib32", "lib64", "libx32", "sbin", "usr")
_NOT_SYSTEM = ("usr/local/", "usr/src/", "usr/games/")
#: A system library of half a MiB is a layer of its own, the largest first: another program shares it then even if it
#: maps a different set of libraries. More layers than this would cost engines more time than sharing saves.
_OWN_LAYER = 512 << 10
_MAX_OWN_LAYERS = 6


class PlannedLayer(NamedTuple):
    """A layer to be: its kind, and its members as ``tar.complete`` orders them."""

    kind: str
    entries: tuple[Entry, ...]


def plan_layers(manifest: Manifest, root: Path, digests: Mapping[str, str]) -> list[PlannedLayer]:
    """The system's and the program's layers of a bundle, most shared first.

    Args:
        manifest: of the bundle.
        root: where its files are unpacked.
        digests: hex SHA-256 of each file by the name of its member in the bundle.

    Raises:
        InputError: ``reserved-path`` for a path that an image cannot have.
    """
    require_usable_paths(manifest)
    files = {entry.path: _file(entry, root, digests) for entry in manifest.files}
    own = _own_layers(manifest.files)
    links = [Entry(link.path[1:], 0o777, 0, 0, link.target) for link in manifest.symlinks]
    rest = [entry for path, entry in files.items() if path not in own] + links
    groups = [(SYSTEM, [files[path]]) for path in own]
    groups.append((SYSTEM, [entry for entry in rest if _is_system(entry.path, manifest)]))
    groups.append((PROGRAM, [entry for entry in rest if not _is_system(entry.path, manifest)]))
    return [PlannedLayer(kind, tuple(complete(entries))) for kind, entries in groups if entries]


def require_usable_paths(manifest: Manifest) -> None:
    """Refuse a bundle with a path that an image cannot have.

    Raises:
        InputError: ``reserved-path``.
    """
    for path in (*(entry.path for entry in manifest.files), *(link.path for link in manifest.symlinks)):
        _require_usable(path)


def _file(entry: FileEntry, root: Path, digests: Mapping[str, str]) -> Entry:
    """The file, readable for gdb's user whoever could read it at the site."""
    source = Path(f"{root}{entry.path}")
    mode = entry.mode & 0o777 | 0o444
    return Entry(entry.path[1:], mode, entry.mtime, entry.size, None, source, digests[member_of(entry.path)])


def _own_layers(files: Sequence[FileEntry]) -> list[str]:
    """The paths of the largest system libraries, in byte order."""
    libraries = [entry for entry in files if entry.role == "module" and _in_system_folder(entry.path[1:])]
    large = [entry for entry in libraries if entry.size >= _OWN_LAYER]
    largest = sorted(large, key=lambda entry: (-entry.size, entry.path))[:_MAX_OWN_LAYERS]
    return sorted(entry.path for entry in largest)


def _is_system(path: str, manifest: Manifest) -> bool:
    return _in_system_folder(path) and "/" + path != manifest.process.executable


def _in_system_folder(path: str) -> bool:
    return path.partition("/")[0] in _SYSTEM_FOLDERS and not path.startswith(_NOT_SYSTEM)


def _require_usable(path: str) -> None:
    parts = path.split("/")
    # A member .wh.NAME deletes NAME of the layers beneath (OCI image spec, "whiteouts").
    if parts[1] == OURS or any(part.startswith(".wh.") for part in parts):
        hint = "ask the customer to move the file and to gather again"
        raise InputError("reserved-path", f"an image cannot contain the path {path!r:.200}", hint)


def plan_ours(kind: str, entries: Iterable[Entry]) -> PlannedLayer:
    """A layer of files of ours, which are all beneath ``/.corebox``."""
    return PlannedLayer(kind, tuple(complete(entries)))
