"""The notes of each system's cores, sorted into the same values.

Linux: fs/binfmt_elf.c. FreeBSD: sys/procfs.h, sys/user.h, sys/ptrace.h. NetBSD: sys/exec_elf.h. OpenBSD: sys/core.h.
Solaris: sys/old_procfs.h, procfs.h. ESP-IDF: components/espcoredump.
"""

import os
import struct
from typing import Callable, Dict, FrozenSet, Iterator, List, NamedTuple, Optional, Set, Tuple, Union

from corebox.coredump import notes
from corebox.coredump.header import Header
from corebox.coredump.machines import I386, X86_64
from corebox.coredump.notes import Note, PsInfo, SigInfo
from corebox.coredump.values import FileMapping, Thread

LINUX, FREEBSD, NETBSD, OPENBSD, SOLARIS = "Linux", "FreeBSD", "NetBSD", "OpenBSD", "Solaris"
#: What is no system of processes: a microcontroller's, and a kernel's own memory.
ESP_IDF, KERNEL = "ESP-IDF", "Linux kernel"

AT_EXECFN = 31
# Keys that all systems share (getauxval(3), the psABIs); further ones mean something else on each.
_COMMON_KEYS = frozenset((3, 4, 5, 6, 7, 9))
_SOLARIS_PSINFO, _SOLARIS_LWPSTATUS = 13, 16
_FREEBSD_HAS_SIGINFO = 0x20  # PL_FLAG_SI


class Auxv(NamedTuple):
    """The auxiliary vector by key."""

    entries: Dict[int, int]


class Mappings(NamedTuple):
    """The mapped files."""

    files: Tuple[FileMapping, ...]


Fact = Union[Thread, PsInfo, SigInfo, Auxv, Mappings]
Parser = Callable[[Header, Note, bytes], Iterator[Fact]]


class System(NamedTuple):
    """How a system writes notes: owner's name, a parser for each kind, how much is read of each, kinds of a thread.

    ``executable_key`` is the key of the auxiliary vector that leads to the path as executed.
    """

    name: str
    owner: str
    parsers: Dict[int, Parser]
    sizes: Dict[int, int]
    thread_kinds: FrozenSet[int]
    executable_key: int = AT_EXECFN


def system_of(header: Header, found: List[Note]) -> System:
    """The system that wrote these notes: Linux unless they say otherwise."""
    owners = {note.owner.partition("@")[0] for note in found}  # the BSDs add the thread's number
    system = next((_BY_OWNER[owner] for owner in sorted(owners) if owner in _BY_OWNER), _LINUX)
    if any(note.owner == "CORE" and _is_of_solaris(header, note) for note in found):
        system = _SOLARIS
    decisive = next((_DECISIVE[owner] for owner in sorted(owners) if owner in _DECISIVE), None)
    return system._replace(name=decisive) if decisive else system


def _is_of_solaris(header: Header, note: Note) -> bool:
    """Both kinds of its psinfo are longer than Linux' (136 bytes at most), which has no note of kind 13."""
    return (note.kind, note.size) in _SOLARIS_PSINFOS[header.bits]


def _text(data: bytes) -> str:
    return os.fsdecode(data.split(b"\0", 1)[0].rstrip(b" "))


def _int(header: Header, data: bytes, at: int) -> int:
    return int(struct.unpack_from(header.order + "i", data, at)[0])


def _id(header: Header, data: bytes, at: int) -> int:
    return int(struct.unpack_from(header.order + "I", data, at)[0])


def _words(header: Header, data: bytes, start: int, *indices: int) -> Optional[List[int]]:
    size = header.word_size
    if len(data) < start + (max(indices) + 1) * size:
        return None
    return [struct.unpack_from(header.order + header.word, data, start + index * size)[0] for index in indices]


def _thread(tid: int, signal: int, words: Optional[List[int]]) -> Thread:
    return Thread(tid, signal, words[0], words[1]) if words else Thread(tid, signal, None, None)


