"""The notes of a core: process, threads, signal, auxiliary vector, file mappings.

Sources: fs/binfmt_elf.c (order and content), include/uapi/linux/elfcore.h, include/linux/elfcore-compat.h,
asm/ptrace.h of each architecture (registers), siginfo in asm-generic/siginfo.h, gdb/linux-tdep.c (gcore's NT_FILE).
"""

import os
import struct
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple

from corebox.coredump.format import Layout, align4, parse_note_header
from corebox.coredump.values import FileMapping, Process, Segment, Thread

NT_PRSTATUS, NT_PRPSINFO, NT_AUXV = 1, 3, 6
NT_FILE, NT_SIGINFO = 0x46494C45, 0x53494749
AT_PHDR, AT_ENTRY, AT_EXECFN, AT_SYSINFO_EHDR = 3, 9, 31, 33

# The kernel caps NT_FILE at 16 MiB (kernel.core_file_note_size_limit); no other note that we read comes near.
MAX_DESCRIPTOR = 16 << 20
MAX_NOTES = 1 << 20
_HEADER_WINDOW = 12 + 256

DELETED = " (deleted)"

# Index of (program counter, stack pointer) among the words of pr_reg.
_REGISTERS = {
    "x86_64": (16, 19),
    "i386": (12, 15),
    "aarch64": (32, 31),
    "arm": (15, 13),
    "ppc": (32, 1),
    "ppc64": (32, 1),
    "ppc64le": (32, 1),
    "s390x": (1, 17),
    "riscv64": (0, 2),
    "riscv32": (0, 2),
    "loongarch64": (33, 3),
}

# signal(7), the numbers of every architecture that gdb-for-pwndbg is likely to meet but MIPS, SPARC, Alpha and PA-RISC.
_SIGNALS = (
    "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG "
    "XCPU XFSZ VTALRM PROF WINCH IO PWR SYS"
).split()
_SIGNALS_WITH_ADDRESS = (4, 5, 7, 8, 11)  # ILL TRAP BUS FPE SEGV: sigaction(2), si_addr

ReadAt = Callable[[int, int], bytes]  # (offset, size) -> at most size bytes


class Notes(NamedTuple):
    """Everything that corebox takes from the notes of a core; ``complete`` is False if they end early."""

    process: Process
    auxv: Dict[int, int]
    mappings: Tuple[FileMapping, ...]
    complete: bool


def read_notes(read_at: ReadAt, segments: List[Segment], layout: Layout, machine: str) -> Notes:
    """Read the notes of the PT_NOTE ``segments``; what is cut or senseless is left out, never an error."""
    found = {}  # type: Dict[int, bytes]
    statuses = []  # type: List[bytes]
    complete = True
    for segment in segments:
        for kind, size, descriptor in _iter_notes(read_at, segment, layout):
            complete = complete and len(descriptor) == size
            if kind == NT_PRSTATUS:
                statuses.append(descriptor)
            else:
                found.setdefault(kind, descriptor)
        complete = complete and len(read_at(segment.offset + max(segment.file_size, 1) - 1, 1)) == 1
    auxv = _parse_auxv(found.get(NT_AUXV, b""), layout)
    threads = tuple(filter(None, (_parse_thread(status, layout, machine) for status in statuses)))
    process = _parse_process(found, threads, layout)
    return Notes(process, auxv, parse_file_note(found.get(NT_FILE, b""), layout), complete)


def _iter_notes(read_at: ReadAt, segment: Segment, layout: Layout) -> Iterator[Tuple[int, int, bytes]]:
    wanted = (NT_PRSTATUS, NT_PRPSINFO, NT_AUXV, NT_FILE, NT_SIGINFO)
    offset, end = segment.offset, segment.offset + segment.file_size
    for _ in range(MAX_NOTES):
        note = parse_note_header(read_at(offset, min(_HEADER_WINDOW, max(end - offset, 0))), offset, layout)
        if note is None:
            return
        size = min(note.size, max(end - note.offset, 0))
        if note.name == b"CORE" and note.kind in wanted:
            yield note.kind, note.size, read_at(note.offset, min(size, MAX_DESCRIPTOR))
        offset = note.offset + align4(note.size)


def _parse_auxv(data: bytes, layout: Layout) -> Dict[int, int]:
    words = layout.words(data)
    return {kind: value for kind, value in zip(words[::2], words[1::2]) if kind}


