"""What reads bytes of strangers, one function for each: it returns, or raises what must not be raised.

A ``CoreboxError`` is an answer. Anything else is a defect, and so is too much time or memory (``bounds``).
"""

import atexit
import contextlib
import functools
import gzip
import itertools
import os
import resource
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from corebox.bundle.blocks import BLOCK_SIZE, parse_digests
from corebox.bundle.corecontent import CompactCore
from corebox.bundle.corelayer import layer_head, layer_tail
from corebox.coredump.compare import compare_with_file
from corebox.coredump.core import CoreFile, open_core
from corebox.coredump.elffile import read_elf
from corebox.coredump.usage import measure_memory
from corebox.errors import CoreboxError
from corebox.files.diskroot import DiskRoot
from corebox.files.paths import is_canonical
from corebox.files.seekable import GZIP, MAX_FRAMES, TableWriter, frame_content, read_table
from corebox.gather.collect import GatherOptions, collect
from corebox.locate.archives import Archive
from corebox.reduce.redact import plan_redaction
from corebox.reduce.slim import plan_slim
from corebox.registry.layers import files_of
from corebox.store.store import Store
from corebox.unbundle.around import AroundReader
from corebox.unbundle.compression import is_compressed
from corebox.unbundle.parse import parse_manifest
from corebox.unbundle.read import BundleReader
from corebox.unbundle.verify import verify_unpacked
from tests.support.compactcores import content_of
from tests.support.elfwriter import NT_AUXV, NT_FILE, CoreWriter, Format

Target = Callable[[bytes], None]

SECONDS = 10
MEMORY = 1 << 30
FORMATS = [Format(bits, order, machine) for bits, machine in ((64, 62), (32, 3)) for order in "<>"]
#: Where the memory of the target ``link_map`` lies, and how far its second copy is from the first.
BASE, APART = 0x10000, 0x800
BLOCK = 512


@contextlib.contextmanager
def bounds() -> Iterator[None]:
    """Make what takes too much processor time or memory raise TimeoutError or MemoryError; in the main thread only."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    before = signal.signal(signal.SIGPROF, _too_late)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY, hard))
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _too_late(*_: object) -> None:
    raise TimeoutError(f"no end after {SECONDS} seconds")


@contextlib.contextmanager
def in_file(data: bytes) -> Iterator[str]:
    """The path of a file in memory with these bytes."""
    descriptor = os.memfd_create("fuzz")
    try:
        os.write(descriptor, data)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def ask_everything(core: CoreFile) -> None:
    """Ask a core all it can be asked."""
    assert (core.process, core.other_files, core.truncation, core.stored_size, core.link_map) is not None
    measure_memory(core)
    content = CompactCore(core)
    compact = content_of(content)
    assert len(compact) == content.size
    layer_head(compact[:64], content.size, 0)
    layer_tail(content.size, lambda offset, size: compact[offset : offset + size])
    plan_slim(core)
    plan_redaction(core, environment=True, patterns=[b"secret"])
    for module in core.modules:
        compare_with_file(core, module, core.fileno())
    with tempfile.TemporaryDirectory(dir="/dev/shm") as empty, DiskRoot(empty) as root:
        written = collect(core, root, GatherOptions()).manifest.to_bytes()
    assert parse_manifest(written).to_bytes() == written  # what gather writes can be read


def _ask_core(data: bytes) -> None:
    with contextlib.suppress(CoreboxError), in_file(data) as path, open_core(path) as core:
        ask_everything(core)


def segments(data: bytes) -> None:
    """A whole core file: header, program headers, notes, memory."""
    _ask_core(data)


def notes(data: bytes) -> None:
    """The notes of a core; the first byte chooses word size and byte order."""
    writer = CoreWriter(FORMATS[data[0] % len(FORMATS)] if data else FORMATS[0], [data[1:]])
    writer.memory(BASE, bytes(64))
    _ask_core(writer.to_bytes())


def link_map(data: bytes) -> None:
    """Memory, mapped two times so that the copies overlap, with an executable's headers where it begins."""
    form = FORMATS[data[0] % len(FORMATS)] if data else FORMATS[0]
    memory = data[1:]
    writer = CoreWriter(form)
    writer.note(NT_AUXV, form.words(3, BASE + form.header_size, 5, 8, 9, BASE, 25, BASE, 31, BASE, 0, 0))
    writer.note(NT_FILE, form.mappings([(BASE + at, BASE + at + 64, 0, b"/a") for at in (0, 64, APART)]))
    for start in (BASE, BASE + APART):
        writer.memory(start, memory, flags=5)
    _ask_core(writer.to_bytes())


def elf(data: bytes) -> None:
    """An ELF file on disk."""
    with contextlib.suppress(CoreboxError), in_file(data) as path:
        read_elf(path)


