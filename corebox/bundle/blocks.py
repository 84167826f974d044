"""``core.digests``: the SHA-256 of each MiB of the compact core, so that a part of it is checked when it is read."""

import hashlib
import hmac
from typing import Any, Iterable, List, Union

from corebox.bundle.faults import damaged
from corebox.files.sha256 import sha256

#: Of the compact core; the last block may be shorter.
BLOCK_SIZE = 1 << 20
_LINE = 65  # 64 hexadecimal digits and a newline


def digests_length(size: int) -> int:
    """How long ``core.digests`` is for a compact core of ``size`` bytes."""
    return _LINE * -(-size // BLOCK_SIZE)


class BlockDigests:
    """The digests of the blocks of a compact core of ``size`` bytes; 32 bytes of memory each."""

    def __init__(self, size: int, digests: bytes) -> None:
        self.size = size
        self._digests = digests

    def __len__(self) -> int:
        return len(self._digests) // 32

    def is_right(self, index: int, block: bytes) -> bool:
        """Whether ``block`` is that block of the core, all of it."""
        whole = len(block) == min(BLOCK_SIZE, self.size - index * BLOCK_SIZE)
        return whole and hmac.compare_digest(
            hashlib.sha256(block).digest(), self._digests[32 * index : 32 * index + 32]
        )


def parse_digests(text: bytes, size: int) -> BlockDigests:
    """What ``core.digests`` says of a compact core of ``size`` bytes.

    Raises:
        InputError: ``bundle-damaged``.
    """
    digits = text.replace(b"\n", b"")
    lines = len(text) // _LINE
    if len(text) != digests_length(size) or text[_LINE - 1 :: _LINE] != b"\n" * lines or len(digits) != 64 * lines:
        raise damaged("core.digests is not of this core")
    try:
        digests = bytes.fromhex(digits.decode("ascii"))
    except ValueError as error:
        raise damaged("core.digests is not hexadecimal") from error
    if digests.hex().encode("ascii") != digits:
        raise damaged("core.digests is not in lower case")
    return BlockDigests(size, digests)


def format_digests(digests: Iterable[str]) -> bytes:
    """``core.digests`` of the hexadecimal digests of all blocks."""
    return "".join(digest + "\n" for digest in digests).encode("ascii")


class BlockHasher:
    """Hashes the pieces of a compact core, in order, block by block."""

    def __init__(self) -> None:
        self._digests: List[str] = []
        self._digest: Any = sha256()
        self._filled = 0

    def update(self, piece: Union[bytes, memoryview]) -> None:
        """The next bytes of the core."""
        left = piece
        while left:
            part = left[: BLOCK_SIZE - self._filled]
            self._digest.update(part)
            self._filled += len(part)
            left = left[len(part) :]
            if self._filled == BLOCK_SIZE:
                self._end()

    def text(self) -> bytes:
        """``core.digests``, once."""
        if self._filled:
            self._end()
        return format_digests(self._digests)

    def _end(self) -> None:
        self._digests.append(self._digest.hexdigest())
        self._digest, self._filled = sha256(), 0
