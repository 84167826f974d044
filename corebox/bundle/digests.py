"""SHA256SUMS, and the identity of a bundle."""

import hashlib
import os
from typing import Iterable, Tuple

from corebox.bundle import layout


def identity_of(sums: bytes) -> str:
    """The identity of the bundle whose SHA256SUMS has these bytes."""
    return "sha256:" + hashlib.sha256(sums).hexdigest()


def format_sums(members: Iterable[Tuple[str, str]]) -> bytes:
    """SHA256SUMS for (member name, hex digest) in archive order; that of ``core``, in version 1, is its layer's."""
    return b"".join(_line(os.fsencode(name), digest.encode("ascii")) for name, digest in members)


def _line(name: bytes, digest: bytes) -> bytes:
    if name == layout.CORE.encode("ascii"):
        return b"# layer-sha256 " + digest + b"  core\n"
    escaped = name.replace(b"\\", b"\\\\").replace(b"\n", b"\\n")
    return (b"\\" if escaped != name else b"") + digest + b"  " + escaped + b"\n"
