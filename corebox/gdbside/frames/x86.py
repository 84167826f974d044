"""What instructions of x86 do to the stack, of 64 and of 32 bits (Intel SDM 2, chapters 3 and 4)."""

import re
from collections.abc import Iterable
from typing import NamedTuple, Protocol

#: push of the frame pointer; and what makes it one, by bytes of a word.
PUSH = b"\x55"
MOVES = {8: (b"\x48\x89\xe5", b"\x48\x8b\xec"), 4: (b"\x89\xe5", b"\x8b\xec")}
#: What begins any instruction that makes a frame pointer: mov, lea from the stack pointer, by bytes of a word.
SETS_BASE = {8: (*MOVES[8], b"\x48\x8d\x6c\x24", b"\x48\x8d\xac\x24"), 4: (*MOVES[4], b"\x8d\x6c\x24", b"\x8d\xac\x24")}
#: What returns from a signal handler, rt_sigreturn(2) and sigreturn(2), by bytes of a word.
SIGNAL_RETURNS = {
    8: (b"\x48\xc7\xc0\x0f\x00\x00\x00\x0f\x05",),
    4: (b"\xb8\xad\x00\x00\x00\xcd\x80", b"\x58\xb8\x77\x00\x00\x00\xcd\x80"),
}
#: Bytes before a return address that are looked at.
MAX_CALL_LENGTH = 7
_RETURNS = (b"\xc3", b"\xf3\xc3", b"\xf2\xc3")
_CALL, _CALL_WORD, _JUMP_WORD, _JUMP_EBX, _BND = b"\xe8", b"\xff\x15", b"\xff\x25", b"\xff\xa3", b"\xf2"
_JUMP, _MAX_JUMPS = b"\xe9", 2
_MAX_HELPER = 64  # bytes
_BASE_OF_CALLER = {
    word: tuple(bytes([pop]) + PUSH + each for pop in range(0x58, 0x60) for each in moves)
    for word, moves in MOVES.items()
}
_LANDS = {8: b"\xf3\x0f\x1e\xfa", 4: b"\xf3\x0f\x1e\xfb"}  # endbr64, endbr32


class Code(Protocol):
    """The memory of a process: see ``CodeMap``."""

    def code(self, address: int, size: int, /) -> bytes:
        """The bytes there, fewer where they are not known."""

    def word(self, address: int, /) -> int | None:
        """The word there, None if it is not known."""


class Pushed(NamedTuple):
    """What a function has put on the stack.

    Attributes:
        depth: how many bytes; None if that cannot be told.
        saved_base: how far above the stack pointer its caller's frame pointer is, None if it is not there.
        framed: the frame pointer's register is its own frame's.
    """

    depth: int | None
    saved_base: int | None = None
    framed: bool = False


def pushed(instructions: Iterable[tuple[bytes, str]], word: int = 8) -> Pushed:
    """What a function has put on the stack that has run up to here.

    Args:
        instructions: bytes and text of each instruction from its start on, in the order of their addresses.
        word: bytes of an address.
    """
    depth, most = 0, 0
    base: int | None = None
    known = True
    for code, text in instructions:
        if code in MOVES[word] and depth == base:  # else the register is any pointer
            return Pushed(None, None, framed=True)
        if code in _RETURNS:  # what follows comes from before the registers were restored
            depth = most
            continue
        grown = pushes(code, word)
        known = known and (bool(grown) or not _sets_stack_pointer(text))
        depth += grown
        most = max(most, depth)
        if code == PUSH:
            base = depth
    if depth < 0 or not known:
        return Pushed(None)
    return Pushed(depth, None if base is None or base > depth else depth - base)


def _sets_stack_pointer(text: str) -> bool:
    """Whether an instruction changes the stack pointer by what is not in it."""
    name, _, operands = text.partition(" ")
    if name.startswith(("push", "pop", "enter", "leave")):
        return True
    written = operands.rpartition(",")[2].strip()
    return written in ("%rsp", "%esp") and not name.startswith(("cmp", "test"))


