"""Runs inside gdb: the C++ exception in flight, found without debug information.

Layouts: Itanium C++ ABI, Exception Handling, 2.2 and libstdc++'s unwind-cxx.h; libc++abi's is the same where used here.
"""

import re

import gdb

# unwindHeader.exception_class of GNU C++ and of LLVM, the last byte being 0 or, for a dependent exception, 1.
_CLASSES = tuple(int.from_bytes(vendor, "big") for vendor in (b"GNUCC++", b"CLNGC++"))
_STACK_BYTES = 64 << 10
_PLAIN = re.compile(r"[A-Za-z0-9_$.]+")
# Their first member behind the vtable points to the text of what().
_WITH_MESSAGE = {"St13runtime_error", "St11logic_error"}
_MOST_BASES = 16
_LONGEST = 512


class Thrown:
    """An exception: address of the object, demangled type, and its message if the type is known to have one."""

    def __init__(self, address, name, what):
        self.address, self.name, self.what = address, name, what


class _Memory:
    def __init__(self, core):
        self._read = gdb.selected_inferior().read_memory
        self.word, self._order = core.word, core.byte_order

    def number(self, address, size):
        return int.from_bytes(self._read(address, size).tobytes(), self._order)

    def pointer(self, address):
        return self.number(address, self.word)

    def text(self, address):
        """The string at ``address``; it may end with what the core has."""
        found = b""
        try:
            while b"\0" not in found and len(found) < _LONGEST:
                found += self._read(address + len(found), 16).tobytes()
        except gdb.MemoryError:
            pass
        return found.split(b"\0")[0].decode("utf-8", "replace")


def thrown(stack, core):
    """The exception that the innermost frames deal with, or None; they hold pointers to its header."""
    if stack is None or core.at(stack) is None:
        return None
    memory = _Memory(core)
    end = min(stack + _STACK_BYTES, core.at(stack).end)
    seen = set()
    for slot in range(stack & -core.word, end - core.word, core.word):
        try:
            header = memory.pointer(slot)
            if header in seen or header % core.word or core.at(header) is None:
                continue
            seen.add(header)
            if memory.number(header, 8) >> 8 in _CLASSES:
                return _describe(memory, header)
        except gdb.MemoryError:
            continue
    return None


def _describe(memory, header):
    """From unwindHeader back to the start of __cxa_exception, forth to the object behind it."""
    word = memory.word
    # Before it lie five pointers, two ints and, but on ARM's own ABI, four pointers (two before it of which are padding
    # on none of the machines that we know).
    type_info = memory.pointer(header - 5 * word - 8 - 4 * word)
    size = 32 if word == 8 else 16 if "i386" in gdb.newest_frame().architecture().name() else 24
    obj = header + size
    chain = list(_bases(memory, type_info))
    # A COW string, and libc++'s reference-counted one, are a pointer to the characters.
    what = memory.text(memory.pointer(obj + word)) if _WITH_MESSAGE.intersection(chain) else None
    return Thrown(obj, _demangled(chain[0]), what)


def _bases(memory, type_info):
    """The mangled names of a type and of its first bases (__si_class_type_info), as far as they can be told."""
    for _ in range(_MOST_BASES):
        try:
            name = memory.text(memory.pointer(type_info + memory.word)).lstrip("*")
        except gdb.MemoryError:
            return
        if not _PLAIN.fullmatch(name):
            return
        yield name
        kind = gdb.execute(f"info symbol {memory.pointer(type_info):#x}", to_string=True)
        if "__si_class_type_info" not in kind:
            return
        type_info = memory.pointer(type_info + 2 * memory.word)


def _demangled(name):
    # The name is plain: nothing of it can be more than a name to gdb.
    text = gdb.execute("demangle -l c++ -- _ZTI" + name, to_string=True).strip()
    return text[len("typeinfo for ") :] if text.startswith("typeinfo for ") else name
