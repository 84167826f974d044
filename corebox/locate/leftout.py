"""What a light bundle left out, put back: the bundle is then as if nothing had been left out, but for the origins."""

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from corebox.bundle.manifest import FileEntry, FileOrigin, LeftOutFile, Manifest
from corebox.locate.staging import Staging
from corebox.locate.wantedfiles import Source, WantedFiles

_DEBUG = "debug"


def packages_of(manifest: Manifest) -> dict[str, tuple[str, str]]:
    """Name and version of the package that has the file of a build ID, as the site's package database said."""
    return {
        entry.build_id: (entry.package, entry.version)
        for entry in manifest.left_out
        if entry.build_id and entry.package and entry.version
    }


def take_debug_files(
    staging: Staging, manifest: Manifest, sources: Sequence[Source]
) -> Iterator[tuple[str, FileOrigin]]:
    """Put the debug files that were left out into the root; tells path and origin of each."""
    wanted = {entry.build_id: entry for entry in manifest.left_out if entry.role == _DEBUG and entry.build_id}
    for source in sources:
        wanted_files = WantedFiles(frozenset(wanted))
        for build_id, path in (source.find(wanted_files) if wanted else {}).items():
            entry = wanted.pop(build_id, None) if isinstance(build_id, str) else None
            if entry and _put(staging, entry, path):
                yield entry.path, FileOrigin(getattr(source, "name", str(source)), entry.package, entry.version)


def _put(staging: Staging, entry: LeftOutFile, path: Path) -> bool:
    with path.open("rb") as file:
        return staging.put(entry.path, file.fileno(), os.fstat(file.fileno())) is not None


def restored(manifest: Manifest, known: Manifest, root: Path, origins: Mapping[str, FileOrigin]) -> Manifest:
    """The manifest of a completed light bundle.

    Args:
        manifest: what a search has made of ``known``.
        known: the manifest of the light bundle.
        root: the files.
        origins: of those that were found.
    """
    left = {entry.path: entry for entry in known.left_out}
    there = {entry.path: entry for entry in manifest.files}
    exact = {path for path, entry in left.items() if path in there and _sha256(root / path[1:]) == entry.sha256}
    mapped = {module.path for module in manifest.modules}
    site = {entry.path: entry for entry in known.files}
    files = tuple(
        _entry(entry, left if entry.path in exact else {}, site, origins)
        for entry in manifest.files
        if entry.path in site or entry.path in left or entry.path in mapped
    )
    before = {(module.start, module.build_id.memory): module for module in known.modules}
    modules = tuple(
        before.get((each.start, each.build_id.memory), each) if each.path in exact else each
        for each in manifest.modules
    )
    return manifest._replace(files=files, modules=modules)


def _entry(
    entry: FileEntry,
    left: Mapping[str, LeftOutFile],
    site: Mapping[str, FileEntry],
    origins: Mapping[str, FileOrigin],
) -> FileEntry:
    if entry.path in left:
        return left[entry.path].entry._replace(origin=origins.get(entry.path))
    return site.get(entry.path, entry)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()
