"""Runs inside gdb: what kind of memory a pointer points to, without symbols."""

import gdb

from corebox.gdbside.memory import corefile, heap

_NEAR = 64 << 10
_MOST_FREED = 4
_ARGUMENTS = ("rdi", "rsi", "rdx", "rcx", "rax", "rbx", "rbp", "r8", "r12", "r13", "r14", "r15")
_OTHER_ARGUMENTS = ("x0", "x1", "x2", "x19", "x20", "x21", "x22", "eax", "ebx", "ecx", "edx", "esi", "edi")


class Memory:
    """Answers about one core; the heap is walked once, when it is first asked for."""

    def __init__(self, fault):
        self.fault, self.core = fault, fault.core
        self._told = set()

    def where(self, address):
        """An address in words: what is mapped there."""
        mapping = self.core.at(address)
        if mapping is None:
            return self._outside(address)
        rights = mapping.rights()
        if not mapping.flags & (corefile.PF_R | corefile.PF_W | corefile.PF_X):
            return f"{self._guard(mapping)}, with no permissions (PROT_NONE)"
        return f"{self._what(mapping, address)} is mapped there, {rights}"

    def of_register(self, value):
        """``: heap chunk of 24 bytes, freed``, or "" where there is nothing to be said."""
        mapping = self.core.at(value)
        if mapping is None or not mapping.flags & corefile.PF_R:
            return ""
        self._told.add(value)
        return f": {self._what(mapping, value)}"

    def freed_registers(self):
        """Other registers that point into freed memory: an object that is used after it was freed."""
        lines = []
        for name in _ARGUMENTS + _OTHER_ARGUMENTS:
            value = self.fault.register(name)
            mapping = None if value is None or value in self._told else self.core.at(value)
            chunk = heap.chunk(self.fault, value) if mapping and not mapping.path else None
            if chunk and chunk.freed and len(lines) < _MOST_FREED:
                self._told.add(value)
                lines.append(f"{name} = {value:#x}: {chunk.text}")
        return lines

    def _outside(self, address):
        below = self.core.below(address)
        if below is not None and below.end <= address < below.end + _NEAR:
            what = self._what(below, below.end - 1)
            return f"nothing is mapped there, {address - below.end} bytes past the end of {what}"
        return "nothing is mapped there"

    def _what(self, mapping, address):
        if mapping.path:
            return mapping.path
        thread = self._stack_of(mapping)
        if thread:
            return f"the stack of thread {thread}"
        chunk = heap.chunk(self.fault, address)
        return chunk.text if chunk else "anonymous memory"

    def _guard(self, mapping):
        above = self.core.at(mapping.end)
        thread = self._stack_of(above) if above is not None else None
        return f"the guard page of the stack of thread {thread}" if thread else "reserved memory"

    def _stack_of(self, mapping):
        """Gdb's number of the thread whose stack it is, or None."""
        return _stacks(self.core).get(mapping.start)


_cache = {}


def _stacks(core):
    """The mappings that hold the threads' stack pointers."""
    key = (gdb.current_progspace().filename, len(core.mappings))
    if _cache.get("key") != key:
        _cache.update(key=key, stacks=_find_stacks(core))
    return _cache["stacks"]


def _find_stacks(core):
    selected, frame, found = gdb.selected_thread(), gdb.selected_frame(), {}
    for thread in gdb.selected_inferior().threads():
        try:
            thread.switch()
            mapping = core.at(int(gdb.newest_frame().read_register("sp")) & ((1 << 8 * core.word) - 1))
        except (gdb.error, ValueError):
            continue
        if mapping is not None and not mapping.path:
            found.setdefault(mapping.start, thread.num)
    selected.switch()
    frame.select()
    return found
