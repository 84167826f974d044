"""Which ELF files were mapped, from NT_FILE and the link map together.

NT_FILE has resolved paths and survives truncation; the link map has the paths as opened, and is all there is in cores
without NT_FILE (qemu-user, a note above ``kernel.core_file_note_size_limit``).
"""

import bisect
from typing import Dict, FrozenSet, Iterable, List, NamedTuple, Optional, Sequence, Set, Tuple

from corebox.coredump.header import (
    ET_DYN,
    ET_EXEC,
    HEADER_SIZE,
    MAGIC,
    PT_DYNAMIC,
    PT_INTERP,
    PT_LOAD,
    PT_PHDR,
    Header,
    entry_struct,
    parse_header,
)
from corebox.coredump.identity import MAX_NOTES_LENGTH, build_id_of, load_bias
from corebox.coredump.linkmap import AT_PHDR, AT_PHNUM, executable_bias, program_headers
from corebox.coredump.memory import Memory
from corebox.coredump.values import FileMapping, LinkMapEntry, Module, Segment

AT_ENTRY, AT_SYSINFO_EHDR = 9, 33
MAX_HEADER_DISTANCE = 64
MAX_IMAGE_LENGTH = 1 << 30
MAX_IMAGES = 4096
_NEVER_MODULES = ("/dev/", "/memfd:", "/SYSV")


class Group(NamedTuple):
    """The consecutive mappings of one file; ``elf`` is None where its first page is not in the core.

    ``start`` is the address of its first byte, whether that is still mapped from the file or not.
    """

    mappings: Tuple[FileMapping, ...]
    elf: Optional[bool]
    start: int

    @property
    def end(self) -> int:
        """Address behind the last byte."""
        return self.mappings[-1].end


class Facts(NamedTuple):
    """What the search for modules goes by: segments' ``starts`` and ``ends`` by address, those with ``code``.

    ``executable`` is AT_EXECFN, ``name`` that of the thread, ``main`` an address in the program. ``dynamics`` is
    (address of the dynamic section, index) of each entry of the link map, by address.
    """

    memory: Memory
    header: Header
    auxv: Dict[int, int]
    starts: Sequence[int]
    ends: Sequence[int]
    code: Set[int]
    mappings: Tuple[FileMapping, ...]
    link_map: Tuple[LinkMapEntry, ...]
    dynamics: Sequence[Tuple[int, int]]
    executable: Optional[str]
    name: Optional[str]
    main: int = 0


def find_modules(facts: Facts) -> Tuple[Tuple[Module, ...], Tuple[FileMapping, ...]]:
    """The modules, the executable first, and the mappings of files that are no modules."""
    groups = group_mappings(facts.memory, facts.mappings)
    whole = {group.mappings[0].path for group in groups if group.elf}
    groups = [group for group in groups if group.elf is not None or group.mappings[0].path not in whole]
    facts = facts._replace(main=_address_in_main(groups, facts))
    known = [group for group in groups if _is_module(group, facts)]
    taken = {id(group) for group in known}
    others = tuple(group.mappings[0] for group in groups if id(group) not in taken)
    found = [_module_of_group(group, facts) for group in known]
    found += _modules_of_link_map(found, facts)
    if not any(module.is_executable for module in found):
        found += _executable_without_mapping(facts)
    if not facts.mappings and not facts.link_map:
        found += _images_without_name(found, facts)
    return _without_repeats(sorted(found, key=lambda m: (not m.is_executable, m.start))), others


def group_mappings(memory: Memory, mappings: Iterable[FileMapping]) -> List[Group]:
    """The mappings in runs of one path, each no longer than the ELF file is in memory.

    A file's offset 0 begins a new run; so does what lies apart, as where node maps its code a second time. In a small
    program the data begins in the first page as well: what the file itself wants there does not begin a new one.
    What overlaps the mapping before is left out: no kernel writes it, and a million that overlap would take hours.
    """
    runs: List[List[FileMapping]] = []
    limit, again = 0, frozenset()  # type: int, FrozenSet[int]
    for mapping in sorted(mappings, key=lambda m: m.start):
        last = runs[-1][-1] if runs else None
        if last is not None and mapping.start < last.end:
            continue
        joins = last is not None and (last.path, last.deleted) == (mapping.path, mapping.deleted)
        if joins and mapping.start < limit and (mapping.file_offset > 0 or mapping.start in again):
            runs[-1].append(mapping)
        else:
            runs.append([mapping])
            limit = image_end(memory, mapping.start) or mapping.end + MAX_IMAGE_LENGTH
            again = _begins_of_file(memory, mapping.start)
    return [_group(memory, run, before) for run, before in zip(runs, [[], *runs])]