def _parse_thread(data: bytes, layout: Layout, machine: str) -> Optional[Thread]:
    # struct elf_prstatus: siginfo (3 ints), pr_cursig (short), two longs, four pids, four timevals, pr_reg.
    pid_offset, registers_offset = (32, 112) if layout.bits == 64 else (24, 72)
    if len(data) < registers_offset:
        return None
    (signal,) = struct.unpack_from(layout.prefix + "h", data, 12)
    (tid,) = struct.unpack_from(layout.prefix + "i", data, pid_offset)
    registers = layout.words(data[registers_offset:])
    indexes = _REGISTERS.get(machine)
    if indexes is None or max(indexes) >= len(registers):
        return Thread(tid, signal, None, None)
    return Thread(tid, signal, registers[indexes[0]], registers[indexes[1]])


def _parse_process(found: Dict[int, bytes], threads: Tuple[Thread, ...], layout: Layout) -> Process:
    signal = threads[0].signal if threads else None
    code = fault_address = None
    info = found.get(NT_SIGINFO, b"")
    if len(info) >= 32:
        signal, _, code = struct.unpack_from(layout.prefix + "iii", info)
        # A code over 0 says that the kernel raised the signal: only then does si_addr mean anything (sigaction(2)).
        if signal in _SIGNALS_WITH_ADDRESS and code > 0:
            fault_address = layout.words(info[16 if layout.bits == 64 else 12 :])[0]
    uid, gid, pid, name, arguments = _parse_psinfo(found.get(NT_PRPSINFO, b""), layout)
    return Process(
        pid=pid if pid is not None else (threads[0].tid if threads else None),
        name=name,
        arguments=arguments,
        uid=uid,
        gid=gid,
        executable=None,
        signal=signal or None,
        signal_name=signal_name(signal) if signal else None,
        signal_code=code,
        fault_address=fault_address,
        threads=threads,
    )


_PsInfo = Tuple[Optional[int], Optional[int], Optional[int], Optional[str], Optional[str]]


def _parse_psinfo(data: bytes, layout: Layout) -> _PsInfo:
    # struct elf_prpsinfo; uid_t is 16 bits wide on i386, arm, sh (124 bytes in all), else 32 (128 or 136).
    if layout.bits == 64:
        ids, name_at, size = (layout.prefix + "IIi", 16), 40, 136
    elif len(data) == 124:
        ids, name_at, size = (layout.prefix + "HHi", 8), 28, 124
    else:
        ids, name_at, size = (layout.prefix + "IIi", 8), 32, 128
    if len(data) < size:
        return None, None, None, None, None
    uid, gid, pid = struct.unpack_from(ids[0], data, ids[1])
    name = os.fsdecode(data[name_at : name_at + 16].split(b"\0")[0])
    arguments = os.fsdecode(data[name_at + 16 : name_at + 96].split(b"\0")[0]).strip()
    return uid, gid, pid, name, arguments


def parse_file_note(data: bytes, layout: Layout) -> Tuple[FileMapping, ...]:
    """Parse NT_FILE: count, page size, count times (start, end, offset in pages), then NUL-ended names.

    The kernel's page size is the machine's, gcore's is 1 (gdb/linux-tdep.c). Rows without a name are dropped.
    """
    words = layout.words(data[: 2 * layout.word])
    if len(words) < 2:
        return ()
    count, page_size = words
    table = 2 * layout.word
    names_at = table + count * 3 * layout.word
    if names_at > len(data):
        return ()
    rows = layout.words(data[table:names_at])
    names = data[names_at:].split(b"\0")[:-1]
    return tuple(
        _file_mapping(start, end, offset * page_size, name)
        for start, end, offset, name in zip(rows[::3], rows[1::3], rows[2::3], names)
        if name and start < end
    )


def _file_mapping(start: int, end: int, offset: int, name: bytes) -> FileMapping:
    path = os.fsdecode(name)
    deleted = path.endswith(DELETED)
    return FileMapping(start, end, offset, path[: -len(DELETED)] if deleted else path, deleted)


def signal_name(number: int) -> str:
    """The name of a Linux signal, e.g. ``SIGSEGV``, from signal(7)."""
    if 1 <= number <= len(_SIGNALS):
        return "SIG" + _SIGNALS[number - 1]
    return "SIG{}".format(number)
