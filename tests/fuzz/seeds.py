"""What mutation begins with: well-formed inputs for each target, small."""

import functools
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from corebox.bundle.blocks import BlockHasher
from corebox.coredump.core import open_core
from corebox.files.frames import Codec, FrameWriter, zstd_codec
from corebox.files.seekable import GZIP, ZSTD, TableWriter
from tests.fuzz.targets import BASE, FORMATS, in_file
from tests.support.elfwriter import (
    NT_AUXV,
    NT_FILE,
    NT_PRSTATUS,
    NT_SIGINFO,
    PT_DYNAMIC,
    PT_LOAD,
    PT_NOTE,
    PT_PHDR,
    Format,
    module,
)
from tests.support.realcores import CORES
from tests.unit.bundle import samples

FOUND = Path(__file__).parent / "found"
#: Of a real core: what holds its headers and notes, and some memory.
HEAD = 16 << 10


def _core_heads() -> Iterator[bytes]:
    for path in sorted(CORES.glob("*.core.xz")):
        with lzma.open(path) as core:
            yield core.read(HEAD)


def segments() -> Iterator[bytes]:
    """The heads of real cores."""
    yield from _core_heads()


def notes() -> Iterator[bytes]:
    """The notes of the real cores of the PC, and one of each kind in all formats."""
    for data in _core_heads():
        with in_file(data) as path, open_core(path) as core:
            if core.machine in {"x86_64", "i386"}:
                choice = b"\0" if core.bits == 64 else b"\2"
                for segment in core.table.notes:
                    yield choice + core.read_file(segment.offset, segment.file_size)
    for number, form in enumerate(FORMATS):
        yield bytes([number]) + b"".join((
            form.note(NT_PRSTATUS, form.prstatus(42, 11, list(range(27)))),
            form.note(NT_SIGINFO, form.ints(11, 0, 1, 0, 0xDEAD)),
            form.note(NT_AUXV, form.words(3, BASE, 5, 8, 0, 0)),
            form.note(NT_FILE, form.mappings([(BASE, BASE + 64, 0, b"/lib/a.so (deleted)")])),
        ))  # fmt: skip


def _linked(form: Format, loop: bool) -> bytes:
    """An executable's memory: headers, dynamic section, ``r_debug`` and two entries; the last may lead back."""
    word = form.word
    dynamic, debug, first, second, names = (form.header_size + 4 * form.entry_size + at for at in range(0, 320, 64))
    build_id = form.note(3, b"\xab" * 20, b"GNU\0")
    table = [
        form.entry(PT_PHDR, 4, form.header_size, form.header_size, 4 * form.entry_size, 4 * form.entry_size),
        form.entry(PT_LOAD, 5, 0, 0, 1 << 12, 1 << 12),
        form.entry(PT_DYNAMIC, 6, dynamic, dynamic, 4 * word, 4 * word),
        form.entry(PT_NOTE, 4, names + 32, names + 32, len(build_id), len(build_id)),
    ]
    parts = [
        form.words(21, BASE + debug, 0, 0),
        form.words(1, BASE + first),
        form.words(0, BASE + names, BASE + dynamic, BASE + second),
        form.words(BASE, BASE + names + 8, BASE + dynamic, BASE + first if loop else 0),
        b"/a\0".ljust(8, b"\0") + b"/lib/b.so\0".ljust(24, b"\0") + build_id,
    ]
    return form.header(3, 4) + b"".join(table) + b"".join(part.ljust(64, b"\0") for part in parts)


def link_map() -> Iterator[bytes]:
    """A list that ends and one that does not, in all formats."""
    for number, form in enumerate(FORMATS):
        for loop in (False, True):
            yield bytes([number]) + _linked(form, loop)


def elf() -> Iterator[bytes]:
    """Modules as tests write them, a real program."""
    for form in FORMATS:
        yield module(form, b"\xab" * 20)
        yield _linked(form, loop=False)
    yield Path("/bin/true").read_bytes()


def manifest() -> Iterator[bytes]:
    """The sample's."""
    yield samples.manifest().to_bytes()


def bundle() -> Iterator[bytes]:
    """The sample, without compression."""
    members = samples.parts(samples.manifest())
    yield b"".join(part.raw() for part in [*members, samples.sums_of(members)]) + bytes(1024)


def around() -> Iterator[bytes]:
    """The same, and one of version 1, whose core has no digests."""
    yield from bundle()
    members = samples.parts(samples.manifest(format=samples.VERSION_1))
    yield b"".join(part.raw() for part in [*members, samples.sums_of(members)]) + bytes(1024)


def table() -> Iterator[bytes]:
    """Files of few frames, whole, and tables of many alone, which say how much is before them."""
    for compression in (ZSTD, GZIP):
        out, codec = (
            io.BytesIO(),
            Codec(GZIP, lambda: partial(gzip.compress, mtime=0)) if compression == GZIP else zstd_codec(),
        )
        writer = FrameWriter(out, 1, codec)
        for part in (b"head", b"block" * 100, b"tail"):
            writer.write(part)
            writer.cut()
        writer.close()
        yield out.getvalue()
        numbers = TableWriter(compression)
        for _ in range(9000):
            numbers.add(1 << 20, 1 << 10)
        yield (9000 << 10).to_bytes(4, "little") + numbers.to_bytes()


def digests() -> Iterator[bytes]:
    """Of a core of three blocks."""
    hasher = BlockHasher()
    hasher.update(bytes((2 << 20) + 5))
    yield ((2 << 20) + 5).to_bytes(4, "little") + hasher.text()


def layer() -> Iterator[bytes]:
    """A file, a link to it of each kind, and one with a long name."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, kind in [("usr/lib/a.so", tarfile.REGTYPE), ("b.so", tarfile.LNKTYPE), ("c.so", tarfile.SYMTYPE)]:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "usr/lib/a.so" if kind != tarfile.REGTYPE else ""
            data = module(FORMATS[0], b"\xab" * 20) if kind == tarfile.REGTYPE else b""
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
        tar.addfile(tarfile.TarInfo("d/" * 100 + "e"))
    yield out.getvalue()


def archive() -> Iterator[bytes]:
    """A tar, with and without compression, a Debian package, and a zip file."""
    (data,) = layer()
    yield data
    yield gzip.compress(data, mtime=0)
    parts = [(b"debian-binary", b"2.0\n"), (b"data.tar", data)]
    rows = (b"%-16s%-12d%-6d%-6d%-8o%-10d`\n" % (name, 0, 0, 0, 0o644, len(part)) + part for name, part in parts)
    yield b"!<arch>\n" + b"".join(rows)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("usr/lib/a.so", module(FORMATS[0], b"\xab" * 20))
    yield out.getvalue()


_SEEDS: dict[str, Callable[[], Iterator[bytes]]] = {
    each.__name__: each
    for each in (notes, segments, link_map, elf, manifest, bundle, around, table, digests, layer, archive)
}


@functools.cache
def seeds_of(target: str) -> list[bytes]:
    """The inputs to begin with, and those that once found a defect."""
    return [*_SEEDS[target](), *(data for _, data in found_of(target))]


def found_of(target: str) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of what found a defect in a target."""
    for path in sorted((FOUND / target).glob("*")):
        yield path.name, path.read_bytes()
