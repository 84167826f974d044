"""Runs inside gdb: what x86-64 instructions do to the stack (Intel SDM 2, chapters 3 and 4)."""

from collections.abc import Iterable
from typing import NamedTuple, Protocol

PUSH, MOVES = b"\x55", (b"\x48\x89\xe5", b"\x48\x8b\xec")  # push %rbp; mov %rsp,%rbp
_RETURNS = (b"\xc3", b"\xf3\xc3", b"\xf2\xc3")
_CALL, _CALL_WORD, _JUMP_WORD, _BND, _ENDBR64 = b"\xe8", b"\xff\x15", b"\xff\x25", b"\xf2", b"\xf3\x0f\x1e\xfa"
#: Bytes before a return address that are looked at.
MAX_CALL_LENGTH = 7


class Code(Protocol):
    """The memory of a process: see ``CodeMap``."""

    def code(self, address: int, size: int, /) -> bytes:
        """The bytes there, fewer where they are not known."""

    def word(self, address: int, /) -> int | None:
        """The word there, None if it is not known."""


class Pushed(NamedTuple):
    """What a function has put on the stack: how many bytes, and how far above the stack pointer rbp is, if it is."""

    depth: int
    saved_base: int | None


def pushed(instructions: Iterable[tuple[bytes, str]]) -> Pushed | None:
    """What a function has put on the stack that has run up to here; None if not known, or if rbp is its frame pointer.

    Args:
        instructions: bytes and text of each instruction from its start on, in the order of their addresses.
    """
    depth, most = 0, 0
    base: int | None = None
    for code, text in instructions:
        if code in MOVES and depth == base:  # else rbp is any pointer
            return None
        if code in _RETURNS:  # what follows comes from before the registers were restored
            depth = most
            continue
        grown = pushes(code)
        if not grown and _sets_stack_pointer(text):
            return None
        depth += grown
        most = max(most, depth)
        if code == PUSH:
            base = depth
    return None if depth < 0 else Pushed(depth, None if base is None or base > depth else depth - base)


def _sets_stack_pointer(text: str) -> bool:
    """Whether an instruction changes rsp by what is not in it."""
    name, _, operands = text.partition(" ")
    if name.startswith(("push", "pop", "enter", "leave")):
        return True
    written = operands.rpartition(",")[2].strip()
    return written in ("%rsp", "%esp") and not name.startswith(("cmp", "test"))


def pushes(code: bytes) -> int:
    """By how many bytes an instruction lets the stack grow: push, pop, and sub and add of a constant to rsp."""
    plain = code[1:] if code[:1] == b"\x41" else code  # REX.B: r8 to r15
    if len(plain) == 1 and 0x50 <= plain[0] < 0x60:
        return 8 if plain[0] < 0x58 else -8
    if plain[:1] in (b"\x68", b"\x6a") or (plain[:1] == b"\xff" and plain[1] >> 3 & 7 == 6):  # of a constant, of memory
        return 8
    if plain[:1] == b"\x8f":
        return -8
    for operation, sign in ((0xEC, 1), (0xC4, -1)):
        if code[:3] == bytes([0x48, 0x83, operation]):
            return sign * int.from_bytes(code[3:], "little", signed=True)
        if code[:3] == bytes([0x48, 0x81, operation]):
            return sign * int.from_bytes(code[3:], "little", signed=True)
    return 0


def called(known: Code, address: int) -> int | None:
    """What the call before ``address`` is of: directly, by an entry of a PLT, or by a word of memory; None if unknown.

    An entry of a PLT jumps to where its word of the GOT says (System V ABI, x86-64, 5.2; with IBT: endbr64, bnd jmp).
    """
    code = known.code(address - 6, 6)
    if code[:2] == _CALL_WORD:
        return known.word(address + _displacement(code[2:]))
    if code[1:2] != _CALL:
        return None
    target = address + _displacement(code[2:])
    entry = known.code(target, 16)
    at = len(_ENDBR64) if entry.startswith(_ENDBR64) else 0
    at += entry[at : at + 1] == _BND
    if entry[at : at + 2] != _JUMP_WORD or len(entry) < at + 6:
        return target
    return known.word(target + at + 6 + _displacement(entry[at + 2 : at + 6]))


def _displacement(code: bytes) -> int:
    return int.from_bytes(code, "little", signed=True)


def is_call(code: bytes) -> bool:
    """Whether these seven bytes of x86 code end with a call."""
    return len(code) == MAX_CALL_LENGTH and (code[2] == 0xE8 or calls_indirectly(code))


def calls_indirectly(code: bytes) -> bool:
    """Whether they end with a call of an address from a register or from memory."""
    return any(_is_indirect_call(code[-size:]) for size in range(2, 8))


def _is_indirect_call(code: bytes) -> bool:
    """Whether these bytes are one ``call *...`` (Intel SDM, FF /2)."""
    if code[0] != 0xFF or code[1] >> 3 & 7 != 2:
        return False
    mode, base = code[1] >> 6, code[1] & 7
    size = 2 + {0: 0, 1: 1, 2: 4, 3: 0}[mode]
    if mode != 3 and base == 4:
        size += 1
        if mode == 0 and code[2:3] and code[2] & 7 == 5:
            size += 4
    elif mode == 0 and base == 5:
        size += 4
    return size == len(code)
