"""The C++ exception in flight, found without debug information.

Layouts: Itanium C++ ABI, Exception Handling, 2.2 and libstdc++'s unwind-cxx.h; libc++abi's is the same where used here.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from corebox.gdbside.why.facts import Fault

# unwindHeader.exception_class of GNU C++ and of LLVM, the last byte being 0 or, for a dependent exception, 1.
_CLASSES = tuple(int.from_bytes(vendor, "big") for vendor in (b"GNUCC++", b"CLNGC++"))
_STACK_BYTES = 64 << 10
_PLAIN = re.compile(r"[A-Za-z0-9_$.]+")
# The size of what lies before unwindHeader in __cxa_exception where pointers have 64 bits.
_BEFORE_HEADER = 96
# Their first member behind the vtable points to the text of what().
_WITH_MESSAGE = {"St13runtime_error", "St11logic_error"}
_MAX_BASES = 16
_MAX_LENGTH = 512


class Thrown(NamedTuple):
    """An exception: address of the object, demangled type, and its message if the type is known to have one."""

    address: int
    name: str
    what: str | None


def thrown(fault: Fault) -> Thrown | None:
    """The exception that the innermost frames deal with, or None.

    libstdc++'s hold pointers to unwindHeader, those of libc++abi to the whole __cxa_exception or to the object thrown.
    """
    mapping = None if fault.stack is None else fault.core.at(fault.stack)
    if mapping is None or fault.stack is None:
        return None
    word, seen = fault.core.word, set()
    for slot in range(fault.stack & -word, min(fault.stack + _STACK_BYTES, mapping.end) - word, word):
        pointer = fault.word(slot)
        if pointer is None or pointer in seen or pointer % word or fault.core.at(pointer) is None:
            continue
        seen.add(pointer)
        for header in (pointer, pointer + _BEFORE_HEADER, pointer - _size_of_header(fault)):
            mark = fault.number(header, 8)
            found = _described(fault, header) if mark is not None and mark >> 8 in _CLASSES else None
            if found:
                return found
    return None


def _size_of_header(fault: Fault) -> int:
    """Of _Unwind_Exception, behind which the object is."""
    return 32 if fault.core.word == 8 else 16 if "i386" in fault.machine else 24


def _described(fault: Fault, header: int) -> Thrown | None:
    """From unwindHeader back to the start of __cxa_exception, forth to the object behind it."""
    word = fault.core.word
    # Before it lie five pointers, two ints and, but on ARM's own ABI, four pointers (two before it of which are padding
    # on none of the machines that we know).
    type_info = fault.word(header - 5 * word - 8 - 4 * word)
    chain = [] if type_info is None else list(_bases(fault, type_info))
    if not chain:
        return None
    size, what = _size_of_header(fault), None
    if _WITH_MESSAGE.intersection(chain):
        # A COW string, and libc++'s reference-counted one, are a pointer to the characters.
        pointer = fault.word(header + size + word)
        what = None if pointer is None else fault.string(pointer, _MAX_LENGTH)
    return Thrown(header + size, _demangled(fault, chain[0]), what)


def _bases(fault: Fault, type_info: int) -> Iterator[str]:
    """The mangled names of a type and of its first bases (__si_class_type_info), as far as they can be told."""
    word, following = fault.core.word, type_info
    for _ in range(_MAX_BASES):
        kind, name_at = fault.word(following), fault.word(following + word)
        name = None if name_at is None else fault.string(name_at, _MAX_LENGTH)
        if not name or not _PLAIN.fullmatch(name.lstrip("*")):
            return
        yield name.lstrip("*")
        base = fault.word(following + 2 * word)
        if kind is None or base is None or "__si_class_type_info" not in fault.debugger.symbol(kind):
            return
        following = base


def _demangled(fault: Fault, name: str) -> str:
    text = fault.debugger.demangled("_ZTI" + name)
    return text[len("typeinfo for ") :] if text.startswith("typeinfo for ") else name