def _some(fact: Optional[Fact]) -> Iterator[Fact]:
    if fact is not None:
        yield fact


# Linux


def _linux_status(header: Header, _: Note, data: bytes) -> Iterator[Fact]:
    return _some(notes.parse_thread(header, data))


def _linux_psinfo(header: Header, note: Note, data: bytes) -> Iterator[Fact]:
    found = notes.parse_psinfo(header, data)
    return _some(found and found._replace(places=tuple((note.offset + at, size) for at, size in found.places)))


def _linux_siginfo(header: Header, _: Note, data: bytes) -> Iterator[Fact]:
    return _some(notes.parse_siginfo(header, data))


def _auxv(header: Header, _: Note, data: bytes) -> Iterator[Fact]:
    yield Auxv(notes.parse_auxv(header, data))


def _linux_files(header: Header, _: Note, data: bytes) -> Iterator[Fact]:
    yield Mappings(notes.parse_file_mappings(header, data))


# FreeBSD

# Words of ``struct reg``: program counter and stack pointer (machine/reg.h).
_FREEBSD_REGISTERS = {(X86_64, 64): (17, 20), (I386, 32): (13, 16), (183, 64): (32, 31)}


def _freebsd_status(header: Header, _: Note, data: bytes) -> Iterator[Fact]:
    signal_at, tid_at, registers_at = (36, 40, 48) if header.bits == 64 else (20, 24, 28)
    if len(data) >= registers_at:
        where = _FREEBSD_REGISTERS.get((header.machine, header.bits))
        words = _words(header, data, registers_at, *where) if where else None
        yield _thread(_int(header, data, tid_at), _int(header, data, signal_at), words)


def _freebsd_psinfo(header: Header, _: Note, data: bytes) -> Iterator[Fact]:
    name_at, arguments_at, pid_at = (16, 33, 116) if header.bits == 64 else (8, 25, 108)
    if len(data) >= arguments_at:
        pid = _int(header, data, pid_at) if len(data) >= pid_at + 4 else None  # told since FreeBSD 12
        yield PsInfo(
            None, None, pid, _text(data[name_at : name_at + 17]), _text(data[arguments_at : arguments_at + 81])
        )


def _freebsd_auxv(header: Header, note: Note, data: bytes) -> Iterator[Fact]:
    return _auxv(header, note, data[4:])  # NT_PROCSTAT notes begin with the size of their items


def _freebsd_signal(header: Header, _: Note, data: bytes) -> Iterator[Fact]:
    """NT_PTLWPINFO: ``struct ptrace_lwpinfo`` behind its size."""
    siginfo = data[4 + (48 if header.bits == 64 else 44) :]
    if len(siginfo) >= 24 + header.word_size and _int(header, data, 4 + 8) & _FREEBSD_HAS_SIGINFO:
        number, _error, code = struct.unpack_from(header.order + "iii", siginfo)
        yield SigInfo(number, code, struct.unpack_from(header.order + header.word, siginfo, 24)[0])


def _freebsd_files(header: Header, _: Note, data: bytes) -> Iterator[Fact]:
    """NT_PROCSTAT_VMMAP: packed ``struct kinfo_vmentry``, each with its own size; paths follow at 136."""
    found: List[FileMapping] = []
    paths: Dict[bytes, Tuple[str, bool]] = {}
    position = 4
    while position + 136 < len(data) and len(found) < notes.MAX_MAPPINGS:
        size = _int(header, data, position)
        if size < 136:
            break
        start, end, offset = struct.unpack_from(header.order + "QQQ", data, position + 8)
        name = data[position + 136 : position + size].split(b"\0", 1)[0]
        if name.startswith(b"/"):
            found.append(FileMapping(start, end, offset, *notes.mapped_path(name, paths)))
        position += size
    yield Mappings(tuple(found))


# NetBSD and OpenBSD


