"""Calls of s390x (z/Architecture Principles of Operation, chapter 7)."""

MAX_CALL_LENGTH = 6
SIGNAL_RETURNS = (b"\x0a\x77", b"\x0a\xad")  # svc 119; svc 173
_BASR, _BAS, _BRAS, _BRASL = 0x0D, 0x4D, (0xA7, 5), (0xC0, 5)


def is_call(code: bytes) -> bool:
    """Whether these six bytes end with an instruction that branches and saves: basr, bas, bras or brasl.

    One of register 0 as the target of basr branches nowhere.
    """
    if len(code) != MAX_CALL_LENGTH:
        return False
    if code[4] == _BASR and code[5] & 15:
        return True
    if code[2] == _BAS or (code[2], code[3] & 15) == _BRAS:
        return True
    return (code[0], code[1] & 15) == _BRASL
