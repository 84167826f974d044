"""Rust's panics, with the message and the place in the source.

Neither needs debug information: the place is a core::panic::Location in the program's constant data, to which the
stack has a pointer; the message is in the buffer that the panic was printed from, or in the payload's String.
"""

import itertools
import posixpath
import re
import struct
from collections.abc import Sequence

from corebox.gdbside.memory import mapped
from corebox.gdbside.why import memtext
from corebox.gdbside.why.facts import SIGABRT, Cause, Fault

_PANICS = r"(_{0,2}rustc(\[\w+\])?::|std::panicking::)?(__)?(rust_panic|rust_start_panic|rust_begin_unwind|begin_panic)"
_RUNTIME = ("core::", "std::", "alloc::", "rust_", "__rust", "_rust", "<core::", "<std::", "<alloc::")
_TEXT = re.compile(
    rb"panicked at ([^\0\n]{1,400}?:\d+:\d+):\n([^\0]{1,2000}?)\n(?:note: |stack backtrace|\0|$)", re.DOTALL
)
_MAX_LENGTH, _SCANNED, _LARGE_FRAME = 2048, 32 << 10, 1 << 10
_OF_THE_COMPILER = ("/rustc/", "/usr/src/rustc", "library/", "/build/rustc")
# The functions of the C library between a program and the signal, and how many of its own frames have no names.
_OF_LIBC = re.compile(r"(__)?(GI_)?(pthread_kill|raise|abort|gsignal|start_thread|clone|_?_?libc_start|_start|main$)")
_MAX_UNNAMED = 24
_NUMBERS = re.compile(r"\d+")


def rust_panic(fault: Fault) -> Cause | None:
    """A Rust panic that aborts passes through one of these, if the program has names."""
    panic = fault.runs_like(_PANICS)
    if not panic:
        return _without_names(fault)
    lines = [f"{panic} is on the stack"]
    outside = next((name for name in _after(fault.names, panic) if name and not name.startswith(_RUNTIME)), None)
    if outside:
        lines.append(f"panicked in {outside}")
    place, message = _printed(fault)
    place = place or _location(fault)
    message = message or _payload(fault) or _literal(fault)
    return _cause(place, message, lines)


def _without_names(fault: Fault) -> Cause | None:
    """A stripped program that aborts from its own code, with the place of a panic on the stack.

    The innermost of its frames is the same function of the standard library for each panic: the place stands for one.
    """
    if fault.signal != SIGABRT or any(name and not _OF_LIBC.match(name) for name in fault.names[:_MAX_UNNAMED]):
        return None
    place, message = _printed(fault)
    place = place or _location(fault)
    if not place:
        return None
    found = _cause(place, message or _payload(fault), ["the place of a panic is on the stack"])
    return found._replace(function=posixpath.basename(place))


def _cause(place: str | None, message: str | None, lines: list[str]) -> Cause:
    if place:
        lines.append(f"at {place}")
    sentence = "Rust panic" + (f" at {place}" if place else "") + (f": {message}" if message else "")
    detail = _NUMBERS.sub("N", message.partition("\n")[0])[:120] if message else None
    return Cause("rust-panic", sentence, lines, detail)


def _after(names: Sequence[str], name: str) -> Sequence[str]:
    return names[names.index(name) :]


def _printed(fault: Fault) -> tuple[str | None, str | None]:
    """Place and message from the buffer that they were printed from (rustc 1.81 and later)."""
    found = memtext.search(fault, b"panicked at ", _TEXT, 4096)
    return (memtext.decoded(found[1]), memtext.decoded(found[2])) if found else (None, None)


def _slots(fault: Fault) -> list[int]:
    """Words of the stack from the innermost frame on."""
    mapping = None if fault.stack is None else fault.core.at(fault.stack)
    if mapping is None or fault.stack is None:
        return []
    size, data = min(_SCANNED, mapping.end - fault.stack), None
    while size and data is None:
        data = fault.read(fault.stack, size)
        size //= 2
    return [each for (each,) in struct.iter_unpack("<Q", data[: len(data) & ~7])] if data else []


def _location(fault: Fault) -> str | None:
    """A Location {file: &str, line: u32, col: u32}: the first of the program's own, else of the standard library."""
    found = list(dict.fromkeys(filter(None, (_as_location(fault, slot) for slot in _slots(fault)))))
    own = [place for place in found if not place.startswith(_OF_THE_COMPILER)]
    return next(iter(own or found), None)


