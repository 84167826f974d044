"""Compresses layers for the way, and takes them apart again on the other side.

gzip because every engine can pull it (Docker 20.10 cannot pull zstd); by isal, which is ten times as fast as zlib.
A layer consists of independent frames, gzip members (RFC 1952 section 2.2) or zstd frames, with their table at its end
(``files/seekable.py``): all processors can work on it, its bytes depend on its content alone, and who has the table
reads any block of a core without the rest.
"""

import contextlib
import hashlib
import itertools
import os
import tarfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

from isal import isal_zlib

from corebox.bundle.blocks import BLOCK_SIZE
from corebox.bundle.corelayer import core_within, layer_tail
from corebox.errors import InputError
from corebox.files import zstd
from corebox.files.crew import Crew
from corebox.files.extents import read_at
from corebox.files.frames import Codec, FrameWriter, zstd_codec
from corebox.files.gunzip import WRAPPED, gunzip
from corebox.files.seekable import GZIP, ZSTD, Frame, FrameTable, ReadAt, TableWriter, frame_content
from corebox.files.stage import Stage
from corebox.registry.faults import digest_mismatch
from corebox.store.blobs import BlobWriter
from corebox.unbundle.compression import table_of

#: Media types of layers by the name of the compression (OCI image spec, ``layer.md``).
COMPRESSIONS = {
    "gzip": "application/vnd.oci.image.layer.v1.tar+gzip",
    "zstd": "application/vnd.oci.image.layer.v1.tar+zstd",
}
_MAGICS = {b"\x1f\x8b": "gzip", b"\x28\xb5": "zstd"}
#: Takes as long as level 1, and what it makes is 1 % smaller.
_LEVEL = 2
#: Of what is no core.
_FRAME_SIZE = 2 << 20
_MAX_TRIES = 2
_GZIP_WINDOW = 31
#: The most that ISA-L leaves to the code for the end of its input (``MIN_INBUF_PADDING``, igzip_icf_body_h1_gr_bt.asm).
_HEAD = 16


def compress_layer(
    tar: Path, writer: BlobWriter, compression: str, on_progress: Callable[[], object] = lambda: None
) -> str:
    """Compress the layer into ``writer``, and return the digest of what was read.

    ``on_progress`` is called whenever something has been written.

    Raises:
        HostError: ``no-libzstd``.
    """
    codec = zstd_codec() if compression == ZSTD else Codec(GZIP, lambda: gzip_member)
    frames = FrameWriter(cast("BinaryIO", _Copying(writer)), os.cpu_count() or 1, codec)
    found = hashlib.sha256()
    try:
        with tar.open("rb") as file, Stage(found.update) as hashing:
            for size in _frame_sizes(tar):
                data = file.read(size)
                hashing.put(data)
                frames.write(data)
                frames.cut()
                on_progress()
        frames.flush()
    except BaseException:
        frames.abandon()
        raise
    frames.close()
    return "sha256:" + found.hexdigest()


def _frame_sizes(tar: Path) -> Iterator[int]:
    """How a layer is cut: one with a core so that each block of that is a frame of its own, as in a bundle."""
    size, position = tar.stat().st_size, 0
    with contextlib.suppress(ValueError):
        core = core_within(str(tar))
        yield core.offset
        yield from (min(BLOCK_SIZE, core.size - at) for at in range(0, core.size, BLOCK_SIZE))
        position = core.offset + core.size
    for at in range(position, size, _FRAME_SIZE):
        yield min(_FRAME_SIZE, size - at)


class FramesError(Exception):
    """The bundle has no frames that are this core's."""


def wrap_frames(tar: Path, bundle: Path, writer: BlobWriter, on_progress: Callable[[], object] = lambda: None) -> None:
    """Write a core's layer, whose tar is in the store, as zstd, with the bundle's own frames for the core.

    The core is compared with the tar's and not hashed, which takes half as long: two files do not rot alike.
    ``on_progress`` is called whenever something has been written.

    Raises:
        FramesError: the bundle's core is another, or something around the tar's is not as it should be.
        HostError: ``no-libzstd``.
    """
    try:
        _wrap(tar, bundle, writer, on_progress)
    except ValueError as error:
        raise FramesError from error


def _wrap(tar: Path, bundle: Path, writer: BlobWriter, on_progress: Callable[[], object]) -> None:
    core, jobs = core_within(str(tar)), os.cpu_count() or 1
    table = TableWriter(ZSTD)
    with tar.open("rb") as layer, bundle.open("rb") as source:
        read_layer = partial(read_at, layer.fileno())
        tail = layer_tail(core.size, lambda at, size: read_layer(core.offset + at, size))
        if read_layer(core.offset + core.size, len(tail) + 1) != tail:
            raise ValueError("another tail")
        _compress_alone(read_layer(0, core.offset), writer, table)
        frames = _frames_of_core(table_of(source), core.size)
        same = partial(_same, partial(read_at, source.fileno()), read_layer, core.offset - frames[0].offset)
        with Crew(same, jobs) as crew:
            for size, stored in crew.each(frames):
                table.add(size, len(stored))
                writer.write(stored)
                on_progress()
        _compress_alone(tail, writer, table)
        writer.write(table.to_bytes())


