"""Reads a bundle without its core: what is before it and behind it is found by the table of frames."""

import hashlib
import json
import os
from pathlib import Path
from typing import BinaryIO, NamedTuple

from corebox.bundle import layout
from corebox.bundle.blocks import digests_length, parse_digests
from corebox.bundle.digests import format_sums, identity_of
from corebox.bundle.faults import damaged
from corebox.bundle.manifest import Manifest
from corebox.bundle.members import core_member, file_members, plain, symlink_members
from corebox.bundle.tarformat import BLOCK, Member, format_member, padding, parse_member, pax_size
from corebox.files.extents import Extent, reader_at
from corebox.files.seekable import FrameTable, frame_content
from corebox.unbundle.compression import table_of
from corebox.unbundle.read import BundleReader
from corebox.unbundle.unpack import fresh_directory


class AroundCore(NamedTuple):
    """What a bundle says of itself; of its files nothing has been read.

    Attributes:
        identity: of the bundle.
        place: of the compact core in the content of its frames.
        digests: ``core.digests``.
        files: names and digests of the members that are files, in order.
        files_key: the same for bundles whose files are the same.
    """

    identity: str
    place: Extent
    digests: bytes
    files: tuple[tuple[str, str], ...]
    files_key: str


class AroundReader(BundleReader):
    """A bundle in frames, whose core is passed over.

    Attributes:
        table: None if the bundle is not in frames, has no core or no ``core.digests``: it can only be read whole then.
    """

    table: FrameTable | None = None
    _manifest_size = 0

    def _read_small(self, member: Member) -> bytes:
        self._manifest_size = self._manifest_size or member.size
        return super()._read_small(member)

    def __enter__(self) -> "AroundReader":
        super().__enter__()
        if self.manifest.core.included and self.manifest.format.major != layout.LAYER_DIGEST_MAJOR:
            self.table = table_of(self._file)
        return self

    def around(self) -> AroundCore:
        """What is around the core.

        Raises:
            InputError: ``bundle-damaged``.
        """
        assert self.table
        try:
            manifest = plain(layout.MANIFEST, self._manifest_size)
            content = _Content(self._file, self.table)
            return _Around(self.manifest, manifest, self._digests[0][1], content).read()
        except (ValueError, IndexError) as error:
            raise damaged(str(error)) from error

    def unpack_files(self, into: Path, around: AroundCore) -> None:
        """Put the files into the new directory ``into``, and check them; may be called once.

        Raises:
            InputError: ``bundle-damaged``; nothing is left in ``into`` then.
            HostError: ``no-space``, ``not-empty`` or ``cannot-unpack``.
        """
        with fresh_directory(into):
            self._unpack_tree(into)
            for found, expected in zip(self._digests[1:], around.files, strict=False):
                if found != expected:
                    raise damaged(f"the digest does not match: {expected[0]!r:.200}")
            (into / layout.ROOTFS).mkdir(exist_ok=True)


class _Content:
    """The content of frames, read in any order."""

    def __init__(self, file: BinaryIO, table: FrameTable) -> None:
        self._read_at = reader_at(file)[0]
        self._table = table
        self._last: tuple[int, bytes] = (-1, b"")

    def read(self, offset: int, size: int) -> bytes:
        """Some bytes at ``offset``; raises ValueError or IndexError if they are not there."""
        parts: list[bytes] = []
        while size:
            index = self._table.index_at(offset)
            within = offset - self._table[index].offset
            part = self._frame(index)[within : within + size]
            parts.append(part)
            offset, size = offset + len(part), size - len(part)
        return b"".join(parts)

    def _frame(self, index: int) -> bytes:
        if self._last[0] != index:
            frame = self._table[index]
            stored = self._read_at(frame.stored_offset, frame.stored_size)
            self._last = index, frame_content(self._table.compression, stored, frame.size)
        return self._last[1]


class _Around:
    """Goes from header to header; header and digest of the manifest's member are known."""

    def __init__(self, manifest: Manifest, first: Member, manifest_digest: str, content: _Content) -> None:
        self._manifest = manifest
        self._first = first
        self._manifest_digest = manifest_digest
        self._read = content.read

    def read(self) -> AroundCore:
        offset = self._end_of_files()
        core, place, offset = self._member(offset)
        if core != core_member(self._manifest, core.size):
            raise ValueError(f"the manifest announces a core, the archive has {core.name!r:.200}")
        digests, offset = self._small(layout.CORE_DIGESTS, offset, digests_length(place.size))
        parse_digests(digests, place.size)
        # Of no use here, and whoever reads them checks them.
        _, _, offset = self._named(layout.CORE_LAYOUT, offset)
        _, _, offset = self._named(layout.RUN_SCRIPT, offset)
        names = [layout.MANIFEST, *(os.fsdecode(member.name) for _, member in file_members(self._manifest))]
        names += [layout.CORE_DIGESTS, layout.CORE_LAYOUT, layout.RUN_SCRIPT]
        sums, _ = self._small(layout.SUMS, offset, len(format_sums((name, "0" * 64) for name in names)))
        found = [line.lstrip(b"\\")[:64].decode("ascii", "replace") for line in sums.split(b"\n")]
        listed = list(zip(names, found, strict=False))
        if format_sums(listed) != sums:
            raise ValueError(f"{layout.SUMS} is not of this bundle")
        for name, data_digest in ((0, self._manifest_digest), (-3, hashlib.sha256(digests).hexdigest())):
            if listed[name][1] != data_digest:
                raise ValueError(f"the digest does not match: {listed[name][0]}")
        files = tuple(listed[1:-3])
        return AroundCore(identity_of(sums), place, digests, files, self._files_key(files))

    def _end_of_files(self) -> int:
        """Where the header of the core is: all before it is as the manifest says."""
        members = [self._first, *symlink_members(self._manifest), *(each for _, each in file_members(self._manifest))]
        return sum(len(format_member(each)) + each.size + padding(each.size) for each in members)

    def _files_key(self, files: tuple[tuple[str, str], ...]) -> str:
        links = [(each.path, each.target) for each in self._manifest.symlinks]
        entries = [(each.mode, each.mtime, *named) for each, named in zip(self._manifest.files, files, strict=False)]
        return hashlib.sha256(json.dumps(["files", links, entries]).encode("ascii")).hexdigest()

    def _member(self, offset: int) -> tuple[Member, Extent, int]:
        """The member whose header is at ``offset``, where its content is, and where the next header is."""
        header = self._read(offset, BLOCK)
        size = pax_size(header)
        if size > layout.MAX_PAX:
            raise ValueError("an extended header is too long")
        if size:
            header = self._read(offset, 2 * BLOCK + size + padding(size))
        member = parse_member(header)
        place = Extent(offset + len(header), member.size)
        return member, place, place.offset + place.size + padding(place.size)

    def _named(self, name: str, offset: int) -> tuple[Member, Extent, int]:
        found = self._member(offset)
        if found[0].name != name.encode("ascii"):
            raise ValueError(f"{name} is missing")
        return found

    def _small(self, name: str, offset: int, size: int) -> tuple[bytes, int]:
        """The content of a member of ours of this size, and where the next header is."""
        member, place, following = self._named(name, offset)
        if member != plain(name, size):
            raise ValueError(f"{name} has another size")
        return self._read(place.offset, size), following
