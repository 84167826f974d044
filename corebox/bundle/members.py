"""The archive's members as the manifest determines them: one list for writer and reader alike."""

import calendar
import os
import time
from typing import Iterator, Tuple

from corebox.bundle import layout
from corebox.bundle.manifest import FileEntry, Manifest
from corebox.bundle.tarformat import FILE, LATEST, SYMLINK, Member


def _time(seconds: int) -> int:
    """The time that a header can hold next to ``seconds``: 1970 to 2242."""
    return max(0, min(seconds, LATEST))


def core_time(manifest: Manifest) -> int:
    """Modification time of the core in seconds since 1970, at least 0."""
    try:
        return _time(calendar.timegm(time.strptime(manifest.process.time, "%Y-%m-%dT%H:%M:%SZ")))
    except ValueError:
        return 0


def plain(name: str, size: int, mode: int = 0o644) -> Member:
    """The header of one of our own files."""
    return Member(name.encode("ascii"), FILE, size, mode, 0)


def core_member(manifest: Manifest, size: int) -> Member:
    """The header of the compact core of ``size`` bytes."""
    return Member(layout.CORE.encode("ascii"), FILE, size, 0o600, core_time(manifest))


def symlink_members(manifest: Manifest) -> Iterator[Member]:
    """The headers of all symbolic links, in order."""
    for link in manifest.symlinks:
        yield Member(os.fsencode(layout.member_of(link.path)), SYMLINK, 0, 0o777, 0, os.fsencode(link.target))


def file_members(manifest: Manifest) -> Iterator[Tuple[FileEntry, Member]]:
    """The headers of all files, in order."""
    for entry in manifest.files:
        yield entry, Member(os.fsencode(layout.member_of(entry.path)), FILE, entry.size, entry.mode, _time(entry.mtime))
