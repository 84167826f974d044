"""The notes of a core file (elf(5); the kernel's fs/binfmt_elf.c and include/uapi/linux/elf.h)."""

import os
import struct
from typing import Dict, Iterable, Iterator, List, NamedTuple, Optional, Tuple

from corebox.coredump.header import Header
from corebox.coredump.machines import has_swapped_siginfo, registers, status_layout
from corebox.coredump.values import FileMapping, Segment, Thread
from corebox.errors import InputError
from corebox.files.extents import read_at

NT_PRSTATUS, NT_PRPSINFO, NT_AUXV, NT_FILE, NT_SIGINFO = 1, 3, 6, 0x46494C45, 0x53494749
NT_GNU_BUILD_ID = 3

MAX_NOTES = 1000000
MAX_THREADS = 1 << 18
# Beyond so many, those between the first and the last are left out: the executable and the libraries are at the ends.
MAX_MAPPINGS, FIRST_MAPPINGS = 1 << 18, 1 << 16
# None that the kernel writes is longer: its greatest core_file_note_size_limit is 16 MiB.
MAX_DESCRIPTOR_LENGTH, MAX_FILES_LENGTH = 32 << 20, 16 << 20
MAX_OWNER_LENGTH, MAX_NOTE_LENGTH, MAX_AUXV_LENGTH = 32, 4096, 65536
DELETED = " (deleted)"


class Note(NamedTuple):
    """One note: owner's name, kind, offset of its bytes in the core, and their number, which a cut core may lack."""

    owner: str
    kind: int
    offset: int
    size: int


class PsInfo(NamedTuple):
    """NT_PRPSINFO: ids, the command's name (15 bytes) and arguments (80 bytes); what is not told is None.

    ``places`` are the ranges of name and arguments in the note: offset and size.
    """

    uid: Optional[int]
    gid: Optional[int]
    pid: Optional[int]
    name: str
    arguments: Optional[str]
    places: Tuple[Tuple[int, int], ...] = ()


class SigInfo(NamedTuple):
    """NT_SIGINFO: number and code of the signal, and the union's first word (an address for faults)."""

    number: int
    code: Optional[int]
    address: Optional[int]


def read_notes(descriptor: int, header: Header, segments: Iterable[Segment]) -> Iterator[Note]:
    """The notes in file order.

    Raises:
        InputError: ``not-a-core`` when notes are too many or too long to be notes.
    """
    count, whole = 0, os.fstat(descriptor).st_size
    for segment in segments:
        position, end = segment.offset, segment.offset + segment.file_size
        while position + 12 <= end:
            fixed = read_at(descriptor, position, 12 + MAX_OWNER_LENGTH)
            if len(fixed) < 12:
                return
            name_size, size, kind = struct.unpack_from(header.order + "III", fixed)
            start = position + 12 + (name_size + 3) // 4 * 4
            count += 1
            if count > MAX_NOTES or (size > MAX_DESCRIPTOR_LENGTH and start + size > whole):
                raise InputError(
                    "not-a-core",
                    "the notes of the core are malformed: a note of {} bytes at offset {}".format(size, position),
                    "the file is damaged: copy it again and compare sizes and checksums",
                )
            yield Note(_text(fixed[12 : 12 + name_size]), kind, start, size)
            position = start + (size + 3) // 4 * 4


def parse_thread(header: Header, data: bytes) -> Optional[Thread]:
    """NT_PRSTATUS: ``struct elf_prstatus``, include/uapi/linux/elfcore.h."""
    layout = status_layout(header.machine, header.bits, len(data))
    if len(data) < layout.registers:
        return None
    (signal,) = struct.unpack_from(header.order + "h", data, 12)
    (tid,) = struct.unpack_from(header.order + "i", data, layout.tid)
    # s390's program counter has its top bit as a mode.
    word = struct.Struct(header.order + ("Q" if layout.word_size == 8 else "I"))
    where = registers(header.machine, layout.word_size)
    if where is None or len(data) < layout.registers + (max(where) + 1) * word.size:
        return Thread(tid, signal, None, None)
    values = [word.unpack_from(data, layout.registers + index * word.size)[0] for index in where]
    return Thread(tid, signal, values[0], values[1])


def parse_words(header: Header, data: bytes) -> Tuple[int, ...]:
    """All aligned words of a thread's note: among them its registers, wherever they are."""
    return struct.unpack_from("{}{}{}".format(header.order, len(data) // header.word_size, header.word), data)


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
    name, places = _text(data[name_at : name_at + 16]), ((name_at, 16), (name_at + 16, 80))
    return PsInfo(ids[0], ids[1], ids[2], name, os.fsdecode(arguments), places)


def parse_siginfo(header: Header, data: bytes) -> Optional[SigInfo]:
    """NT_SIGINFO: ``siginfo_t``; number, errno and code, then the union at the alignment of a pointer."""
    union_at = 16 if header.bits == 64 else 12
    if len(data) < union_at + header.word_size:
        return None
    number, error, code = struct.unpack_from(header.order + "iii", data)
    code = error if has_swapped_siginfo(header.machine) else code
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
    word, word_size = header.word, header.word_size
    if len(data) < 16:
        return ()
    count, page_size = struct.unpack_from(header.order + 2 * word, data)
    if word_size == 4 and 0 in (count, page_size):  # 64-bit kernels before 4.14 wrote MIPS' 32-bit cores so
        word, word_size = "Q", 8
        count, page_size = struct.unpack_from(header.order + 2 * word, data)
    position = (2 + 3 * count) * word_size
    if position > len(data):
        return ()
    entry = struct.Struct(header.order + 3 * word)
    left_out = range(FIRST_MAPPINGS, FIRST_MAPPINGS + max(0, count - MAX_MAPPINGS))
    mappings: List[FileMapping] = []
    paths: Dict[bytes, Tuple[str, bool]] = {}
    for index in range(count):
        end = data.find(b"\0", position)
        if end < 0:
            break
        if index not in left_out:
            start, stop, offset = entry.unpack_from(data, (2 + 3 * index) * word_size)
            path, deleted = mapped_path(data[position:end], paths)
            mappings.append(FileMapping(start, stop, offset * page_size, path, deleted))
        position = end + 1
    return tuple(mappings)


def mapped_path(name: bytes, known: Dict[bytes, Tuple[str, bool]]) -> Tuple[str, bool]:
    """A mapping's path, and whether the kernel says that it is deleted; ``known`` keeps one copy of each."""
    if name not in known:
        path = os.fsdecode(name)
        known[name] = (path[: -len(DELETED)], True) if path.endswith(DELETED) else (path, False)
    return known[name]


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
