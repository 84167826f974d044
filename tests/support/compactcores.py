"""The compact core of a core file, as bytes."""

from corebox.bundle.blocks import BLOCK_SIZE
from corebox.bundle.corecontent import CoreContent


def content_of(core: CoreContent) -> bytes:
    """All of the compact core."""
    return b"".join(bytes(block) for block in core.blocks(lambda: memoryview(bytearray(BLOCK_SIZE))))
