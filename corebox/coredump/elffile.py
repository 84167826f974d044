"""Facts of ELF files on disk, through pyelftools."""

import io
import json
import os
import struct
import zlib
from typing import Any, List, NamedTuple, Optional, Set, Tuple

from corebox.coredump import faults
from corebox.coredump.disk import open_regular, read_at
from corebox.coredump.header import HEADER_SIZE, MAGIC, Header, parse_header
from corebox.coredump.machines import machine_name
from corebox.coredump.notes import parse_build_id
from corebox.coredump.values import ElfFile

# What pyelftools raises on damaged files beside its own two, found by feeding it damaged ones.
_DAMAGE = (
    struct.error,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    MemoryError,
    RecursionError,
)
_KINDS = {1: "rel", 2: "exec", 3: "dyn", 4: "core"}
MOST_READS = 200000
MOST_BYTES = 256 << 20
LONGEST_NOTES = 1 << 20
LONGEST_PACKAGE = 200
NT_FDO_PACKAGING_METADATA = 0xCAFE1A7E


class _TooMuchError(ValueError):
    """The headers of a file ask for more than any honest file does."""


class _MeasuredReader(io.FileIO):
    """A file that refuses to be read without end: pyelftools follows whatever counts and sizes a header gives."""

    reads_left = MOST_READS
    bytes_left = MOST_BYTES

    def read(self, size: Optional[int] = -1) -> bytes:
        """As FileIO; raises ValueError when too much was asked for."""
        left = os.fstat(self.fileno()).st_size - self.tell()
        wanted = max(0, left if size is None or size < 0 else min(size, left))
        self.reads_left -= 1
        self.bytes_left -= wanted
        if self.reads_left < 0 or self.bytes_left < 0:
            raise _TooMuchError("more headers than an ELF file can need")
        return super().read(wanted) or b""


class _Segments(NamedTuple):
    build_id: Optional[str]
    interpreter: Optional[str]
    soname: Optional[str]
    needed: Tuple[str, ...]


class _Sections(NamedTuple):
    names: Set[str]
    debuglink: Optional[Tuple[str, int]]
    debugaltlink: Optional[Tuple[str, str]]
    build_id: Optional[str]
    package: Optional[str]
    hollow: bool


_NO_SEGMENTS = _Segments(None, None, None, ())


def is_elf(path: str) -> bool:
    """Whether the file begins as ELF files do; raises as ``read_elf`` does if it cannot be read."""
    descriptor = open_regular(path)
    try:
        return read_at(descriptor, 0, len(MAGIC)) == MAGIC
    except OSError as error:
        raise faults.unreadable(path, error) from error
    finally:
        os.close(descriptor)


def debug_path(build_id: str) -> str:
    """Where gdb looks for the debug file of a build ID, below a debug-file-directory.

    gdb manual, "Separate Debug Files".
    """
    return ".build-id/{}/{}.debug".format(build_id[:2], build_id[2:])


def file_checksum(path: str) -> int:
    """The CRC-32 of a file, as a debuglink names it (gdb manual, "Separate Debug Files")."""
    crc = 0
    with open(path, "rb") as file:
        for piece in iter(lambda: file.read(1 << 20), b""):
            crc = zlib.crc32(piece, crc)
    return crc


def read_elf(path: str) -> ElfFile:
    """Facts of the ELF file at ``path``.

    Raises:
        InputError: ``not-elf``, ``no-such-file``, ``not-a-file``, ``cannot-read``.
    """
    # Slow to import, and many commands read no ELF file.
    from elftools.common.exceptions import ELFError  # noqa: PLC0415
    from elftools.construct import ConstructError  # noqa: PLC0415
    from elftools.elf.elffile import ELFFile  # noqa: PLC0415

    with _MeasuredReader(open_regular(path), "rb", closefd=True) as stream:
        try:
            header = parse_header(stream.read(HEADER_SIZE))
            if header is None:
                raise faults.not_elf(path, "it does not begin as one")
            return _facts(ELFFile(stream), header)  # type: ignore[no-untyped-call]
        except OSError as error:
            raise faults.unreadable(path, error) from error
        except (ELFError, ConstructError, *_DAMAGE) as error:
            raise faults.not_elf(path, "its headers are damaged") from error


def _facts(elf: Any, header: Header) -> ElfFile:
    sections = _read_sections(elf, header)
    segments = _NO_SEGMENTS if sections.hollow else _read_segments(elf, header)
    debug = bool(sections.names & {".debug_info", ".zdebug_info"})
    return ElfFile(
        machine=machine_name(header.machine, header.bits, header.byte_order),
        bits=header.bits,
        byte_order=header.byte_order,
        kind=_KINDS.get(header.kind, "other"),
        build_id=segments.build_id or sections.build_id,
        soname=segments.soname,
        needed=segments.needed,
        interpreter=segments.interpreter,
        debuglink=sections.debuglink,
        stripped=not debug and ".symtab" not in sections.names,
        has_debug_info=debug,
        debugaltlink=sections.debugaltlink,
        package=sections.package,
        lowest_page=min((s["p_vaddr"] & ~0xFFF for s in elf.iter_segments("PT_LOAD")), default=0),
    )


