"""The manifest ``corebox.json``: what crashed, which files it was mapped from, and what is known of each.

All values are immutable. ``Manifest.to_bytes`` is canonical: equal manifests give equal bytes on every Python.
"""

import json
import os
from typing import Dict, NamedTuple, Optional, Tuple

from corebox.bundle import layout
from corebox.bundle.runtime import Runtime

MANAGERS = ("dpkg", "rpm", "apk")
ROLES = ("executable", "module", "libthread_db", "auto-load", "debug", "os-release", "extra")

Json = Dict[str, object]


def _hex(address: Optional[int]) -> Optional[str]:
    return None if address is None else "0x{:x}".format(address)


def _portable(value: object) -> object:
    """The JSON value with all texts as on a system whose names are UTF-8: Python 3.6 in the C locale differs."""
    if isinstance(value, dict):
        return {key: _portable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_portable(item) for item in value]
    return os.fsencode(value).decode("utf-8", "surrogateescape") if isinstance(value, str) else value


class Site(NamedTuple):
    """Where the crash happened. ``os_release`` has at most ID, VERSION_ID and PRETTY_NAME.

    ``system`` is the one that wrote the core, "Linux" or another; None in bundles that do not say it.
    """

    os_release: Dict[str, str]
    kernel: Optional[str]
    machine: str
    hostname: Optional[str]
    system: Optional[str] = None

    def to_json(self) -> Json:
        """The JSON object of this value."""
        return self._asdict()


class CrashedProcess(NamedTuple):
    """The process as its core describes it; ``executable`` is a canonical path, ``time`` like 2026-11-24T02:00:00Z."""

    pid: Optional[int]
    name: Optional[str]
    arguments: Optional[str]
    executable: Optional[str]
    uid: Optional[int]
    gid: Optional[int]
    signal: Optional[int]
    signal_name: Optional[str]
    signal_code: Optional[int]
    fault_address: Optional[int]
    threads: int
    time: str

    def to_json(self) -> Json:
        """The JSON object of this value."""
        return dict(self._asdict(), fault_address=_hex(self.fault_address))


class TruncatedCore(NamedTuple):
    """A core that ends before its headers say; sizes in bytes, ``lost`` of "memory", "notes", "headers"."""

    expected_size: int
    actual_size: int
    missing_bytes: int
    lost: Tuple[str, ...]
    cut_by: Optional[str] = None

    def to_json(self) -> Json:
        """The JSON object of this value."""
        return dict(self._asdict(), lost=list(self.lost))


class StoredCore(NamedTuple):
    """The core file: ``size`` as ``ls`` shows it, ``stored`` the bytes outside holes at the site.

    ``original_stored`` is what a slim core was before, ``redacted`` how many places were blanked, and
    ``redacted_variables`` the names of the environment's variables whose values were; None if not done.
    """

    included: bool
    size: int
    stored: int
    truncated: Optional[TruncatedCore]
    original_stored: Optional[int] = None
    redacted: Optional[int] = None
    redacted_variables: Optional[Tuple[str, ...]] = None

    def to_json(self) -> Json:
        """The JSON object of this value."""
        names = None if self.redacted_variables is None else list(self.redacted_variables)
        truncated = self.truncated.to_json() if self.truncated else None
        return dict(self._asdict(), truncated=truncated, redacted_variables=names)


class MemoryEntry(NamedTuple):
    """Memory of one kind, in bytes: mapped, of that dumped, of that resident or swapped (None if not known).

    ``mappings`` is their number, None in bundles that do not say it.
    """

    kind: str
    virtual: int
    dumped: int
    resident: Optional[int]
    mappings: Optional[int] = None

    def to_json(self) -> Json:
        """The JSON object of this value."""
        return self._asdict()


class ModuleEntry(NamedTuple):
    """One mapped ELF file; ``memory`` and ``file`` are the build ID in the core and on disk, lower-case hex.

    ``symbols`` is what the bundle's files tell of it, "full", "minimal" or "none"; ``package`` is name and version of
    the package that the file says it is of. Both are None in bundles that do not say it.
    """

    path: str
    opened_as: Tuple[str, ...]
    start: int
    end: int
    executable: bool
    memory: Optional[str]
    file: Optional[str]
    verdict: str
    size: Optional[int]
    detail: Optional[str]
    symbols: Optional[str] = None
    package: Optional[str] = None

    def to_json(self) -> Json:
        """The JSON object of this value."""
        return {
            "path": self.path,
            "opened_as": list(self.opened_as),
            "start": _hex(self.start),
            "end": _hex(self.end),
            "executable": self.executable,
            "build_id": {"memory": self.memory, "file": self.file},
            "verdict": self.verdict,
            "size": self.size,
            "detail": self.detail,
            "symbols": self.symbols,
            "package": self.package,
        }


