"""Calls of 64-bit RISC-V (unprivileged ISA, 2.5 and 16.4; a call links to x1 or x5)."""

MAX_CALL_LENGTH = 4
SIGNAL_RETURNS = (b"\x93\x08\xb0\x08\x73\x00\x00\x00",)  # li a7, 139; ecall
_JAL, _JALR, _LINKS = 0x6F, 0x67, (1, 5)


def is_call(code: bytes) -> bool:
    """Whether these four bytes end with jal or jalr that links, or with c.jalr, which has two bytes."""
    if len(code) != MAX_CALL_LENGTH:
        return False
    word, half = int.from_bytes(code, "little"), int.from_bytes(code[2:], "little")
    if half & 0xF07F == 0x9002 and half >> 7 & 31:
        return True
    jumps = word & 0x7F == _JAL or word & 0x707F == _JALR
    return jumps and word >> 7 & 31 in _LINKS
