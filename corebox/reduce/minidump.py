"""A minidump of a core: what crash reporters and their servers take (Sentry, Socorro, Backtrace, minidump-stackwalk).

It has threads with registers and stacks, modules with build IDs, the exception, and the code where that happened; no
heap. The format is Microsoft's minidumpapiset.h; what Linux adds is Breakpad's minidump_format.h. Only x86-64.
"""

import struct
from typing import BinaryIO, Dict, Iterator, List, NamedTuple, Sequence, Tuple

from corebox.coredump.core import CoreFile
from corebox.coredump.header import PF_W, PF_X
from corebox.coredump.notes import MAX_THREADS, parse_thread, read_notes
from corebox.coredump.values import Module, Thread
from corebox.errors import InputError

#: Bytes of one stack, a deeper one is cut at its old end; of all of them; and of the code around a program counter.
MAX_STACK, MAX_STACKS, AROUND = 1 << 20, 256 << 20, 256
_RED_ZONE = 128  # System V ABI, AMD64 supplement, 3.2.2
_NT_PRSTATUS, _NT_FPREGSET = 1, 2
_REGISTERS_AT = 112  # struct elf_prstatus
_MAX_MAPS = 65536
_PF_R = 4  # elf(5)

_HEADER, _STREAMS = 32, 8
_SIGNATURE, _VERSION = 0x504D444D, 0xA793
_THREADS, _MODULES, _MEMORY, _EXCEPTION, _SYSTEM, _MISC = 3, 4, 5, 6, 7, 15
_AUXV, _MAPS = 0x47670008, 0x47670009
_AMD64, _LINUX = 9, 0x8201
_BUILD_ID = 0x4270454C  # a CodeView record of Breakpad's: "BpEL" and the build ID
_FULL_CONTEXT = 0x00100000 | 1 | 2 | 4  # control, integers, segments
_WITH_FLOATS = 8
#: In the order of struct user_regs_struct (arch/x86/include/asm/user_64.h).
_NAMES = (
    *("r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx", "rsi", "rdi"),
    *("orig_rax", "rip", "cs", "eflags", "rsp", "ss", "fs_base", "gs_base", "ds", "es", "fs", "gs"),
)
_GENERAL = (
    *("rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi"),
    *("r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rip"),
)


class MinidumpFacts(NamedTuple):
    """What the core alone does not say, or does not say for certain."""

    modules: Sequence[Module]
    time: int


class _Place(NamedTuple):
    """Where something is in the file."""

    size: int
    offset: int

    def packed(self) -> bytes:
        return struct.pack("<II", self.size, self.offset)


class _File:
    """The file, written from its beginning to its end but for the header and the directory, which come last."""

    def __init__(self, out: BinaryIO, streams: int) -> None:
        self._out = out
        self.directory = b""
        self.offset = _HEADER + streams * 12
        out.seek(self.offset)

    def add_stream(self, kind: int, data: bytes) -> None:
        """Append it, and note it in the directory."""
        self.directory += struct.pack("<I", kind) + self.add(data).packed()

    def add(self, data: bytes) -> _Place:
        """Append it, where the next 8 bytes begin."""
        padding = -self.offset % 8
        self._out.write(bytes(padding) + data)
        place = _Place(len(data), self.offset + padding)
        self.offset = place.offset + place.size
        return place

    def add_text(self, text: str) -> int:
        """Append a MINIDUMP_STRING; its offset."""
        encoded = text.encode("utf-16-le", "replace")
        return self.add(struct.pack("<I", len(encoded)) + encoded + b"\0\0").offset


