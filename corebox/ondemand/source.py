"""What is served: a core in blocks, of which each was checked when it was read."""

from typing import Protocol

from corebox.bundle.blocks import BLOCK_SIZE, BlockDigests


class BlockError(Exception):
    """A block cannot be had.

    Attributes:
        lasting: it is wrong, and will be whenever it is read again.
    """

    def __init__(self, reason: str, *, lasting: bool) -> None:
        super().__init__(reason)
        self.lasting = lasting


class BlockSource(Protocol):
    """A compact core of ``size`` bytes; several threads may read at a time."""

    size: int
    #: How many blocks are read at a time, and how many ahead of who reads one after the other.
    at_once: int
    ahead: int

    def read_block(self, index: int) -> bytes:
        """Block ``index``, BLOCK_SIZE bytes but for the last.

        Raises:
            BlockError: it is not what its digest says, or cannot be read now.
        """


def block_length(size: int, index: int) -> int:
    """Bytes of block ``index`` of a core of ``size`` bytes."""
    return min(BLOCK_SIZE, size - index * BLOCK_SIZE)


def checked(digests: BlockDigests, index: int, block: bytes) -> bytes:
    """The block, if it is the one that was gathered.

    Raises:
        BlockError: it is not.
    """
    if not digests.is_right(index, block):
        raise wrong()
    return block


def wrong() -> BlockError:
    """The error for a block that is not the one that was gathered."""
    return BlockError("its bytes do not match their digest in core.digests", lasting=True)
