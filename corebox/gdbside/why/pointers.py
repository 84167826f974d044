"""What kind of memory a pointer points to, without symbols."""

from corebox.gdbside.memory import heap
from corebox.gdbside.memory.mapped import PF_R, PF_W, PF_X, Mapped
from corebox.gdbside.why.facts import Fault

_NEAR = 64 << 10
_MAX_FREED = 4
_ARGUMENTS = ("rdi", "rsi", "rdx", "rcx", "rax", "rbx", "rbp", "r8", "r12", "r13", "r14", "r15")
_OTHER_ARGUMENTS = ("x0", "x1", "x2", "x19", "x20", "x21", "x22", "eax", "ebx", "ecx", "edx", "esi", "edi")


class Memory:
    """Answers about one core; the heap is walked once, when it is first asked for."""

    def __init__(self, fault: Fault) -> None:
        self.fault, self.core = fault, fault.core
        self._named: set[int] = set()

    def where(self, address: int) -> str:
        """An address in words: what is mapped there."""
        mapping = self.core.at(address)
        if mapping is None:
            return self._outside(address)
        rights = mapping.rights()
        if not mapping.flags & (PF_R | PF_W | PF_X):
            return f"{self._guard(mapping)}, with no permissions (PROT_NONE)"
        return f"{self._what(mapping, address)} is mapped there, {rights}"

    def of_register(self, value: int) -> str:
        """``: heap chunk of 24 bytes, freed``, or "" where there is nothing to be said."""
        mapping = self.core.at(value)
        if mapping is None or not mapping.flags & PF_R:
            return ""
        self._named.add(value)
        return f": {self._what(mapping, value)}"

    def freed_registers(self) -> list[str]:
        """Other registers that point into freed memory: an object that is used after it was freed."""
        lines: list[str] = []
        for name in _ARGUMENTS + _OTHER_ARGUMENTS:
            value = self.fault.register(name)
            mapping = None if value is None or value in self._named else self.core.at(value)
            chunk = heap.chunk(self.fault, value) if value is not None and mapping and not mapping.path else None
            if value is not None and chunk and chunk.freed and len(lines) < _MAX_FREED:
                self._named.add(value)
                lines.append(f"{name} = {value:#x}: {chunk.text}")
        return lines

    def _outside(self, address: int) -> str:
        below = self.core.below(address)
        if below is not None and below.end <= address < below.end + _NEAR:
            what = self._what(below, below.end - 1)
            return f"nothing is mapped there, {address - below.end} bytes past the end of {what}"
        return "nothing is mapped there"

    def _what(self, mapping: Mapped, address: int) -> str:
        if mapping.path:
            return mapping.path
        thread = self._stack_of(mapping)
        if thread:
            return f"the stack of thread {thread}"
        chunk = heap.chunk(self.fault, address)
        return chunk.text if chunk else "anonymous memory"

    def _guard(self, mapping: Mapped) -> str:
        above = self.core.at(mapping.end)
        thread = self._stack_of(above) if above is not None else None
        return f"the guard page of the stack of thread {thread}" if thread else "reserved memory"

    def _stack_of(self, mapping: Mapped) -> int | None:
        """Gdb's number of the thread whose stack it is, or None."""
        if mapping.path:
            return None
        pointers = self.fault.debugger.stacks().items()
        return next((thread for pointer, thread in pointers if mapping.start <= pointer < mapping.end), None)