def write_minidump(core: CoreFile, facts: MinidumpFacts, out: BinaryIO) -> int:
    """Write the minidump of ``core`` and return its size.

    Raises:
        InputError: ``no-minidump`` for a core of another machine than x86-64 or another system than Linux.
    """
    if (core.machine, core.bits, core.system) != ("x86_64", 64, "Linux") or not core.process.threads:
        what = "{} of {}, {} bits".format(core.machine, core.system, core.bits)
        hint = "minidumps are written for x86_64 Linux; export the core itself: --core FILE"
        raise InputError("no-minidump", "no minidump can be made of this core ({})".format(what), hint)
    file = _File(out, _STREAMS)
    stacks = _Stacks(core, file)
    file.add_stream(_SYSTEM, _system(file))
    file.add_stream(_MISC, struct.pack("<6I", 24, 1, core.process.pid or 0, 0, 0, 0))
    file.add_stream(_THREADS, stacks.add_threads())
    file.add_stream(_EXCEPTION, _exception(core, stacks.contexts))
    file.add_stream(_MODULES, _modules(facts.modules, file))
    file.add_stream(_MEMORY, stacks.memory_list())
    file.add_stream(_AUXV, b"".join(struct.pack("<QQ", *each) for each in core.auxv.items()) + bytes(16))
    file.add_stream(_MAPS, _maps(core))
    out.seek(0)
    out.write(struct.pack("<6IQ", _SIGNATURE, _VERSION, _STREAMS, _HEADER, 0, facts.time & 0xFFFFFFFF, 0))
    out.write(file.directory)
    return file.offset


def _system(file: _File) -> bytes:
    """MINIDUMP_SYSTEM_INFO; nothing is known of the processor but its kind."""
    return struct.pack("<HHHBB5IHH24x", _AMD64, 0, 0, 0, 0, 0, 0, 0, _LINUX, file.add_text(""), 0, 0)