def _begins_of_file(memory: Memory, start: int) -> FrozenSet[int]:
    """Where the module at ``start`` has the beginning of its file, each time that a segment needs that page."""
    loads = [s for s in read_headers(memory, start) if s.kind == PT_LOAD]
    bias = load_bias(loads, start)
    return frozenset(bias + s.address - s.offset for s in loads)


def _group(memory: Memory, run: List[FileMapping], before: List[FileMapping]) -> Group:
    """The run, of a file that begins where its ELF header is: in its first mapping, or in memory that has replaced it.

    Programs copy their code into anonymous memory of huge pages, in the place of the file (node's --use-largepages).
    """
    first = run[0]
    base = first.start - first.file_offset
    if first.file_offset and not (before and base < before[-1].end) and (image_end(memory, base) or 0) > first.start:
        return Group(tuple(run), True, base)
    begin = memory.read_available(first.start, HEADER_SIZE) if first.file_offset == 0 else b""
    header = parse_header(begin)
    other = header is not None and header.kind not in (ET_EXEC, ET_DYN)  # a core, or an object file that is linked
    return Group(tuple(run), begin[:4] == MAGIC and not other if len(begin) >= len(MAGIC) else None, first.start)


def read_build_id(memory: Memory, base: int) -> Optional[str]:
    """The build ID of the module whose ELF header is at ``base`` in memory, lower-case hex."""
    segments = read_headers(memory, base)
    return _build_id_of(memory, segments, load_bias(segments, base))


def _build_id_of(memory: Memory, segments: Iterable[Segment], bias: int) -> Optional[str]:
    def read(segment: Segment) -> bytes:
        return memory.read_available(bias + segment.address, min(segment.memory_size, MAX_NOTES_LENGTH))

    return build_id_of(memory.order, segments, read)


def _executable_build_id(facts: Facts, base: int) -> Optional[str]:
    """By AT_PHDR first: patchelf moves the program headers away from the ELF header."""
    table = facts.auxv.get(AT_PHDR, 0)
    segments = program_headers(facts.memory, facts.header, table, facts.auxv.get(AT_PHNUM, 0))
    found = _build_id_of(facts.memory, segments, executable_bias(segments, table))
    return found or read_build_id(facts.memory, base)


def _is_module(group: Group, facts: Facts) -> bool:
    if group.elf is not None:
        return group.elf
    if _entries_within(facts, group.start, group.end) or _is_executable(group, facts):
        return True
    path = group.mappings[0].path
    return (
        path.startswith("/")
        and not path.startswith(_NEVER_MODULES)
        and any(m.start in facts.code for m in group.mappings)
    )


def _is_started(group: Group, facts: Facts) -> bool:
    """Whether the kernel has started this file: the executable, or the dynamic linker that was told to run it."""
    entry = facts.auxv.get(AT_ENTRY) or facts.auxv.get(AT_PHDR) or 0
    return group.start <= entry < group.end


def _is_executable(group: Group, facts: Facts) -> bool:
    return group.start <= facts.main < group.end


def _address_in_main(groups: Iterable[Group], facts: Facts) -> int:
    """An address in the program: ld.so(8) may be run with the program as its argument, and lists that first."""
    main = facts.link_map[0].dynamic if facts.link_map else 0
    if any(group.start <= main < group.end for group in groups):
        return main
    return facts.auxv.get(AT_ENTRY) or facts.auxv.get(AT_PHDR) or 0


def _module_of_group(group: Group, facts: Facts) -> Module:
    executable, started = _is_executable(group, facts), _is_started(group, facts)
    names = [entry.name for entry in _entries_within(facts, group.start, group.end) if entry.name]
    if facts.executable and started:
        names.append(facts.executable)
    first = group.mappings[0]
    build_id = _executable_build_id(facts, group.start) if started else read_build_id(facts.memory, group.start)
    return Module(first.path, tuple(_unique(names)), group.start, group.end, build_id, executable, first.deleted)


def _entries_within(facts: Facts, start: int, end: int) -> List[LinkMapEntry]:
    """The entries of the link map whose dynamic section is in a range of memory, in load order."""
    low, high = (bisect.bisect_left(facts.dynamics, (address, 0)) for address in (start, end))
    return [facts.link_map[index] for index in sorted(index for _, index in facts.dynamics[low:high])]


def _modules_of_link_map(known: Sequence[Module], facts: Facts) -> List[Module]:
    found: List[Module] = []
    taken = {id(entry) for module in known for entry in _entries_within(facts, module.start, module.end)}
    for entry in facts.link_map[1:]:  # the first is the program
        if not entry.name or id(entry) in taken:
            continue
        start = _start_of(facts, entry.dynamic, PT_DYNAMIC)
        start = entry.base if start is None else start
        if start != facts.auxv.get(AT_SYSINFO_EHDR):
            build_id = read_build_id(facts.memory, start)
            end = _end_of(facts, start, entry.dynamic)
            found.append(Module(entry.name, (entry.name,), start, end, build_id, False, False))
    return found