def manifest(data: bytes) -> None:
    """``corebox.json``: what is read from it is written and read again as the same."""
    with contextlib.suppress(CoreboxError):
        value = parse_manifest(data)
        assert parse_manifest(value.to_bytes()) == value


def bundle(data: bytes) -> None:
    """A bundle: compressed, or a tar archive whose checksums are put right so that more than they is tried."""
    packed = data if is_compressed(data[:4]) else gzip.compress(_with_checksums(data), 0, mtime=0)
    with (
        contextlib.suppress(CoreboxError),
        tempfile.TemporaryDirectory(dir="/dev/shm") as into,
        in_file(packed) as path,
    ):
        with BundleReader(path) as reader:
            unpacked = reader.unpack(into)
        verify_unpacked(reader.manifest, unpacked, path)


def _with_checksums(archive: bytes) -> bytes:
    """The archive with the right checksum in all that looks like a header."""
    fixed = bytearray(archive)
    for at in range(0, len(archive) - BLOCK + 1, BLOCK):
        if fixed[at + 257 : at + 262] == b"ustar":
            fixed[at + 148 : at + 156] = b" " * 8
            fixed[at + 148 : at + 156] = b"%06o\0 " % sum(fixed[at : at + BLOCK])
    return bytes(fixed)


def table(data: bytes) -> None:
    """The end of a file of frames, zstd or gzip, behind as many bytes as its table wants; then the file as it is."""
    for ahead in (0, int.from_bytes(data[:4], "little")):
        frames = read_table(functools.partial(_ending, data, ahead), ahead + len(data))
        if frames is None:
            continue
        assert 0 < len(frames) <= MAX_FRAMES
        assert frames.stored_size < ahead + len(data)
        assert frames[frames.index_at(frames.size - 1)] == frames[len(frames) - 1]
        frames.blocks(frames[0].size, frames.size, BLOCK_SIZE)
        for frame in itertools.islice(frames, 20):
            stored = _ending(data, ahead, frame.stored_offset, frame.stored_size)
            with contextlib.suppress(ValueError):
                assert len(frame_content(frames.compression, stored, frame.size)) == frame.size


def _ending(data: bytes, ahead: int, offset: int, size: int) -> bytes:
    """Of a file that ends with ``data``, behind so many zeros."""
    zeros = max(0, min(size, ahead - offset))
    begin = max(0, offset - ahead)
    return bytes(zeros) + data[begin : begin + size - zeros]


def around(data: bytes) -> None:
    """A bundle in frames, whose core is passed over: the archive with checksums put right, and a table that is true."""
    with (
        contextlib.suppress(CoreboxError),
        tempfile.TemporaryDirectory(dir="/dev/shm") as into,
        in_file(in_frames(_with_checksums(data))) as path,
        AroundReader(path) as reader,
    ):
        if reader.table is None:
            return
        found = reader.around()
        assert 0 < found.place.offset <= found.place.offset + found.place.size <= reader.table.size
        assert len(parse_digests(found.digests, found.place.size)) == -(-found.place.size // BLOCK_SIZE)
        reader.unpack_files(Path(into, "new"), found)


def in_frames(content: bytes, size: int = 2000) -> bytes:
    """The content in gzip members of so many bytes each, with their table."""
    table = TableWriter(GZIP)
    pieces = [content[at : at + size] for at in range(0, len(content), size)]
    frames = [gzip.compress(piece, 1, mtime=0) for piece in pieces]
    for piece, frame in zip(pieces, frames, strict=True):
        table.add(len(piece), len(frame))
    return b"".join([*frames, table.to_bytes()])


def digests(data: bytes) -> None:
    """``core.digests`` of a core whose size is the first four bytes."""
    size, text = int.from_bytes(data[:4], "little"), data[4:]
    with contextlib.suppress(CoreboxError):
        parsed = parse_digests(text, size)
        assert len(parsed) * 65 == len(text)
        assert not parsed.is_right(0, b"") or not size


def layer(data: bytes) -> None:
    """The tar of a layer of somebody else's image."""
    with contextlib.suppress(CoreboxError), tempfile.TemporaryDirectory(dir="/dev/shm") as work:
        for file in files_of(lambda: iter([data]), "", lambda _: True, Path(work), elf_only=False):
            assert is_canonical(file.name)


def archive(data: bytes) -> None:
    """A package, a tar or a zip file as a place."""
    with contextlib.suppress(CoreboxError), in_file(data) as path:
        for member in Archive(Path(path), _store()).members(lambda _: True):
            assert is_canonical(member.name)


@functools.cache
def _store() -> Store:
    folder = tempfile.TemporaryDirectory(dir="/dev/shm")
    atexit.register(folder.cleanup)
    return Store(Path(folder.name))


TARGETS: dict[str, Target] = {
    each.__name__: each
    for each in (notes, segments, link_map, elf, manifest, bundle, around, table, digests, layer, archive)
}