class _Stacks:
    """The threads, and the memory that is kept of them.

    Attributes:
        contexts: where the registers of each thread are, by its number.
    """

    def __init__(self, core: CoreFile, file: _File) -> None:
        self._core, self._file = core, file
        self._memory: List[Tuple[int, _Place]] = []
        self._left = MAX_STACKS
        self.contexts: Dict[int, _Place] = {}

    def add_threads(self) -> bytes:
        """MINIDUMP_THREAD_LIST."""
        made = []
        for thread, context in _contexts(self._core):
            self.contexts[thread.tid] = place = self._file.add(context)
            start, stack = _stack(self._core, thread, min(self._left, MAX_STACK))
            self._left -= len(stack)
            kept = self._keep(start, stack)
            words = (thread.tid & 0xFFFFFFFF, 0, 0, 0, 0, start)
            made.append(struct.pack("<IIIIQQ", *words) + kept.packed() + place.packed())
        return struct.pack("<I", len(made)) + b"".join(made)

    def memory_list(self) -> bytes:
        """MINIDUMP_MEMORY_LIST: the stacks, where most readers look for them, and the code where it crashed."""
        counter = self._core.process.threads[0].program_counter
        if counter is not None:
            segment = self._core.memory.segment_at(counter)
            start = max(counter - AROUND // 2, segment.address if segment else counter)
            self._keep(start, self._core.read_available(start, counter + AROUND // 2 - start))
        ordered = [struct.pack("<Q", start) + place.packed() for start, place in sorted(self._memory)]
        return struct.pack("<I", len(ordered)) + b"".join(ordered)

    def _keep(self, start: int, data: bytes) -> _Place:
        place = self._file.add(data)
        if data:
            self._memory.append((start, place))
        return place


def _contexts(core: CoreFile) -> Iterator[Tuple[Thread, bytes]]:
    """Each thread with its registers as Windows' CONTEXT has them; a core has the one that crashed first."""
    status, floats, count = b"", b"", 0
    for note in read_notes(core.fileno(), core.header, core.table.notes):
        if note.kind == _NT_FPREGSET and note.owner == "CORE":
            floats = core.read_file(note.offset, 512)
        if note.kind != _NT_PRSTATUS or note.owner != "CORE":
            continue
        for thread in _parsed(core, status):
            yield thread, _context(status, floats)
        status, floats, count = core.read_file(note.offset, min(note.size, 4096)), b"", count + 1
        if count > MAX_THREADS:
            return
    for thread in _parsed(core, status):
        yield thread, _context(status, floats)


def _parsed(core: CoreFile, status: bytes) -> Iterator[Thread]:
    thread = parse_thread(core.header, status) if status else None
    if thread is not None:
        yield thread


def _context(status: bytes, floats: bytes) -> bytes:
    """CONTEXT of AMD64, 1232 bytes, out of ``struct elf_prstatus`` and what fxsave writes."""
    value = dict(zip(_NAMES, struct.unpack_from("<{}Q".format(len(_NAMES)), status.ljust(4096, b"\0"), _REGISTERS_AT)))
    whole = len(floats) == 512
    flags = _FULL_CONTEXT | (_WITH_FLOATS if whole else 0)
    mxcsr = struct.unpack_from("<I", floats, 24)[0] if whole else 0
    head = struct.pack("<48xII", flags, mxcsr)
    head += struct.pack("<6H", *(value[name] & 0xFFFF for name in ("cs", "ds", "es", "fs", "gs", "ss")))
    head += struct.pack("<I48x", value["eflags"] & 0xFFFFFFFF)
    head += struct.pack("<17Q", *(value[name] for name in _GENERAL))
    return (head + floats.ljust(512, b"\0")[:512]).ljust(1232, b"\0")


def _stack(core: CoreFile, thread: Thread, most: int) -> Tuple[int, bytes]:
    """The used part of a thread's stack, as far as the core has it: address and bytes."""
    start = max(0, (thread.stack_pointer or 0) - _RED_ZONE)
    segment = core.memory.segment_at(thread.stack_pointer or 0)
    if segment is None:
        return start, b""
    start = max(start, segment.address)
    return start, core.read_available(start, min(segment.address + segment.file_size - start, most))


def _exception(core: CoreFile, contexts: Dict[int, _Place]) -> bytes:
    """MINIDUMP_EXCEPTION_STREAM: number and code of the signal, and the address of the fault, as Breakpad has them."""
    process = core.process
    crashed = process.threads[0]
    address = process.fault_address if process.fault_address is not None else crashed.program_counter or 0
    head = struct.pack("<II", crashed.tid & 0xFFFFFFFF, 0)
    # Without a signal (gcore) it is what Breakpad writes for a dump that was asked for.
    number = process.signal if process.signal is not None else 0xFFFFFFFF
    record = struct.pack("<IIQQII120x", number, (process.signal_code or 0) & 0xFFFFFFFF, 0, address, 0, 0)
    return head + record + contexts.get(crashed.tid, _Place(0, 0)).packed()


def _modules(modules: Sequence[Module], file: _File) -> bytes:
    """MINIDUMP_MODULE_LIST; the program is the first."""
    made = []
    for module in modules:
        build_id = bytes.fromhex(module.build_id or "")
        record = file.add(struct.pack("<I", _BUILD_ID) + build_id) if build_id else _Place(0, 0)
        name = file.add_text(module.path)
        size = min(module.end - module.start, 0xFFFFFFFF)
        made.append(struct.pack("<QIIII52x", module.start, size, 0, 0, name) + record.packed() + bytes(24))
    return struct.pack("<I", len(made)) + b"".join(made)


def _maps(core: CoreFile) -> bytes:
    """As /proc/PID/maps has it: what is mapped from where, and how it may be used."""
    files = {each.start: each for each in core.mappings}
    lines = []
    for segment in core.segments[:_MAX_MAPS]:
        letters = (("r", _PF_R), ("w", PF_W), ("x", PF_X))
        allowed = "".join(letter if segment.flags & flag else "-" for letter, flag in letters)
        file = files.get(segment.address)
        name = " " * 12 + _escaped(file.path) if file else ""
        place = (segment.address, segment.address + segment.memory_size, allowed, file.file_offset if file else 0, name)
        lines.append("{:x}-{:x} {}p {:08x} 00:00 0{}\n".format(*place))
    return "".join(lines).encode("utf-8", "surrogateescape")


def _escaped(path: str) -> str:
    """The kernel's way with a name that has a newline (mangle_path in fs/seq_file.c)."""
    return path.replace("\n", "\\012")
