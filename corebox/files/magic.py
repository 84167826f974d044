"""What compressed files begin with."""

from typing import Optional

_KINDS = (
    (b"\x28\xb5\x2f\xfd", "zst"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"\x1f\x8b", "gz"),
    (b"\xfd7zXZ\0", "xz"),
)


def compression_of(path: str) -> Optional[str]:
    """How the file is compressed: "zst", "lz4", "gz", "xz" or None."""
    try:
        with open(path, "rb") as file:
            start = file.read(6)
    except OSError:
        return None  # whoever opens it for what is in it says what is wrong
    return next((name for magic, name in _KINDS if start.startswith(magic)), None)