def _netbsd_process(header: Header, _: Note, data: bytes) -> Iterator[Fact]:
    """``struct netbsd_elfcore_procinfo``; the code is of its own numbering, and no address is told."""
    if len(data) >= 156:
        yield PsInfo(_id(header, data, 96), _id(header, data, 108), _int(header, data, 80), _text(data[124:156]), None)
        yield SigInfo(_int(header, data, 8), None, None)


# Words of ``struct reg``; PT_GETREGS is 32 on Alpha and SPARC, 35 on SuperH, 33 elsewhere.
_NETBSD_REGISTERS = {(X86_64, 64): (21, 24), (I386, 32): (8, 4)}


def _netbsd_registers(header: Header, note: Note, data: bytes) -> Iterator[Fact]:
    where = _NETBSD_REGISTERS.get((header.machine, header.bits))
    return _bsd_registers(header, note, data, where)


_OPENBSD_REGISTERS = {(X86_64, 64): (16, 15), (I386, 32): (8, 4)}


def _openbsd_registers(header: Header, note: Note, data: bytes) -> Iterator[Fact]:
    return _bsd_registers(header, note, data, _OPENBSD_REGISTERS.get((header.machine, header.bits)))


def _bsd_registers(header: Header, note: Note, data: bytes, where: Optional[Tuple[int, int]]) -> Iterator[Fact]:
    number = note.owner.partition("@")[2]
    tid = int(number) if number.isdigit() and len(number) < 10 else 0
    yield _thread(tid, 0, _words(header, data, 0, *where) if where else None)


def _openbsd_process(header: Header, _: Note, data: bytes) -> Iterator[Fact]:
    """``struct elfcore_procinfo``."""
    if len(data) >= 104:
        yield PsInfo(_id(header, data, 48), _id(header, data, 60), _int(header, data, 32), _text(data[72:104]), None)
        yield SigInfo(_int(header, data, 8), None, None)


# Solaris and illumos, whose structures are told apart by their sizes

# psinfo: (kind, size) -> where the name is; 16 bytes later the arguments.
_SOLARIS_PSINFOS: Dict[int, Dict[Tuple[int, int], int]] = {
    32: {(3, 260): 84, (13, 336): 88, (13, 360): 88},
    64: {(3, 328): 120, (13, 416): 136, (13, 440): 136},
}
# prstatus: size -> where signal, thread and registers are, and which of these are program counter and stack pointer.
_SOLARIS_STATUS = {
    508: (136, 308, 356, 33, 14),  # SPARC
    904: (264, 520, 600, 33, 14),
    432: (136, 308, 356, 14, 17),  # x86
    824: (264, 520, 600, 17, 20),
}


def _solaris_psinfo(header: Header, note: Note, data: bytes) -> Iterator[Fact]:
    at = _SOLARIS_PSINFOS[header.bits].get((note.kind, note.size))
    if at is not None and len(data) >= at + 96:
        new = note.kind == _SOLARIS_PSINFO
        pid = _int(header, data, 8 if new else 16)
        uid, gid = (24, 32) if new else (8, 12)
        arguments = _text(data[at + 16 : at + 96])
        yield PsInfo(_id(header, data, uid), _id(header, data, gid), pid, _text(data[at : at + 16]), arguments)


def _solaris_status(header: Header, note: Note, data: bytes) -> Iterator[Fact]:
    if note.size in _SOLARIS_STATUS and len(data) >= note.size:
        signal_at, tid_at, registers_at, counter, stack = _SOLARIS_STATUS[note.size]
        (signal,) = struct.unpack_from(header.order + "h", data, signal_at)
        yield _thread(_int(header, data, tid_at), signal, _words(header, data, registers_at, counter, stack))
        number, code = struct.unpack_from(header.order + "ii", data, 8)  # pr_info: signo, code, errno
        address = struct.unpack_from(header.order + header.word, data, 24 if header.bits == 64 else 20)[0]
        yield SigInfo(number, code, address)


