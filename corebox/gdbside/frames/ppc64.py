"""Calls of 64-bit PowerPC, little-endian (Power ISA, book I, 2.4)."""

CALL_LENGTH = 4
SIGNAL_RETURNS = (b"\xac\x00\x00\x38\x02\x00\x00\x44",)  # li r0, 172; sc
_LINK = 1
# The primary opcodes of bc and b; and of bclr, bcctr and bctar, which are told apart further on.
_DIRECT, _BY_REGISTER, _REGISTERS = (16, 18), 19, (16, 528, 560)


def is_call(code: bytes) -> bool:
    """Whether these four bytes are a branch that leaves where it comes from in the link register."""
    word = int.from_bytes(code, "little")
    if len(code) != CALL_LENGTH or not word & _LINK:
        return False
    opcode = word >> 26
    return opcode in _DIRECT or (opcode == _BY_REGISTER and word >> 1 & 0x3FF in _REGISTERS)