def _read_segments(elf: Any, header: Header) -> _Segments:
    build_id, interpreter, soname = None, None, None
    needed: List[str] = []
    for segment in elf.iter_segments():
        if segment["p_type"] == "PT_NOTE" and build_id is None:
            build_id = _build_id(elf, header, segment["p_offset"], segment["p_filesz"])
        elif segment["p_type"] == "PT_INTERP":
            interpreter = os.fsdecode(segment.get_interp_name().encode("latin-1"))  # as pyelftools decoded it
        elif segment["p_type"] == "PT_DYNAMIC" and segment["p_filesz"]:
            for tag in segment.iter_tags():
                if tag.entry.d_tag == "DT_SONAME":
                    soname = tag.soname
                elif tag.entry.d_tag == "DT_NEEDED":
                    needed.append(tag.needed)
    return _Segments(build_id, interpreter, soname, tuple(needed))


def _read_sections(elf: Any, header: Header) -> _Sections:
    """Debug files keep the build ID in a section only: their segments are hollow, and lie about where they are.

    objcopy(1), --only-keep-debug, leaves the program headers as they were and the sections without bytes.
    """
    names: Set[str] = set()
    debuglink, debugaltlink, build_id, package, hollow = None, None, None, None, False
    for index in range(elf.num_sections()):
        # Not iter_sections: making a section object of a hash table reads all of it, megabytes in a large library.
        section = elf._get_section_header(index)
        name = elf._get_section_name(section)
        names.add(name)
        hollow = hollow or (name in (".interp", ".dynamic", ".text") and section["sh_type"] == "SHT_NOBITS")
        if name == ".gnu_debuglink":
            debuglink = _parse_debuglink(_bytes(elf, section["sh_offset"], section["sh_size"]), header)
        elif name == ".gnu_debugaltlink":
            debugaltlink = _parse_debugaltlink(_bytes(elf, section["sh_offset"], section["sh_size"]))
        elif name == ".note.gnu.build-id" and section["sh_type"] == "SHT_NOTE":
            build_id = _build_id(elf, header, section["sh_offset"], section["sh_size"])
        elif name == ".note.package" and section["sh_type"] == "SHT_NOTE":
            package = _parse_package(_bytes(elf, section["sh_offset"], section["sh_size"]), header)
    return _Sections(names, debuglink, debugaltlink, build_id, package, hollow)


def _build_id(elf: Any, header: Header, offset: int, size: int) -> Optional[str]:
    data = _bytes(elf, offset, size)
    return parse_build_id(header.order, data, 4) or parse_build_id(header.order, data, 8)


def _bytes(elf: Any, offset: int, size: int) -> bytes:
    elf.stream.seek(offset)
    return bytes(elf.stream.read(min(size, LONGEST_NOTES)))


def _parse_debuglink(data: bytes, header: Header) -> Optional[Tuple[str, int]]:
    """A name ended by NUL, padding to 4 bytes, CRC-32 of the file (gdb manual, "Separate Debug Files")."""
    name = data.split(b"\0", 1)[0]
    crc_at = (len(name) + 4) // 4 * 4
    if not name or len(data) < crc_at + 4:
        return None
    return os.fsdecode(name), int(struct.unpack_from(header.order + "I", data, crc_at)[0])


def _parse_debugaltlink(data: bytes) -> Optional[Tuple[str, str]]:
    """A name ended by NUL, then the build ID of the file (dwz(1))."""
    name, _, build_id = data.partition(b"\0")
    return (os.fsdecode(name), build_id.hex()) if name and 0 < len(build_id) <= 64 else None


def _parse_package(data: bytes, header: Header) -> Optional[str]:
    """A note of the owner FDO with a JSON object (systemd.io, "ELF Package Metadata"): its name and version."""
    if len(data) < 16 or struct.unpack_from(header.order + "III", data)[::2] != (4, NT_FDO_PACKAGING_METADATA):
        return None
    try:
        found = json.loads(data[16 : 16 + struct.unpack_from(header.order + "I", data, 4)[0]].rstrip(b"\0").decode())
    except (ValueError, RecursionError):
        return None
    words = [found.get(key) for key in ("name", "version")] if isinstance(found, dict) else []
    return " ".join(word for word in words if isinstance(word, str))[:LONGEST_PACKAGE] or None