def _frames_of_core(table: FrameTable | None, size: int) -> list[Frame]:
    """The frames of a bundle that may hold a compact core of so many bytes: more is seen by what they hold."""
    if table is not None and table.compression == ZSTD:
        begins = (frame.offset for frame in table if frame.size == min(size, BLOCK_SIZE))
        for offset in itertools.islice(begins, _MAX_TRIES):  # the last frame before the core may be as long as a block
            blocks = table.blocks(offset, size, BLOCK_SIZE)
            if blocks:
                return [table[index] for index in blocks]
    raise ValueError("no frames of this core")


def _same(read_bundle: ReadAt, read_layer: ReadAt, shift: int, frame: Frame) -> tuple[int, bytes]:
    """The frame as it is stored, which holds what the layer has at its place."""
    stored = read_bundle(frame.stored_offset, frame.stored_size)
    if frame_content(ZSTD, stored, frame.size) != read_layer(frame.offset + shift, frame.size):
        raise ValueError("another core")
    return frame.size, stored


def _compress_alone(data: bytes, writer: BlobWriter, table: TableWriter) -> None:
    compress = zstd_codec().compressor()
    for at in range(0, len(data), _FRAME_SIZE):
        part = memoryview(bytearray(data[at : at + _FRAME_SIZE]))
        frame = bytes(compress(part))
        writer.write(frame)
        table.add(len(part), len(frame))


def gzip_member(block: bytes | memoryview) -> bytes:
    """A block as one gzip member, of which every byte depends on the block alone.

    Its first bytes go alone. Where a stream begins, ISA-L 2.32.1's quick code enters the hash of its own stack's
    address in place of that of bytes 2 to 5 (``write_first_byte`` in igzip_icf_body_h1_gr_bt.asm reads a register that
    holds the stream), and may then find one match more or less than on another thread. What goes alone is too short for
    that code. It costs eight bytes.
    """
    member = isal_zlib.compressobj(_LEVEL, wbits=_GZIP_WINDOW)
    head = member.compress(block[:_HEAD]) + member.flush(isal_zlib.Z_SYNC_FLUSH)
    return head + member.compress(memoryview(block)[_HEAD:]) + member.flush()


class _Copying:
    """A sink for a compressor that uses its buffer again, while the store hashes on another thread."""

    def __init__(self, writer: BlobWriter) -> None:
        self._writer = writer

    def write(self, data: bytes) -> int:
        return self._writer.write(bytes(data))


def compression_of(pieces: Iterator[bytes], media_type: str) -> tuple[str, Iterator[bytes]]:
    """How a layer is compressed, as ``decompress`` wants to know it, and its pieces again.

    Its first bytes count: skopeo, and who builds images with Nix, call layers compressed that are not
    (containers/image 1270). What begins as nothing that is known is what ``media_type`` says.
    """
    head = b""
    for piece in pieces:
        head += piece
        if len(head) >= tarfile.BLOCKSIZE:
            break
    known = next((name for magic, name in _MAGICS.items() if head.startswith(magic)), None)
    is_tar = head[257:262] == b"ustar"
    compression = known or ("" if is_tar else media_type)
    return compression, itertools.chain([head], pieces)


def decompress(pieces: Iterator[bytes], media_type: str) -> Iterator[bytes]:
    """The tar in a layer, in pieces of at most a MiB.

    Raises:
        InputError: ``digest-mismatch`` for what is not compressed as ``media_type`` says.
        HostError: ``no-libzstd``.
    """
    try:
        if media_type.endswith("gzip"):
            yield from gunzip(pieces, lambda: isal_zlib.decompressobj(wbits=WRAPPED), isal_zlib.error)  # type: ignore[arg-type]  # its stub knows no type
        elif media_type.endswith("zstd"):
            yield from zstd.decompressed(zstd.require_library(), cast("BinaryIO", _Reader(pieces)))
        else:
            yield from pieces
    except ValueError as error:
        raise digest_mismatch(str(error)) from error
    except InputError as error:
        raise error if error.code != "window-too-large" else digest_mismatch(error.message) from error


class _Reader:
    """Pieces as a file."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = b""

    def read(self, size: int) -> bytes:
        data = self._left or next(self._pieces, b"")
        self._left = data[size:]
        return data[:size]
