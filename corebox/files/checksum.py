"""The CRC-32 of a file, as a debuglink names it (gdb manual, "Separate Debug Files")."""

import os
import zlib


def file_checksum(path: str) -> int:
    """Of the file at ``path``."""
    with open(path, "rb") as file:
        return checksum_of(file.fileno())


def checksum_of(descriptor: int) -> int:
    """Of an open file."""
    crc, offset = 0, 0
    while True:
        piece = os.pread(descriptor, 1 << 20, offset)
        if not piece:
            return crc
        crc = zlib.crc32(piece, crc)
        offset += len(piece)