def _as_location(fault: Fault, pointer: int) -> str | None:
    mapping = fault.core.at(pointer)
    if mapping is None or not mapping.path or pointer % 8 or mapping.flags & mapped.PF_X:
        return None
    data = fault.read(pointer, 24)
    if data is None:
        return None
    text, length, line, column = struct.unpack("<QQII", data)
    if not 4 <= length <= 512 or not 0 < line < 1 << 20 or not 0 < column < 1 << 16:
        return None
    name = _text(fault, text, length)
    return f"{name}:{line}:{column}" if name and name.endswith(".rs") else None


def _text(fault: Fault, address: int, length: int) -> str | None:
    data = fault.read(address, length) if fault.core.at(address) else None
    try:
        text = data.decode() if data else None
    except UnicodeDecodeError:
        return None
    return text if text and all(char.isprintable() or char in "\n\t" for char in text) else None


def _payload(fault: Fault) -> str | None:
    """The message in the panic's payload: a String (pointer, capacity and length in any order), else a literal."""
    slots = _slots(fault)
    for at in range(len(slots) - 2):
        text = _as_string(fault, slots[at : at + 3])
        if text:
            return text
    return None


def _literal(fault: Fault) -> str | None:
    """A message without arguments: fmt::Arguments with a single piece, between the handler and what panicked.

    Up to rustc 1.88 it holds (pieces, 1), the piece being a &str; later the text itself and its length, doubled.
    """
    outer = [at for at, name in enumerate(fault.names) if name and not name.startswith(_RUNTIME)]
    start = next(
        (at for at, name in enumerate(fault.names) if re.search(r"begin_unwind|panic_handler$|begin_panic$", name)),
        None,
    )
    end = next((at for at in outer if start is not None and at > start), None)
    if start is None or end is None:
        return None
    low, high = fault.debugger.stack_of(start), fault.debugger.stack_of(end)
    if low is None or high is None:
        return None
    data = fault.read(low, min(high - low, _SCANNED) & ~7) if high > low else None
    slots = [each for (each,) in struct.iter_unpack("<Q", data)] if data else []
    pairs: list[tuple[int | None, int | None]] = list(itertools.pairwise(slots))
    # Or they are in the frame of what panicked, and the handler has a pointer to them.
    inside = (slot + at for slot in slots if high <= slot < high + _LARGE_FRAME for at in (0, 16, 32))
    pairs += [(fault.word(at), fault.word(at + 8)) for at in inside]
    # Before edition 2021, panic!("text") hands on the &str itself.
    ways = (_str,) if fault.runs("std::panicking::begin_panic") else (_pieces, _template)
    known = [(text, size) for text, size in pairs if text is not None and size is not None]
    return next(filter(None, (read(fault, text, size) for read in ways for text, size in known)), None)


def _str(fault: Fault, text: int, size: int) -> str | None:
    return _message(fault, text, size) if _is_constant(fault, text) else None


def _is_constant(fault: Fault, pointer: int) -> bool:
    mapping = fault.core.at(pointer)
    return mapping is not None and bool(mapping.path) and not mapping.flags & mapped.PF_W


def _pieces(fault: Fault, pointer: int, count: int) -> str | None:
    """(pieces, 1)."""
    piece = fault.read(pointer, 16) if count == 1 and pointer % 8 == 0 and fault.core.at(pointer) else None
    text, size = struct.unpack("<QQ", piece) if piece else (0, 0)
    return _message(fault, text, size) if _is_constant(fault, text) else None


def _template(fault: Fault, text: int, size: int) -> str | None:
    """(text, twice its length and one)."""
    return _message(fault, text, size >> 1) if size % 2 and _is_constant(fault, text) else None


def _message(fault: Fault, text: int, size: int) -> str | None:
    found = _text(fault, text, size) if 4 < size < _MAX_LENGTH else None
    return found if found and " " in found and not found.endswith(".rs") else None


def _as_string(fault: Fault, words: Sequence[int]) -> str | None:
    pointers = [word for word in words if word > 1 << 16]
    numbers = [word for word in words if 0 < word <= _MAX_LENGTH]
    if len(pointers) != 1 or len(numbers) != 2 or words[2] not in numbers:
        return None
    mapping = fault.core.at(pointers[0])
    if mapping is None or mapping.path or not mapping.flags & mapped.PF_W:
        return None
    text = _text(fault, pointers[0], min(numbers))
    return text if text and len(text) > 7 and " " in text else None


KINDS = (rust_panic,)