def _solaris_lwpstatus(header: Header, _: Note, data: bytes) -> Iterator[Fact]:
    """NT_LWPSTATUS: ``lwpstatus_t``: flags, id, why, what, current signal."""
    if len(data) >= 16:
        (signal,) = struct.unpack_from(header.order + "h", data, 12)
        yield _thread(_int(header, data, 4), signal, None)


_FILES = notes.MAX_FILES_LENGTH
_LINUX = System(
    LINUX,
    "CORE",
    {
        notes.NT_PRSTATUS: _linux_status,
        notes.NT_PRPSINFO: _linux_psinfo,
        notes.NT_SIGINFO: _linux_siginfo,
        notes.NT_AUXV: _auxv,
        notes.NT_FILE: _linux_files,
    },
    {notes.NT_AUXV: notes.MAX_AUXV_LENGTH, notes.NT_FILE: _FILES},
    frozenset((notes.NT_PRSTATUS,)),
)
_FREEBSD = System(
    FREEBSD,
    "FreeBSD",
    {1: _freebsd_status, 3: _freebsd_psinfo, 10: _freebsd_files, 16: _freebsd_auxv, 17: _freebsd_signal},
    {10: _FILES, 16: notes.MAX_AUXV_LENGTH},
    frozenset((1,)),
    15,  # AT_EXECPATH
)
_NETBSD = System(
    NETBSD,
    "NetBSD-CORE",
    {1: _netbsd_process, 2: _auxv, 33: _netbsd_registers},
    {2: notes.MAX_AUXV_LENGTH},
    frozenset((33,)),
    2014,  # AT_SUN_EXECNAME
)
_OPENBSD = System(
    OPENBSD,
    "OpenBSD",
    {10: _openbsd_process, 11: _auxv, 20: _openbsd_registers},
    {11: notes.MAX_AUXV_LENGTH},
    frozenset((20,)),
)
_SOLARIS = System(
    SOLARIS,
    "CORE",
    {
        notes.NT_PRSTATUS: _solaris_status,
        notes.NT_PRPSINFO: _solaris_psinfo,
        _SOLARIS_PSINFO: _solaris_psinfo,
        _SOLARIS_LWPSTATUS: _solaris_lwpstatus,
        notes.NT_AUXV: _auxv,
    },
    {notes.NT_AUXV: notes.MAX_AUXV_LENGTH},
    frozenset((notes.NT_PRSTATUS, _SOLARIS_LWPSTATUS)),
    2014,
)
_BY_OWNER = {each.owner: each for each in (_LINUX, _FREEBSD, _NETBSD, _OPENBSD)}
# Whose notes these are has notes of the owner CORE, too.
_DECISIVE = {"ESP_CORE_DUMP_INFO": ESP_IDF, "EXTRA_INFO": ESP_IDF, "VMCOREINFO": KERNEL}


def parse_notes(header: Header, system: System, found: List[Note], read: Callable[[int, int], bytes]) -> Iterator[Fact]:
    """What the notes say: all of the threads, and the first note of every other kind."""
    done: Set[int] = set()
    for note in found:
        if note.kind not in system.parsers or note.owner.partition("@")[0] != system.owner or note.kind in done:
            continue
        if note.kind not in system.thread_kinds:
            done.add(note.kind)
        size = min(note.size, system.sizes.get(note.kind, notes.MAX_NOTE_LENGTH))
        yield from system.parsers[note.kind](header, note, read(note.offset, size))


def common_auxv(system: System, found: Dict[int, int]) -> Dict[int, int]:
    """The vector with Linux' numbers: what means something else there is left out."""
    if system.name == LINUX:
        return found
    common = {key: value for key, value in found.items() if key in _COMMON_KEYS}
    if system.executable_key in found:
        common[AT_EXECFN] = found[system.executable_key]
    return common