class FileOrigin(NamedTuple):
    """Where a file comes from that was found elsewhere than at the site.

    ``place`` is as the user named it, ``package`` and ``version`` are those of the package that it was in, ``url`` is
    what was downloaded or read.
    """

    place: str
    package: Optional[str] = None
    version: Optional[str] = None
    url: Optional[str] = None

    def to_json(self) -> Json:
        """The JSON object of this value."""
        return self._asdict()


class FileEntry(NamedTuple):
    """One regular file of ``rootfs``: permission bits, size in bytes, modification time in whole seconds.

    ``origin`` is None for what was taken at the site.
    """

    path: str
    role: str
    size: int
    mode: int
    mtime: int
    origin: Optional[FileOrigin] = None

    def to_json(self) -> Json:
        """The JSON object of this value; without an origin it is as earlier versions wrote it."""
        value = dict(self._asdict(), mode="{:04o}".format(self.mode))
        del value["origin"]
        return dict(value, origin=self.origin.to_json()) if self.origin else value


class SymlinkEntry(NamedTuple):
    """One symbolic link of ``rootfs``; ``target`` is relative."""

    path: str
    target: str

    def to_json(self) -> Json:
        """The JSON object of this value."""
        return self._asdict()


class Omission(NamedTuple):
    """A path that is not in the bundle, and why."""

    path: str
    why: str

    def to_json(self) -> Json:
        """The JSON object of this value."""
        return self._asdict()


class LeftOutFile(NamedTuple):
    """A file of the crash that a light bundle leaves out, because it can be found elsewhere.

    The first five are as of ``FileEntry``. ``sha256`` is that of the content, ``build_id`` None if the file has none.
    ``package`` and ``version`` say whose file it is and unchanged, as the site's package database of the kind
    ``manager`` ("dpkg", "rpm", "apk") has it; all three are None for a file of a list of known build IDs.
    """

    path: str
    role: str
    size: int
    mode: int
    mtime: int
    sha256: str
    build_id: Optional[str]
    manager: Optional[str] = None
    package: Optional[str] = None
    version: Optional[str] = None

    def to_json(self) -> Json:
        """The JSON object of this value."""
        return dict(self._asdict(), mode="{:04o}".format(self.mode))

    @property
    def entry(self) -> FileEntry:
        """What the bundle says of the file once it is in it."""
        return FileEntry(*self[:5])


class Manifest(NamedTuple):
    """Everything in ``corebox.json``; ``files`` and ``symlinks`` are in byte order of their paths.

    ``runtime`` is None where the process was gone when the bundle was made; ``left_out`` is of a light bundle.
    """

    gatherer: str
    site: Site
    process: CrashedProcess
    core: StoredCore
    modules: Tuple[ModuleEntry, ...]
    files: Tuple[FileEntry, ...]
    symlinks: Tuple[SymlinkEntry, ...]
    missing: Tuple[Omission, ...]
    not_taken: Tuple[Omission, ...]
    memory: Tuple[MemoryEntry, ...] = ()
    runtime: Optional[Runtime] = None
    left_out: Tuple[LeftOutFile, ...] = ()

    def to_json(self) -> Json:
        """The JSON object as in the file."""
        # Only a light bundle has this key: an earlier bundle that is written again stays what it was.
        left_out = {"left_out": [entry.to_json() for entry in self.left_out]} if self.left_out else {}
        return {
            **left_out,
            "format": {"major": layout.MAJOR, "minor": layout.MINOR},
            "gatherer": self.gatherer,
            "site": self.site.to_json(),
            "process": self.process.to_json(),
            "core": self.core.to_json(),
            "modules": [module.to_json() for module in self.modules],
            "files": [entry.to_json() for entry in self.files],
            "symlinks": [entry.to_json() for entry in self.symlinks],
            "missing": [omission.to_json() for omission in self.missing],
            "memory": [entry.to_json() for entry in self.memory],
            "not_taken": [omission.to_json() for omission in self.not_taken],
            "runtime": self.runtime.to_json() if self.runtime else None,
        }

    def to_bytes(self) -> bytes:
        """The canonical bytes of ``corebox.json``."""
        text = json.dumps(_portable(self.to_json()), sort_keys=True, indent=1, ensure_ascii=True)
        return (text + "\n").encode("ascii")
