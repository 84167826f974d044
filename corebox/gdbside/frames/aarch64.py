"""Calls and frame records of aarch64 (Arm ARM, C6.2; AAPCS64, 6.4.6)."""

CALL_LENGTH = 4
SIGNAL_RETURNS = (b"\x68\x11\x80\xd2\x01\x00\x00\xd4",)  # mov x8, #139; svc #0
# Masks and values of bl, blr, and blraa and its like.
_BL = 0xFC000000, 0x94000000
_CALLS = (_BL, (0xFFFFFC1F, 0xD63F0000), (0xFEFFF800, 0xD63F0800))


def is_call(code: bytes) -> bool:
    """Whether these four bytes are a call."""
    word = int.from_bytes(code, "little")
    return len(code) == CALL_LENGTH and any(word & mask == value for mask, value in _CALLS)


def called(code: bytes, address: int) -> int | None:
    """What the call is of that ends at ``address``; None if it goes by a register."""
    word = int.from_bytes(code, "little")
    if len(code) != CALL_LENGTH or word & _BL[0] != _BL[1]:
        return None
    distance = (word & 0x03FFFFFF) - (1 << 26 if word & 1 << 25 else 0)
    return address - CALL_LENGTH + 4 * distance & (1 << 64) - 1
