"""The slim core: enough for every thread's backtrace, arguments and locals, without the rest of the heap.

Kept: all notes; each thread's used stack; what the core has of the modules, their zero-initialised data included;
the vdso; the link map; what the stacks of Python and JavaScript need; and what stacks and registers point to, followed
a few steps, nearest first, as far as it makes the bundle no larger than a megabyte. The dropped memory is not zero but
absent: a debugger says that it cannot access it.
"""

import zlib
from types import MappingProxyType
from typing import Dict, Iterable, Iterator, List, Mapping, NamedTuple, Sequence, Set, Tuple

from corebox.coredump.core import CoreFile
from corebox.coredump.header import PF_W
from corebox.coredump.linkmap import AT_RANDOM, walk_entries
from corebox.coredump.memory import read_pointers
from corebox.coredump.modules import AT_SYSINFO_EHDR, image_end
from corebox.coredump.notes import MAX_NOTE_LENGTH, parse_words
from corebox.files.extents import CHUNK, PAGE
from corebox.files.faults import changed
from corebox.files.openfile import OpenFile
from corebox.reduce.keeper import Keeper
from corebox.reduce.rewrite import Ranges, Run, is_regular, place_runs, plan_rewrite
from corebox.reduce.runtimes import keep_runtimes

# The System V ABI of x86-64 lets functions use 128 bytes below the stack pointer, that of ppc64 512.
RED_ZONE = 512
MAX_STACK_LENGTH = 64 << 20
MAX_SEARCH_LENGTH = 8 << 20
LINK_MAP_SIZE = 2048  # glibc's private struct link_map, with the offsets of thread-local storage, is about 1.2 KiB
MAX_STRING = 4096
# Debuggers show 200 elements of a container, and a printer of containers follows nodes to nodes to texts. What is
# nearest comes first: in a heap where everything leads to everything the budget ends it.
NEAR, FAR = 128, 8192
REACH = (FAR, FAR, 512, 512)
MAX_TARGETS = 300000
#: What a slim core takes when it is compressed, in bytes; of this at least so much for what pointers lead to.
SIZE, LEAST = 1000000, 400000

Range = Tuple[int, int]


class SlimPlan(NamedTuple):
    """The slim core: ``head``, then the runs of the original, then ``tail``; memory in bytes."""

    head: bytes
    runs: Tuple[Run, ...]
    tail: bytes
    size: int
    kept_memory: int
    dropped_memory: int


def plan_slim(core: CoreFile, files: Mapping[str, OpenFile] = MappingProxyType({})) -> SlimPlan:
    """Plan the slim core; a core whose parts overlap, or that is cut within its headers, stays as it is.

    Args:
        core: see there.
        files: of its modules, by path, as far as they are at hand: runtimes say there how their objects are known.
    """
    registers = list(_registers(core))
    stacks = list(_stacks(core, registers))
    kept = [*stacks, *_main_stack(core), *module_ranges(core), *_link_map(core)]
    pointers = {word for words in registers for word in words if core.memory.segment_at(word) is not None}
    # Whatever else there is too much of: the thread's descriptor and its static thread-local storage before it.
    kept += [(pointer - PAGE, pointer + FAR) for pointer in pointers]
    base = Ranges((start & -PAGE, -(-end & -PAGE)) for start, end in kept)
    keeper = Keeper(core, base, max(LEAST, SIZE - _compressed_size(core, base)))
    roots = _roots(core, stacks, pointers)
    for pointer in roots:
        keeper.keep(pointer, NEAR)
    keep_runtimes(core, files, keeper, roots)
    _follow(keeper, roots)
    ranges = Ranges([*base.merged, *((page * PAGE, (page + 1) * PAGE) for page in keeper.pages)])
    segments = core.segments if is_regular(core) else ()
    holes = sorted(hole for segment in segments for hole in ranges.outside(segment))
    rewrite = plan_rewrite(core, holes, (), remembered=False)
    runs, size = place_runs(rewrite)
    dropped = sum(hole.size for hole in holes)
    return SlimPlan(rewrite.head, runs, rewrite.tail, size, sum(s.file_size for s in core.segments) - dropped, dropped)


def slim_pieces(core: CoreFile, plan: SlimPlan) -> Iterator[bytes]:
    """The slim core, ``plan.size`` bytes.

    Raises:
        InputError: ``file-changed`` if the core has become shorter.
    """
    yield plan.head
    for run in plan.runs:
        position, end = run.original, run.original + run.size
        while position < end:
            piece = core.read_file(position, min(CHUNK, end - position))
            if not piece:
                raise changed(core.path)
            yield piece
            position += len(piece)
    yield plan.tail


def _registers(core: CoreFile) -> Iterable[Tuple[int, ...]]:
    for note in core.notes.status:
        yield parse_words(core.header, core.read_file(note.offset, min(note.size, MAX_NOTE_LENGTH)))


def _stacks(core: CoreFile, registers: Sequence[Tuple[int, ...]]) -> Iterable[Range]:
    """From each stack pointer to the end of its mapping, where the thread's own data are.

    On machines whose stack pointer we do not know, any register may be it.
    """
    pointers = [thread.stack_pointer for thread in core.process.threads if thread.stack_pointer is not None]
    for pointer in pointers or [word for words in registers for word in words]:
        segment = core.memory.segment_at(pointer)
        if segment is not None and segment.flags & PF_W:
            start = max(segment.address, pointer - RED_ZONE)
            yield start, min(segment.address + segment.file_size, start + MAX_STACK_LENGTH)


def _main_stack(core: CoreFile) -> Iterable[Range]:
    main = core.memory.segment_at(core.auxv.get(AT_RANDOM, 0))
    if main is not None:
        end = main.address + main.file_size
        yield max(main.address, end - MAX_STACK_LENGTH), end


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
        yield entry.name, entry.name + len(core.memory.read_string(entry.name, MAX_STRING)) + 1


def _compressed_size(core: CoreFile, ranges: Ranges) -> int:
    """About what these take in a bundle, up to ``SIZE``."""
    compressor, size, read = zlib.compressobj(1), 0, 0
    for start, end in ranges.merged:
        for _, data in core.memory.pieces(start, end):
            size += len(compressor.compress(data))
            read += len(data)
            if size > SIZE or read > MAX_STACK_LENGTH:
                return SIZE
    return size


def _roots(core: CoreFile, stacks: Iterable[Range], registers: Set[int]) -> List[int]:
    """What registers and stacks point to, the crashed thread's first, its innermost frames first."""
    found: Dict[int, None] = dict.fromkeys(sorted(registers))
    for start, end in stacks:
        found.update(dict.fromkeys(read_pointers(core.memory, start, min(end, start + MAX_SEARCH_LENGTH))))
    return [word for word in found if core.memory.segment_at(word) is not None]


def _follow(keeper: Keeper, roots: List[int]) -> None:
    """Keep what ``roots`` lead to, what is likelier to be shown first, until the budget is spent."""
    for pointer in keeper.targets(roots, NEAR, MAX_TARGETS):
        keeper.keep(pointer, NEAR)
    pointers = roots
    for reach in REACH:
        for pointer in pointers:
            keeper.keep(pointer, reach)
        if keeper.left <= 0:
            break
        pointers = keeper.targets(pointers, reach, MAX_TARGETS)
