"""Compresses layers for the way, and takes them apart again on the other side.

gzip because every engine can pull it (Docker 20.10 cannot pull zstd); by isal, which is ten times as fast as zlib.
Each MiB is a gzip member of its own (RFC 1952 section 2.2), so that all processors can work on one layer and the bytes
depend on the content alone.
"""

import ctypes
import hashlib
import itertools
import os
import tarfile
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import IO, BinaryIO, cast

from isal import isal_zlib

from corebox.bundle.corelayer import core_within, layer_tail
from corebox.errors import HostError, InputError
from corebox.files import zstd
from corebox.files.extents import Extent, read_at
from corebox.files.gunzip import WRAPPED, gunzip
from corebox.files.stage import Stage
from corebox.registry.faults import digest_mismatch
from corebox.store.blobs import BlobWriter

#: Media types of layers by the name of the compression (OCI image spec, ``layer.md``).
COMPRESSIONS = {
    "gzip": "application/vnd.oci.image.layer.v1.tar+gzip",
    "zstd": "application/vnd.oci.image.layer.v1.tar+zstd",
}
_MAGICS = {b"\x1f\x8b": "gzip", b"\x28\xb5": "zstd"}
#: Takes as long as level 1, and what it makes is 1 % smaller.
_LEVEL = 2
_BLOCK = 1 << 20
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
    found = hashlib.sha256()
    with tar.open("rb") as file, Stage(found.update) as hashing:
        for _ in (_zstd if compression == "zstd" else _gzip)(_blocks(file, hashing), writer):
            on_progress()
    return "sha256:" + found.hexdigest()


class FramesError(Exception):
    """The bundle is not zstd, or its second frame is not the core's."""


def core_frame(bundle: Path) -> Extent:
    """Where in a bundle its second frame lies, which is the core's; raises FramesError."""
    with bundle.open("rb") as file:
        try:
            start = zstd.frame_end(file.fileno(), 0)
            return Extent(start, zstd.frame_end(file.fileno(), start) - start)
        except ValueError as error:
            raise FramesError from error


def wrap_frame(tar: Path, bundle: Path, writer: BlobWriter, on_progress: Callable[[], object] = lambda: None) -> None:
    """Write a core's layer, whose tar is in the store, as zstd, with the bundle's own frame for the core.

    The core is compared with the tar's and not hashed, which takes half as long: two files do not rot alike.
    ``on_progress`` is called whenever something has been written.

    Raises:
        FramesError: the bundle's core is another, or something around the tar's is not as it should be.
        HostError: ``no-libzstd``.
    """
    frame = core_frame(bundle)
    try:
        _wrap(tar, bundle, frame, writer, on_progress)
    except (InputError, ValueError) as error:
        raise FramesError from error


def _wrap(tar: Path, bundle: Path, frame: Extent, writer: BlobWriter, on_progress: Callable[[], object]) -> None:
    core = core_within(str(tar))
    with tar.open("rb") as layer, bundle.open("rb") as source:

        def compress(around: bytes) -> None:
            compressor = zstd.ZstdWriter(_libzstd(), cast("BinaryIO", _Copying(writer)), 0)
            compressor.write(around)
            compressor.close()

        compress(layer.read(core.offset))
        source.seek(frame.offset)
        for piece in zstd.decompressed(_libzstd(), cast("BinaryIO", _Passing(source, frame.size, writer))):
            if layer.read(len(piece)) != piece:
                raise ValueError("another core")
            on_progress()
        tail = layer_tail(core.size, lambda at, size: read_at(layer.fileno(), core.offset + at, size))
        if layer.read(len(tail) + 1) != tail:
            raise ValueError("another tail")
        compress(tail)


class _Passing:
    """So many bytes of a file, as a file, which go to a blob while they are read."""

    def __init__(self, file: IO[bytes], size: int, writer: BlobWriter) -> None:
        self._file = file
        self._left = size
        self._writer = writer

    def read(self, size: int) -> bytes:
        data = self._file.read(min(size, self._left))
        self._left -= len(data)
        self._writer.write(data)
        return data


def _blocks(file: IO[bytes], hashing: Stage) -> Iterator[bytes]:
    while block := file.read(_BLOCK):
        hashing.put(block)
        yield block


def _gzip(blocks: Iterator[bytes], writer: BlobWriter) -> Iterator[object]:
    jobs = os.cpu_count() or 1
    waiting: deque[Future[bytes]] = deque()
    with ThreadPoolExecutor(jobs) as pool:
        for block in blocks:
            waiting.append(pool.submit(gzip_member, block))
            if len(waiting) > 2 * jobs:
                yield writer.write(waiting.popleft().result())
        while waiting:
            yield writer.write(waiting.popleft().result())


def gzip_member(block: bytes) -> bytes:
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


def _zstd(blocks: Iterator[bytes], writer: BlobWriter) -> Iterator[object]:
    compressor = zstd.ZstdWriter(_libzstd(), cast("BinaryIO", _Copying(writer)), os.cpu_count() or 1)
    try:
        for block in blocks:
            compressor.write(block)
            yield None
    except BaseException:
        compressor.abandon()
        raise
    compressor.close()


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
            yield from zstd.decompressed(_libzstd(), cast("BinaryIO", _Reader(pieces)))
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


def _libzstd() -> ctypes.CDLL:
    library = zstd.load_library()
    if library is None:
        raise HostError("no-libzstd", "this machine has no libzstd 1.4 or later", "apt-get install libzstd1")
    return library
