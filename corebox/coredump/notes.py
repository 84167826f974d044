"""The notes of a core file (elf(5); the kernel's fs/binfmt_elf.c and include/uapi/linux/elf.h)."""

import os
import struct
from typing import Dict, Iterable, Iterator, List, NamedTuple, Optional, Tuple

from corebox.coredump.disk import read_at
from corebox.coredump.header import Header
from corebox.coredump.machines import registers
from corebox.coredump.values import FileMapping, Segment, Thread
from corebox.errors import InputError

NT_PRSTATUS, NT_PRPSINFO, NT_AUXV, NT_FILE, NT_SIGINFO = 1, 3, 6, 0x46494C45, 0x53494749
NT_GNU_BUILD_ID = 3

MOST_NOTES = 1000000
# No note is longer: the kernel's greatest core_file_note_size_limit is 16 MiB.
LONGEST_DESCRIPTOR = 32 << 20
# How much is read of those that say something to us.
_READ = {NT_PRSTATUS: 4096, NT_PRPSINFO: 4096, NT_SIGINFO: 4096, NT_AUXV: 65536, NT_FILE: LONGEST_DESCRIPTOR}
DELETED = " (deleted)"


class Note(NamedTuple):
    """One note; ``data`` is shorter than it was where the file is cut."""

    kind: int
    data: bytes


class PsInfo(NamedTuple):
    """NT_PRPSINFO: ids, the command's name (15 bytes) and arguments (80 bytes)."""

    uid: int
    gid: int
    pid: int
    name: str
    arguments: str


class SigInfo(NamedTuple):
    """NT_SIGINFO: number and code of the signal, and the union's first word (an address for faults)."""

    number: int
    code: int
    address: int


def read_notes(descriptor: int, header: Header, segments: Iterable[Segment]) -> Iterator[Note]:
    """NT_PRSTATUS of each thread and the first of the other kinds, in file order.

    Raises:
        InputError: ``not-a-core`` when notes are too many or too long to be notes.
    """
    count, wanted = 0, dict(_READ)
    for segment in segments:
        position, end = segment.offset, segment.offset + segment.file_size
        while position + 12 <= end:
            fixed = read_at(descriptor, position, 12 + 8)
            if len(fixed) < 12:
                return
            name_size, size, kind = struct.unpack_from(header.order + "III", fixed)
            start = position + 12 + (name_size + 3) // 4 * 4
            count += 1
            if count > MOST_NOTES or size > LONGEST_DESCRIPTOR:
                raise InputError(
                    "not-a-core",
                    "the notes of the core make no sense: a note of {} bytes at offset {}".format(size, position),
                    "the file is damaged: copy it again and compare sizes and checksums",
                )
            if kind in wanted and fixed[12 : 12 + name_size] in (b"CORE\0", b"CORE"):
                yield Note(kind, read_at(descriptor, start, min(size, wanted[kind])))
                if kind != NT_PRSTATUS:
                    del wanted[kind]
            position = start + (size + 3) // 4 * 4


def parse_thread(header: Header, data: bytes) -> Optional[Thread]:
    """NT_PRSTATUS: ``struct elf_prstatus``, include/uapi/linux/elfcore.h."""
    wide = header.bits == 64
    pid_at, registers_at = (32, 112) if wide else (24, 72)
    if len(data) < registers_at:
        return None
    (signal,) = struct.unpack_from(header.order + "h", data, 12)
    (tid,) = struct.unpack_from(header.order + "i", data, pid_at)
    # x32 keeps 64-bit registers in a 32-bit file; s390's program counter has its top bit as a mode.
    word = struct.Struct(header.order + ("Q" if wide or header.machine == 62 else "I"))
    where = registers(header.machine)
    if where is None or len(data) < registers_at + (max(where) + 1) * word.size:
        return Thread(tid, signal, None, None)
    values = [word.unpack_from(data, registers_at + index * word.size)[0] for index in where]
    return Thread(tid, signal, values[0], values[1])


