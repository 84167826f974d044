"""The real cores of ``tests/cores``, unpacked sparse."""

import lzma
import os
from pathlib import Path

CORES = Path(__file__).resolve().parent.parent / "cores"
PAGE = 4096


def unpack_core(name: str, into: Path) -> Path:
    """Unpack the core ``name`` into a directory, with holes where the kernel would have left them."""
    path = into / name
    with lzma.open(CORES / (name + ".core.xz")) as packed, path.open("wb") as core:
        while page := packed.read(PAGE):
            if any(page):
                core.write(page)
            else:
                core.seek(len(page), os.SEEK_CUR)
        core.truncate()
    return path
