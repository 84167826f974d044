"""Reads a bundle in one pass. Nothing in it is believed until SHA256SUMS, the last member, has agreed."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, Union

from corebox.bundle import layout
from corebox.bundle.digests import format_sums, identity_of
from corebox.bundle.faults import damaged
from corebox.bundle.manifest import Manifest
from corebox.bundle.members import begins_bundle, core_member, file_members, plain, symlink_members
from corebox.bundle.tarformat import BLOCK, Member, padding, parse_member, pax_size
from corebox.errors import InputError
from corebox.files.copying import write_at
from corebox.unbundle import compression
from corebox.unbundle.parse import parse_manifest
from corebox.unbundle.unpack import (
    copy_core,
    fresh_directory,
    make_symlink,
    new_file,
    require_space,
    skip_padding,
)

AnyPath = Union[str, "os.PathLike[str]"]


class Unpacked(NamedTuple):
    """A bundle in a directory.

    Attributes:
        core: the layer with the compact core (``corelayer.py``), which is a core file too, if the bundle has one.
        core_layer: the SHA-256 of that layer, in hex, if it was wanted.
        core_digests: those of the core's blocks; a bundle of version 1 has none.
        core_layout: from which the original comes back.
        digests: the SHA-256 of each member that has one, in hex.
    """

    identity: str
    root: Path
    core: Path | None
    core_layer: str | None
    core_digests: Path | None
    core_layout: Path | None
    run_script: Path
    sums: bytes
    digests: dict[str, str]


class BundleReader:
    """A bundle, open: ``manifest`` is there at once, ``unpack`` may be called one time.

    Args:
        path: where it is, and what it is called.
        file: its bytes, if they are not those of the file at ``path``; it is closed in the end.

    Raises:
        InputError: ``cannot-read``, ``not-a-bundle``, ``bundle-too-new`` or ``bundle-damaged``.
        HostError: ``no-libzstd``.
    """

    def __init__(self, path: AnyPath, file: BinaryIO | None = None) -> None:
        self._path = os.fspath(path)
        self._given = file
        self._digests: list[tuple[str, str]] = []

    def __enter__(self) -> "BundleReader":
        self._file: BinaryIO = self._given or _open(self._path)
        try:
            self._stream = compression.Stream(_pieces(self._file, self._path))
            self.manifest: Manifest = self._read_manifest()
        except BaseException:
            self._file.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def unpack(self, into: AnyPath, *, hash_layer: bool = False) -> Unpacked:
        """Check every member and put it into the directory ``into``, which is made, or is empty.

        Args:
            into: see there.
            hash_layer: compute the digest of the core's layer, too.

        Raises:
            InputError: ``bundle-damaged``; nothing is left in ``into`` then.
            HostError: ``no-space``, ``not-empty`` or ``cannot-unpack``.
        """
        into = Path(into)
        with fresh_directory(into):
            self._unpack_tree(into)
            layer = self._unpack_core(into, hash_layer) if self.manifest.core.included else None
            self._unpack_run_script(into)
            sums = self._read_sums()
            new_root = into / layout.ROOTFS
            new_root.mkdir(exist_ok=True)
        return Unpacked(
            identity=identity_of(sums),
            root=new_root,
            core=_there(into / layout.CORE),
            core_layer=layer,
            core_digests=_there(into / layout.CORE_DIGESTS),
            core_layout=_there(into / layout.CORE_LAYOUT),
            run_script=into / layout.RUN_SCRIPT,
            sums=sums,
            digests=dict(self._digests),
        )

    def _unpack_tree(self, into: Path) -> None:
        """Put the links and files that the manifest announces into ``into``, and note the digests of the files."""
        require_space(into, sum(entry.size for entry in self.manifest.files))
        for link in symlink_members(self.manifest):
            self._expect(link)
            make_symlink(into, link)
        for _, member in file_members(self.manifest):
            self._expect(member)
            self._unpack_file(into, member)

    def _read_manifest(self) -> Manifest:
        block = self._stream.read(BLOCK)
        if not begins_bundle(block):
            raise InputError(
                "not-a-bundle",
                f"{self._path} is not a bundle: it does not begin with {layout.MANIFEST}",
                "give the .corebox file that `corebox gather` wrote",
            )
        try:
            member = parse_member(block)
        except ValueError as error:
            raise damaged(f"its first member's header: {error}") from error
        if member != plain(layout.MANIFEST, member.size) or member.size > layout.MAX_MANIFEST:
            raise damaged(f"its first member is not {layout.MANIFEST}")
        return parse_manifest(self._read_small(member))

    def _next(self) -> Member:
        """The header of the next member."""
        header = self._stream.read(BLOCK)
        try:
            size = pax_size(header)
            if size > layout.MAX_PAX:
                raise damaged("an extended header is too long")
            if size:
                header += self._stream.read(size + padding(size)) + self._stream.read(BLOCK)
            return parse_member(header)
        except ValueError as error:
            raise damaged(f"a member's header: {error}") from error

    def _expect(self, expected: Member) -> None:
        member = self._next()
        if member != expected:
            what = "something else about it" if member.name == expected.name else repr(member.name)[:200]
            raise damaged(f"the manifest announces {expected.name!r:.200}, the archive has {what}")

    def _read_small(self, member: Member) -> bytes:
        data = self._stream.read(member.size)
        skip_padding(self._stream, member)
        self._digests.append((member.name.decode("ascii"), hashlib.sha256(data).hexdigest()))
        return data

    def _unpack_file(self, into: Path, member: Member) -> None:
        digest = hashlib.sha256()
        offset = 0
        with new_file(into, member) as descriptor:
            for piece in self._stream.pieces(member.size):
                digest.update(piece)
                write_at(descriptor, piece, offset)
                offset += len(piece)
        skip_padding(self._stream, member)
        self._digests.append((os.fsdecode(member.name), digest.hexdigest()))

    def _unpack_core(self, into: Path, hash_layer: bool) -> str | None:
        """Return the layer's digest, if it was computed."""
        by_layer = self.manifest.format.major == layout.LAYER_DIGEST_MAJOR
        member = self._next()
        if member != core_member(self.manifest, member.size):
            raise damaged(f"the manifest announces a core, the archive has {member.name!r:.200}")
        with new_file(into, member) as descriptor:
            copied = copy_core(self._stream, member, descriptor, into, hash_layer or by_layer, not by_layer)
        if copied.digests is None:
            self._digests.append((layout.CORE, str(copied.layer)))
        else:
            self._unpack_digests(into, copied.digests)
        member = self._next()
        if member != plain(layout.CORE_LAYOUT, member.size) or member.size > layout.MAX_CORE_LAYOUT:
            raise damaged(f"{layout.CORE_LAYOUT} is missing")
        self._unpack_file(into, member)
        return copied.layer

    def _unpack_digests(self, into: Path, expected: bytes) -> None:
        member = plain(layout.CORE_DIGESTS, len(expected))
        self._expect(member)
        found = self._read_small(member)
        if found != expected:
            lines = zip(found.splitlines(), expected.splitlines(), strict=False)
            wrong = [number for number, (said, true) in enumerate(lines) if said != true]
            raise damaged(
                f"the digest does not match: MiB {wrong[0] if wrong else 0} of 'core', as 'core.digests' has it"
            )
        with new_file(into, member) as descriptor:
            write_at(descriptor, found, 0)

    def _unpack_run_script(self, into: Path) -> None:
        member = self._next()
        if member != plain(layout.RUN_SCRIPT, member.size, 0o755) or member.size > layout.MAX_RUN_SCRIPT:
            raise damaged(f"{layout.RUN_SCRIPT} is missing")
        data = self._read_small(member)
        with new_file(into, member) as descriptor:
            write_at(descriptor, data, 0)

    def _read_sums(self) -> bytes:
        """Check the last member and the end."""
        expected = format_sums(self._digests)
        member = plain(layout.SUMS, len(expected))
        self._expect(member)
        sums = self._stream.read(member.size)
        skip_padding(self._stream, member)
        if sums != expected:
            raise damaged(f"the digest does not match: {_first_difference(sums, expected)}")
        if self._stream.read(2 * BLOCK).strip(b"\0") or not self._stream.at_end():
            raise damaged("unexpected data after its end")
        return sums


