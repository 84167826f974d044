"""SHA-256 by OpenSSL, also where Python was built without it: Python's own takes six times as long, and its lock.

Only functions of ``evp.h`` are used that all versions since 1.0 have.
"""

import ctypes
import functools
import hashlib
from typing import Any, Optional, Union

from corebox.files.zstd import address_of

_LIBRARIES = ("libcrypto.so.3", "libcrypto.so.1.1", "libcrypto.so.1.0.2", "libcrypto.so.10", "libcrypto.so.1.0.0")
_SIZE = 32


def sha256() -> Any:
    """A hash of nothing yet, with ``update`` and ``hexdigest`` as in ``hashlib``: the quickest that the host has."""
    if hashlib.sha256.__name__.startswith("openssl_"):
        return hashlib.sha256()
    library = load_library()
    return Sha256(library) if library else hashlib.sha256()


@functools.lru_cache(None)
def load_library() -> Optional[ctypes.CDLL]:
    """OpenSSL with its functions typed, or None when the host has none."""
    return next(filter(None, map(_load, _LIBRARIES)), None)


def _load(name: str) -> Optional[ctypes.CDLL]:
    try:
        library: Any = ctypes.CDLL(name)
        renamed = hasattr(library, "EVP_MD_CTX_new")  # since 1.1
        library.create = library.EVP_MD_CTX_new if renamed else library.EVP_MD_CTX_create
        library.destroy = library.EVP_MD_CTX_free if renamed else library.EVP_MD_CTX_destroy
    except (OSError, AttributeError):
        return None
    pointer, number, size = ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t
    for function, result, arguments in (
        (library.create, pointer, []),
        (library.destroy, None, [pointer]),
        (library.EVP_sha256, pointer, []),
        (library.EVP_DigestInit_ex, number, [pointer, pointer, pointer]),
        (library.EVP_DigestUpdate, number, [pointer, pointer, size]),
        (library.EVP_DigestFinal_ex, number, [pointer, pointer, pointer]),
    ):
        function.restype, function.argtypes = result, arguments
    return library  # type: ignore[no-any-return]


class Sha256:
    """A hash that OpenSSL computes; ``hexdigest`` ends it."""

    def __init__(self, library: Any) -> None:
        self._library = library
        self._context = library.create()
        self._check(self._context and library.EVP_DigestInit_ex(self._context, library.EVP_sha256(), None))

    def update(self, data: Union[bytes, memoryview]) -> None:
        """Hash ``data`` too; other threads run meanwhile."""
        self._check(self._library.EVP_DigestUpdate(self._context, address_of(data), len(data)))

    def hexdigest(self) -> str:
        """The digest of all data, once."""
        digest = ctypes.create_string_buffer(_SIZE)
        self._check(self._library.EVP_DigestFinal_ex(self._context, digest, None))
        return digest.raw.hex()

    def __del__(self) -> None:
        self._library.destroy(self._context)

    def _check(self, succeeded: int) -> None:
        if not succeeded:
            raise MemoryError("libcrypto has failed")
