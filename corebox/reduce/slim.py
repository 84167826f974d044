"""The slim core: enough for every thread's backtrace, arguments and locals, without the rest of the heap.

Kept: all notes; each thread's used stack; what the core has of the modules, their zero-initialised data included;
the vdso; the link map; and what stacks and registers point to, followed a few steps. The dropped memory is not zero
but absent: a debugger says that it cannot access it.
"""

from typing import Iterable, List, NamedTuple, Sequence, Set, Tuple

from corebox.coredump.core import CoreFile
from corebox.coredump.header import PF_W
from corebox.coredump.linkmap import AT_RANDOM, walk_entries
from corebox.coredump.memory import read_pointers
from corebox.coredump.modules import AT_SYSINFO_EHDR, image_end
from corebox.coredump.notes import MAX_NOTE_LENGTH, parse_words
from corebox.files.extents import PAGE
from corebox.reduce.rewrite import Ranges, Run, is_regular, place_runs, plan_rewrite, write_pieces

# The System V ABI of x86-64 lets functions use 128 bytes below the stack pointer, that of ppc64 512.
RED_ZONE = 512
MAX_STACK_LENGTH = 64 << 20
MAX_SEARCH_LENGTH = 8 << 20
LINK_MAP_SIZE = 2048  # glibc's private struct link_map, with the offsets of thread-local storage, is about 1.2 KiB
# How much is kept behind a pointer found in a stack, behind one found there, and so on: debuggers show 200 elements of
# a container, and a printer of containers follows nodes to nodes to texts.
REACH = (8192, 8192, 512, 512)
CELL = 512
MAX_CELLS = 300000

Range = Tuple[int, int]


class SlimPlan(NamedTuple):
    """The slim core: ``head``, then the runs of the original, then ``tail``; memory in bytes."""

    head: bytes
    runs: Tuple[Run, ...]
    tail: bytes
    size: int
    kept_memory: int
    dropped_memory: int


def plan_slim(core: CoreFile) -> SlimPlan:
    """Plan the slim core; a core whose parts overlap, or that is cut within its headers, stays as it is."""
    registers = list(_registers(core))
    stacks = list(_stacks(core, registers))
    kept = stacks + list(module_ranges(core)) + list(_link_map(core))
    pointers = {word for words in registers for word in words if core.memory.segment_at(word) is not None}
    # Whatever else there is too much of: the thread's descriptor and its static thread-local storage before it.
    kept += [(pointer - PAGE, pointer + REACH[0]) for pointer in pointers]
    for start, end in stacks:
        words = read_pointers(core.memory, start, min(end, start + MAX_SEARCH_LENGTH))
        pointers.update(word for word in words if core.memory.segment_at(word) is not None)
    kept += _follow(core, pointers)
    ranges = Ranges((start & -PAGE, -(-end & -PAGE)) for start, end in kept)
    segments = core.segments if is_regular(core) else ()
    holes = sorted(hole for segment in segments for hole in ranges.outside(segment))
    rewrite = plan_rewrite(core, holes, (), remembered=False)
    runs, size = place_runs(rewrite)
    dropped = sum(hole.size for hole in holes)
    return SlimPlan(rewrite.head, runs, rewrite.tail, size, sum(s.file_size for s in core.segments) - dropped, dropped)


def write_slim(core: CoreFile, plan: SlimPlan, out_fd: int) -> None:
    """Write ``plan.size`` bytes to ``out_fd``, a file or pipe, at its current position."""
    write_pieces(core.fileno(), plan.head, plan.runs, plan.tail, out_fd)


def _registers(core: CoreFile) -> Iterable[Tuple[int, ...]]:
    for note in core.notes.status:
        yield parse_words(core.header, core.read_file(note.offset, min(note.size, MAX_NOTE_LENGTH)))


def _stacks(core: CoreFile, registers: Sequence[Tuple[int, ...]]) -> Iterable[Range]:
    """From each stack pointer to the end of its mapping, where the thread's own data are; the main stack as a whole.

    On machines whose stack pointer we do not know, any register may be it.
    """
    pointers = [thread.stack_pointer for thread in core.process.threads if thread.stack_pointer is not None]
    main = core.memory.segment_at(core.auxv.get(AT_RANDOM, 0))
    if main is not None:
        end = main.address + main.file_size
        yield max(main.address, end - MAX_STACK_LENGTH), end
    for pointer in pointers or [word for words in registers for word in words]:
        segment = core.memory.segment_at(pointer)
        if segment is not None and segment.flags & PF_W:
            start = max(segment.address, pointer - RED_ZONE)
            yield start, min(segment.address + segment.file_size, start + MAX_STACK_LENGTH)


def module_ranges(core: CoreFile) -> Iterable[Range]:
    """Each module as its program headers lay it out in memory, and the vdso, which debuggers unwind through."""
    for module in core.modules:
        yield module.start, max(module.end, image_end(core.memory, module.start) or 0)
    vdso = core.memory.segment_at(core.auxv.get(AT_SYSINFO_EHDR, 0))
    if vdso is not None:
        yield vdso.address, vdso.address + vdso.file_size


def _link_map(core: CoreFile) -> Iterable[Range]:
    for entry in walk_entries(core.memory, core.header, core.auxv):
        yield entry.address, entry.address + LINK_MAP_SIZE
        yield entry.name, entry.name + PAGE


def _follow(core: CoreFile, pointers: Set[int]) -> List[Range]:
    """What ``pointers`` lead to in a few steps, nearest first, until it is too much."""
    cells: Set[int] = set()
    for reach in REACH:
        fresh = {
            cell
            for pointer in pointers
            if core.memory.segment_at(pointer) is not None
            for cell in range(pointer // CELL, (pointer + reach - 1) // CELL + 1)
        } - cells
        pointers = set()
        for cell in sorted(fresh)[: MAX_CELLS - len(cells)]:
            cells.add(cell)
            pointers |= read_pointers(core.memory, cell * CELL, (cell + 1) * CELL)
    return [(page * PAGE, (page + 1) * PAGE) for page in {cell * CELL // PAGE for cell in cells}]
