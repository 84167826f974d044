"""The line of an instruction, by CPython's tables of its bytecode (Objects/codeobject.c, PyCode_Addr2Line).

All take the first line of the function, the table, and where the instruction is, in bytes: below 0 before the first.
"""

from collections.abc import Iterator

_NO_LINE = -128
_SHORT_FORMS, _ONE_LINE_FORMS, _NO_COLUMNS, _LONG, _NONE = range(10), range(10, 13), 13, 14, 15


def line_until_39(first: int, table: bytes, at: int) -> int | None:
    """Up to 3.9: pairs of how far both go on, the line with a sign (Objects/lnotab_notes.txt)."""
    line, place = first, 0
    for index in range(0, len(table) - 1, 2):
        place += table[index]
        if place > at:
            break
        line += _signed(table[index + 1])
    return line


def line_310(first: int, table: bytes, at: int) -> int | None:
    """3.10: pairs of how many bytes have a line, and how far it is from the one before (PEP 626)."""
    if at < 0:
        return first
    line, end = first, 0
    for index in range(0, len(table) - 1, 2):
        end += table[index]
        delta = _signed(table[index + 1])
        line += delta if delta != _NO_LINE else 0
        if at < end:
            return line if delta != _NO_LINE else None
    return None


def line_since_311(first: int, table: bytes, at: int) -> int | None:
    """From 3.11 on: places with their columns; only the first byte of each has its highest bit set (PEP 657)."""
    if at < 0:
        return first
    line, end, index = first, 0, 0
    while index < len(table):
        head, index = table[index], index + 1
        form = head >> 3 & 15
        end += 2 * ((head & 7) + 1)
        if form in _ONE_LINE_FORMS:
            line += form - _ONE_LINE_FORMS.start
        elif form in (_LONG, _NO_COLUMNS):
            line += _signed_number(table, index)
        if at < end:
            return None if form == _NONE else line
        while index < len(table) and not table[index] & 0x80:
            index += 1
    return None


def _signed(byte: int) -> int:
    return byte - 256 if byte > 127 else byte


def _signed_number(table: bytes, index: int) -> int:
    """A number in bytes of six bits, the lowest first, with its sign in the lowest of all."""
    number = sum(bits << 6 * at for at, bits in enumerate(_sixes(table, index)))
    return -(number >> 1) if number & 1 else number >> 1


def _sixes(table: bytes, index: int) -> Iterator[int]:
    for byte in table[index : index + 6]:
        yield byte & 63
        if not byte & 64:
            return