def pushes(code: bytes, word: int = 8) -> int:
    """By how many bytes an instruction lets the stack grow: push, pop, and sub and add of a constant to its pointer."""
    plain = code[1:] if word == 8 and code[:1] == b"\x41" else code  # REX.B: r8 to r15
    if len(plain) == 1 and 0x50 <= plain[0] < 0x60:
        return word if plain[0] < 0x58 else -word
    if plain[:1] in (b"\x68", b"\x6a") or (plain[:1] == b"\xff" and plain[1] >> 3 & 7 == 6):  # of a constant, of memory
        return word
    if plain[:1] == b"\x8f":
        return -word
    wide = code.removeprefix(b"\x48") if word == 8 else code
    if word == 8 and wide == code:  # without REX.W it is another register
        return 0
    for operation, sign in ((0xEC, 1), (0xC4, -1)):
        if wide[:2] in (bytes([0x83, operation]), bytes([0x81, operation])):
            return sign * int.from_bytes(wide[2:], "little", signed=True)
    return 0


def called(known: Code, address: int, word: int = 8) -> int | None:
    """What the call before ``address`` is of: directly, by an entry of a PLT, or by a word of memory; None if unknown.

    An entry of a PLT jumps to where its word of the GOT says (System V ABI, x86-64, 5.2; with IBT: endbr64, bnd jmp).
    On i386 that is relative to a register if the code is position-independent: then it is not known.
    """
    code = known.code(address - 6, 6)
    if code[:2] == _CALL_WORD:
        return known.word(_place(address, code[2:], word))
    if code[1:2] != _CALL:
        return None
    target = _relative(address, code[2:], word)
    entry = known.code(target, 16)
    at = len(_LANDS[word]) if entry.startswith(_LANDS[word]) else 0
    at += entry[at : at + 1] == _BND
    if word == 4 and entry[at : at + 2] == _JUMP_EBX:
        return None
    if entry[at : at + 2] != _JUMP_WORD or len(entry) < at + 6:
        return target
    return known.word(_place(target + at + 6, entry[at + 2 : at + 6], word))


def sets_base(known: Code, start: int, code: bytes, word: int = 8) -> bool:
    """Whether some of the code at ``start`` makes a frame pointer, itself or by a function that does it for its caller.

    Such a function takes its own return address off the stack before: V8's baseline code begins with a call of one
    (BaselineOutOfLinePrologue).
    """
    if any(each in code for each in SETS_BASE[word]):
        return True
    targets = {called(known, start + each.start() + 5, word) for each in re.finditer(_CALL, code)}
    helpers = [known.code(each, _MAX_HELPER) for each in targets if each is not None]
    return any(each in helper for helper in helpers for each in _BASE_OF_CALLER[word])


def jumped_to(known: Code, target: int, word: int = 8) -> int:
    """Where a function that does nothing but jump to another one leads: musl's free to the one behind it."""
    for _ in range(_MAX_JUMPS):
        code = known.code(target, 9)
        at = len(_LANDS[word]) if code.startswith(_LANDS[word]) else 0
        if code[at : at + 1] != _JUMP or len(code) < at + 5:
            break
        target = _relative(target + at + 5, code[at + 1 : at + 5], word)
    return target


def _relative(address: int, code: bytes, word: int) -> int:
    """Where a displacement leads to from the end of its instruction."""
    return address + int.from_bytes(code, "little", signed=True) & (1 << 8 * word) - 1


def _place(address: int, code: bytes, word: int) -> int:
    """Where the word is that an instruction names: relative to its end, or on i386 by its address."""
    return _relative(address, code, word) if word == 8 else int.from_bytes(code, "little")


def is_call(code: bytes) -> bool:
    """Whether these seven bytes of x86 code end with a call."""
    return len(code) == MAX_CALL_LENGTH and (code[2] == 0xE8 or calls_indirectly(code))


def calls_directly(code: bytes) -> bool:
    """Whether these five bytes are a call of a function itself."""
    return code[:1] == _CALL


def calls_indirectly(code: bytes) -> bool:
    """Whether they end with a call of an address from a register or from memory."""
    return any(_is_indirect_call(code[-size:]) for size in range(2, 8))


def _is_indirect_call(code: bytes) -> bool:
    """Whether these bytes are one ``call *...`` (Intel SDM, FF /2)."""
    if code[:1] != b"\xff" or code[1] >> 3 & 7 != 2:
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