def _there(path: Path) -> Path | None:
    return path if path.exists() else None


def _first_difference(sums: bytes, expected: bytes) -> str:
    for ours, theirs in zip(expected.splitlines(), sums.splitlines(), strict=False):
        if ours != theirs:
            return "{!r:.200}".format(ours.partition(b"  ")[2].decode("utf-8", "surrogateescape"))
    return layout.SUMS


def _open(path: str) -> BinaryIO:
    try:
        return Path(path).open("rb")
    except OSError as error:
        raise _cannot_read(path, error) from error


def _pieces(file: BinaryIO, path: str) -> Iterator[bytes]:
    """The archive in the file; a disk that fails is told from one that cannot take what we unpack."""
    try:
        yield from compression.decompressed(file)
    except OSError as error:
        raise _cannot_read(path, error) from error


def _cannot_read(path: str, error: OSError) -> InputError:
    hint = f"check the name, its permissions and the disk: ls -l {path}"
    return InputError("cannot-read", f"cannot read {path}: {error.strerror}", hint)


def read_manifest(path: AnyPath, file: BinaryIO | None = None) -> Manifest:
    """The manifest alone, after reading only the beginning of the bundle; no digest has been checked.

    The arguments are those of ``BundleReader``.

    Raises:
        InputError: ``cannot-read``, ``not-a-bundle``, ``bundle-too-new`` or ``bundle-damaged``.
    """
    with BundleReader(path, file) as reader:
        return reader.manifest


def is_bundle(path: AnyPath) -> bool:
    """Whether the file begins as a bundle does.

    Raises:
        InputError: ``cannot-read``.
    """
    with _open(os.fspath(path)) as file:
        try:
            return compression.begins_bundle(file)
        except InputError as error:
            return error.code == "window-too-large"  # who opens it is told what to do
