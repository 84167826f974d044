"""Runs inside gdb: what memory can hold code, and what unwind information that code has."""

import re
from collections.abc import Callable
from typing import NamedTuple

import gdb

from corebox.gdbside.frames import cfi, hotspot
from corebox.gdbside.frames.cfimodule import Module
from corebox.gdbside.memory import mapped
from corebox.gdbside.memory.process import address_of, read

_MAX_MAPPINGS_BACK = 8
_SECTION = re.compile(r"^\s*(0x[0-9a-f]+) - (0x[0-9a-f]+) is (\S+)", re.MULTILINE)
_READ_ERRORS = (gdb.error, OverflowError, ValueError)


#: What the deoptimiser returns to, in its releases (src/deoptimizer/deoptimizer.cc), and how much of it is compared.
_V8_ENTRIES = tuple(
    [f"{who}EnterAt{what}Bytecode" for who in ("Interpreter", "BaselineOrInterpreter") for what in ("", "Next")]
    + [f"ContinueTo{what}Builtin{how}" for what in ("CodeStub", "JavaScript") for how in ("", "WithResult")]
)
_V8_ENTRY_SIZE = 48


class Sized(NamedTuple):
    """How far the return address is above the stack pointer; ``first`` if the function is the first of a stack.

    ``switches`` says that it is so for it changes to another stack, of which unwind information tells nothing.
    """

    size: int
    first: bool
    switches: bool = False


#: Asked for addresses without unwind information, and whether they are exact: runtimes with tables of their own.
tables: list[Callable[[int, bool], Sized | None]] = []


class Memory:
    """The core's memory, as far as unwinding needs it; answers are kept."""

    def __init__(self) -> None:
        self.core = mapped.opened()
        self.form = self.core.order, self.core.word
        # Some systems' cores say of no mapping that it can be executed.
        self._tells_rights = any(each.flags & mapped.PF_X for each in self.core.mappings)
        self._modules: dict[int | str | None, Module] = {}
        self._entries: dict[int, cfi.Entry | None] = {}
        self._starts: dict[tuple[int, tuple[bytes, ...]], bool] = {}
        self._code_cache: hotspot.CodeCache | None = None
        self._v8_entries: frozenset[bytes] | None = None

    def read(self, address: int, size: int) -> bytes:
        """Bytes of the process; raises what ``_READ_ERRORS`` names if they are not known."""
        return gdb.selected_inferior().read_memory(address, size).tobytes()

    def word(self, address: int) -> int | None:
        """The word at an address; None if it is not known."""
        try:
            return int.from_bytes(self.read(address, self.core.word), self.core.byte_order)
        except _READ_ERRORS:
            return None

    def code(self, address: int, size: int) -> bytes:
        """Instruction bytes; empty if they are not known."""
        try:
            return self.read(address, size)
        except _READ_ERRORS:
            return b""

    def starts_with(self, address: int, codes: tuple[bytes, ...]) -> bool:
        """Whether one of these instruction sequences is at an address; kept, for it is asked for every frame."""
        if (address, codes) not in self._starts:
            self._starts[address, codes] = any(self.code(address, len(each)) == each for each in codes)
        return self._starts[address, codes]

    def executable(self, address: int) -> bool:
        """Whether code can be at an address. Not every core names all mappings: then it is what gdb has a file for."""
        mapping = self.core.at(address)
        if mapping is None or not self._tells_rights:
            return mapping is not None or self.objfile(address) is not None or self.core.file_at(address) is not None
        return bool(mapping.flags & mapped.PF_X)

    def compiled_java(self, pc: int) -> hotspot.Blob | None:
        """HotSpot's piece of code at an address, a ``hotspot.Blob``, or None."""
        return self.code_cache().blob(pc)

    def code_cache(self) -> hotspot.CodeCache:
        """HotSpot's code, if there is any."""
        if self._code_cache is None:
            self._code_cache = hotspot.CodeCache(read, address_of, self.core.byte_order)
        return self._code_cache

    def v8_enters(self, address: int) -> bool:
        """Whether V8's deoptimiser may have made a frame that returns there, to a builtin's first instruction.

        Later releases run a copy of their builtins that is near to the code which they compile.
        """
        if self._v8_entries is None:
            codes = map(self._first_code, _V8_ENTRIES)
            self._v8_entries = frozenset(code for code in codes if len(code) == _V8_ENTRY_SIZE)
        return bool(self._v8_entries) and self.code(address, _V8_ENTRY_SIZE) in self._v8_entries

    def _first_code(self, builtin: str) -> bytes:
        try:
            return self.code(address_of("Builtins_" + builtin), _V8_ENTRY_SIZE)
        except LookupError:
            return b""

    def sized(self, pc: int, exact: bool) -> Sized | None:
        """What a runtime's tables tell of the frame at an address, which is behind a call unless it is exact."""
        return next((found for each in tables if (found := each(pc, exact))), None)

    def objfile(self, address: int) -> gdb.Objfile | None:
        """The file that gdb has for an address, or None."""
        return gdb.current_progspace().objfile_for_address(address)

    def same_mapping(self, *addresses: int) -> bool:
        """Whether all are in one mapping."""
        mapping = self.core.at(addresses[0])
        return mapping is not None and all(mapping.start <= each < mapping.end for each in addresses)

    def entry(self, pc: int) -> cfi.Entry | None:
        """The unwind information that gdb has of the code at ``pc``, a ``cfi.Entry``, or None."""
        if pc < 0:  # before a function at 0
            return None
        if pc not in self._entries:
            objfile = self.objfile(pc)
            try:
                found = self._module(pc, objfile).entry(pc) if objfile else None
            except (*_READ_ERRORS, cfi.DamagedError):
                found = None
            self._entries[pc] = found
        return self._entries[pc]

    def _module(self, pc: int, objfile: gdb.Objfile) -> Module:
        base = self._base(pc)
        key = objfile.filename if base is None else base
        if key not in self._modules:
            debug = [each.filename for each in gdb.objfiles() if each.owner is not None and each.owner == objfile]
            files = [each for each in (objfile.filename, *debug) if each]
            self._modules[key] = Module(base, _text_of(pc), self.read, self.form, files, _READ_ERRORS)
        return self._modules[key]

    def _base(self, pc: int) -> int | None:
        """Where the ELF header is of the file that is mapped at ``pc``; None if it is not in the core."""
        mapping = self.core.at(pc)
        if mapping is None:
            return self._base_of_file(pc)
        if mapping.path:
            same = [each for each in self.core.mappings if each.path == mapping.path and each.start <= mapping.start]
            first = [each.start for each in same if each.offset == 0]
            if first:
                return first[-1]
        at = self.core.mappings.index(mapping)
        for each in reversed(self.core.mappings[max(0, at - _MAX_MAPPINGS_BACK) : at + 1]):
            if self.code(each.start, 4) == b"\x7fELF":
                return each.start
        return None

    def _base_of_file(self, pc: int) -> int | None:
        file = self.core.file_at(pc)
        starts = [each.start for each in self.core.files if file and each.path == file.path and not each.file_offset]
        return max((each for each in starts if each <= pc), default=None)


def _text_of(pc: int) -> int:
    """Where the section .text is that ``pc`` is in; gdb has it in words only."""
    for start, end, name in _SECTION.findall(gdb.execute("info files", to_string=True)):
        if name == ".text" and int(start, 16) <= pc < int(end, 16):
            return int(start, 16)
    return 0