def parse_registers(header: Header, data: bytes) -> Tuple[int, ...]:
    """All words of ``pr_reg`` in NT_PRSTATUS, and what follows it."""
    start = 112 if header.bits == 64 else 72
    words = data[start : start + (len(data) - start) // header.word_size * header.word_size]
    return struct.unpack("{}{}{}".format(header.order, len(words) // header.word_size, header.word), words)


def parse_psinfo(header: Header, data: bytes) -> Optional[PsInfo]:
    """NT_PRPSINFO: ``struct elf_prpsinfo``; machines with 16-bit uid_t have it 4 bytes shorter."""
    if header.bits == 64 and len(data) >= 136:
        ids, name_at = struct.unpack_from(header.order + "IIi", data, 16), 40
    elif header.bits == 32 and len(data) >= 128:
        ids, name_at = struct.unpack_from(header.order + "IIi", data, 8), 32
    elif header.bits == 32 and len(data) >= 124:
        ids, name_at = struct.unpack_from(header.order + "HHi", data, 8), 28
    else:
        return None
    arguments = data[name_at + 16 : name_at + 96].split(b"\0", 1)[0].rstrip(b" ")
    return PsInfo(ids[0], ids[1], ids[2], _text(data[name_at : name_at + 16]), os.fsdecode(arguments))


def parse_siginfo(header: Header, data: bytes) -> Optional[SigInfo]:
    """NT_SIGINFO: ``siginfo_t``; number, errno and code, then the union at the alignment of a pointer."""
    union_at = 16 if header.bits == 64 else 12
    if len(data) < union_at + header.word_size:
        return None
    number, _, code = struct.unpack_from(header.order + "iii", data)
    (address,) = struct.unpack_from(header.order + header.word, data, union_at)
    return SigInfo(number, code, address)


def parse_auxv(header: Header, data: bytes) -> Dict[int, int]:
    """NT_AUXV: pairs of key and value, ended by AT_NULL."""
    pair = struct.Struct(header.order + 2 * header.word)
    found: Dict[int, int] = {}
    for key, value in pair.iter_unpack(data[: len(data) // pair.size * pair.size]):
        if key == 0:
            break
        found.setdefault(key, value)
    return found


def parse_file_mappings(header: Header, data: bytes) -> Tuple[FileMapping, ...]:
    """NT_FILE: count, page size, (start, end, offset in pages) each, then the paths, each ended by NUL.

    gcore writes a page size of 1. Mappings whose path is cut off are left out.
    """
    word_size = header.word_size
    if len(data) < 2 * word_size:
        return ()
    count, page_size = struct.unpack_from(header.order + 2 * header.word, data)
    names_at = (2 + 3 * count) * word_size
    if names_at > len(data):
        return ()
    entries = struct.Struct(header.order + 3 * header.word).iter_unpack(data[2 * word_size : names_at])
    names = data[names_at:].split(b"\0", count)[:-1]
    mappings: List[FileMapping] = []
    for (start, end, offset), name in zip(entries, names):
        path = os.fsdecode(name)
        deleted = path.endswith(DELETED)
        mappings.append(
            FileMapping(start, end, offset * page_size, path[: -len(DELETED)] if deleted else path, deleted)
        )
    return tuple(mappings)


def parse_build_id(order: str, data: bytes, alignment: int) -> Optional[str]:
    """The build ID in the bytes of a PT_NOTE of a module, lower-case hex (note of owner GNU, type 3)."""
    align = 8 if alignment == 8 else 4
    position = 0
    while position + 12 <= len(data):
        name_size, size, kind = struct.unpack_from(order + "III", data, position)
        name_at = position + 12
        start = position + (12 + name_size + align - 1) // align * align
        if start + size > len(data):
            return None
        if kind == NT_GNU_BUILD_ID and data[name_at : name_at + name_size] == b"GNU\0" and 0 < size <= 64:
            return data[start : start + size].hex()
        position = start + (size + align - 1) // align * align
    return None


def _text(data: bytes) -> str:
    return os.fsdecode(data.split(b"\0", 1)[0])
