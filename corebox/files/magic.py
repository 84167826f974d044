"""What compressed files begin with."""

import os
from typing import Optional

ZSTD, LZ4, GZIP, XZ, BZIP2 = b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18", b"\x1f\x8b", b"\xfd7zXZ\0", b"BZh"
_KINDS = ((ZSTD, "zst"), (LZ4, "lz4"), (GZIP, "gz"), (XZ, "xz"))


def compression_of(path: str) -> Optional[str]:
    """How the file is compressed: "zst", "lz4", "gz", "xz" or None."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a named pipe would make us wait
        with open(descriptor, "rb", buffering=0) as file:
            start = file.read(6) or b""
    except OSError:
        return None  # whoever opens it for what is in it says what is wrong
    return compression_in(start)


def compression_in(start: bytes) -> Optional[str]:
    """The same of a file that begins with ``start``."""
    return next((name for magic, name in _KINDS if start.startswith(magic)), None)