def _executable_without_mapping(facts: Facts) -> List[Module]:
    """The program where NT_FILE does not have it, under the name that it was called by, else its thread's."""
    listed = facts.link_map[0].name if facts.link_map else ""
    name = facts.executable or listed or facts.name
    table = facts.auxv.get(AT_PHDR, 0)
    start = _start_of(facts, table, PT_PHDR) if table else _program_in_memory(facts)
    if not name or (start is None and not table):
        return []
    if start is None:
        start = table & ~0xFFF
    dynamic = facts.link_map[0].dynamic if facts.link_map else table
    end = _end_of(facts, start, dynamic)
    names = tuple(_unique(filter(None, (name, listed))))
    return [Module(name, names, start, end, _executable_build_id(facts, start), True, False)]


def _program_in_memory(facts: Facts) -> Optional[int]:
    """Where a program begins in a core without auxiliary vector, as Valgrind writes it."""
    if facts.link_map:
        return _start_of(facts, facts.link_map[0].dynamic, PT_DYNAMIC)
    for start in facts.memory.starts_with(MAGIC):
        header = parse_header(facts.memory.read_available(start, HEADER_SIZE))
        if header and (header.kind == ET_EXEC or any(s.kind == PT_INTERP for s in read_headers(facts.memory, start))):
            return start
    return None


def _images_without_name(known: Sequence[Module], facts: Facts) -> List[Module]:
    """What lies in memory and nothing names, so that nobody takes the core for one of a program without libraries."""
    vdso = facts.auxv.get(AT_SYSINFO_EHDR)
    starts = [start for start in facts.memory.starts_with(MAGIC) if start != vdso]
    found = []  # type: List[Module]
    for start in starts[:MAX_IMAGES]:
        if any(module.start <= start < module.end for module in (*known, *found[-1:])):
            continue
        end = image_end(facts.memory, start) or start
        found.append(
            Module("[image at {:#x}]".format(start), (), start, end, read_build_id(facts.memory, start), False, False)
        )
    return found


def _start_of(facts: Facts, address: int, kind: int) -> Optional[int]:
    """Start of the module that has a ``kind`` of program header at ``address``; None if its headers are not here."""
    index = bisect.bisect_right(facts.starts, address)
    for start in reversed(facts.starts[max(0, index - MAX_HEADER_DISTANCE) : index]):
        addresses = _addresses_of(facts.memory, start, kind)
        if addresses is not None and address in addresses:
            return start
        if kind == PT_PHDR and addresses == ():
            return start  # a static executable says nowhere where its headers are
    return None


def _addresses_of(memory: Memory, start: int, kind: int) -> Optional[Tuple[int, ...]]:
    """Where the module at ``start`` has its segments of a ``kind``; None if no module begins there.

    Remembered: of a list of 65,536 modules each looks at the same few pages.
    """
    known = memory.segments_of
    if (start, kind) not in known:
        segments = read_headers(memory, start)
        bias = load_bias(segments, start)
        found = tuple(bias + segment.address for segment in segments if segment.kind == kind)
        known[start, kind] = found if segments else None
    return known[start, kind]


def read_headers(memory: Memory, start: int) -> Tuple[Segment, ...]:
    """The program headers of the module whose ELF header is at ``start``, none if there is none."""
    header = parse_header(memory.read_available(start, HEADER_SIZE))
    if header is None or header.entry_size != entry_struct(header).size:
        return ()
    return program_headers(memory, header, start + header.table_offset, header.entries)


def image_end(memory: Memory, start: int) -> Optional[int]:
    """Where the module at ``start`` ends as its program headers say, zero-initialised data included; None without."""
    loads = [s for s in read_headers(memory, start) if s.kind == PT_LOAD]
    return load_bias(loads, start) + max(s.address + s.memory_size for s in loads) if loads else None


def _end_of(facts: Facts, start: int, inside: int) -> int:
    """As the program headers say; without them, the end of the memory about ``inside``, an address in the data."""
    index = bisect.bisect_right(facts.starts, inside) - 1
    return image_end(facts.memory, start) or max(start, inside, facts.ends[index] if index >= 0 else 0)


def _without_repeats(modules: Iterable[Module]) -> Tuple[Module, ...]:
    """One module for each file: a library mapped twice (dlmopen, or read through mmap) is one file all the same."""
    found: Dict[Tuple[str, bool, Optional[str]], Module] = {}
    for module in modules:
        key = (module.path, module.deleted, module.build_id)
        if key not in found or (module.opened_as and not found[key].opened_as):
            found[key] = module
    return tuple(found.values())


def _unique(names: Iterable[str]) -> List[str]:
    return list(dict.fromkeys(names))
