"""The archive's members as the manifest determines them: one list for writer and reader alike."""

import datetime
import os
from typing import Iterator, Tuple

from corebox.bundle import layout
from corebox.bundle.manifest import FileEntry, Manifest
from corebox.bundle.tarformat import FILE, LATEST, SYMLINK, Member

_EPOCH = datetime.date(1970, 1, 1).toordinal()


def begins_bundle(start: bytes) -> bool:
    """Whether an archive that starts with these bytes is a bundle: the manifest is its first member."""
    return start[:100].rstrip(b"\0") == layout.MANIFEST.encode("ascii")


def _time(seconds: int) -> int:
    """The time that a header can hold next to ``seconds``: 1970 to 2242."""
    return max(0, min(seconds, LATEST))


def core_time(manifest: Manifest) -> int:
    """Modification time of the core in seconds since 1970, at least 0."""
    text = manifest.process.time
    # Not by strptime, which imports half a library.
    hour, minute, second = int(text[11:13]), int(text[14:16]), int(text[17:19])
    if hour > 23 or minute > 59 or second > 61:
        return 0
    try:
        day = datetime.date(int(text[:4]), int(text[5:7]), int(text[8:10])).toordinal() - _EPOCH
    except ValueError:
        return 0
    return _time(((day * 24 + hour) * 60 + minute) * 60 + second)


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
