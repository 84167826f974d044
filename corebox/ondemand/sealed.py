"""The content of an encrypted bundle at any offset: what is read is decrypted, and nothing is written to a disk.

An age file (age-encryption.org/v1) wraps the key of the file for each recipient, and encrypts its content in chunks of
64 KiB, each with a tag of its own. The other envelope is AES in counter mode (``bundle/envelope.py``), which proves
nothing of itself: what comes out of it is proved by the digests of the bundle.
"""

import base64
import hashlib
import hmac
import io
import os
import struct
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, cast

from corebox.bundle.envelope import AGE_MAGIC, OPENSSL_MAGIC
from corebox.bundle.faults import damaged
from corebox.files.extents import read_at
from corebox.ondemand.mount import Unservable

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

CHUNK = 1 << 16
_TAG, _NONCE, _FILE_KEY = 16, 16, 16  # bytes
_SALTED = b"Salted__"  # openssl-enc(1), and eight bytes behind it
_MAX_HEAD, _MAX_IDENTITY = 1 << 16, 1 << 20
_NO_KEY = "no private key was given that opens parts of an encrypted bundle"
_AGE_KEY = "AGE-SECRET-KEY-1"
_BECH32 = "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L"  # BIP 173
_SSH = b"\0\0\0\x0bssh-ed25519\0\0\0\x20"  # RFC 8709, before the key


class Stanza(NamedTuple):
    """The file's key, wrapped for one recipient."""

    kind: str
    arguments: list[str]
    body: bytes


class SealedFile(io.RawIOBase):
    """The content of an envelope as a file; several threads may call ``read_at`` at a time.

    Attributes:
        name: of the file with the envelope.
        size: of the content in bytes.
    """

    def __init__(self, path: Path, descriptor: int, size: int, read: Callable[[int, int], bytes]) -> None:
        self.name, self.size = str(path), size
        self._descriptor, self._read, self._at = descriptor, read, 0

    def read_at(self, offset: int, size: int) -> bytes:
        """Up to ``size`` bytes at ``offset``, fewer at the end.

        Raises:
            InputError: ``bundle-damaged``.
        """
        size = min(size, self.size - offset)
        return self._read(offset, size) if size > 0 and offset >= 0 else b""

    def readable(self) -> bool:
        """See ``io.RawIOBase``."""
        return True

    def seekable(self) -> bool:
        """See ``io.RawIOBase``."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """See ``io.RawIOBase``."""
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.size}[whence]
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """See ``io.RawIOBase``."""
        data = self.read_at(self._at, len(buffer))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def close(self) -> None:
        """See ``io.RawIOBase``."""
        if not self.closed:
            os.close(self._descriptor)
        super().close()


def open_sealed(path: Path, identity: Path) -> BinaryIO:
    """The content of the encrypted bundle at ``path``; ``identity`` is the file with the private key.

    Raises:
        Unservable: parts of it cannot be decrypted here: the library is missing, or there is no key of a known kind.
        InputError: ``bundle-damaged``.
        OSError: a file cannot be read.
    """
    try:
        import cryptography  # noqa: F401, PLC0415
    except ImportError as error:
        raise Unservable("without corebox[encryption] an encrypted bundle can only be decrypted as a whole") from error
    with identity.open("rb") as file:
        key = file.read(_MAX_IDENTITY)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        head = os.pread(descriptor, _MAX_HEAD, 0)
        stored = os.fstat(descriptor).st_size
        opened = _open_age if head.startswith(AGE_MAGIC) else _open_openssl
        size, read = opened(head, stored, partial(read_at, descriptor), key)
    except ValueError as error:
        os.close(descriptor)
        raise damaged(f"its envelope: {error}") from error
    except BaseException:
        os.close(descriptor)
        raise
    return cast("BinaryIO", SealedFile(path, descriptor, size, read))


Opened = tuple[int, Callable[[int, int], bytes]]


def _open_age(head: bytes, stored: int, read: Callable[[int, int], bytes], identity: bytes) -> Opened:
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305  # noqa: PLC0415

    stanzas, signed, mac = parse_head(head)
    file_key = _unwrapped(stanzas, identity)
    if not hmac.compare_digest(hmac.digest(_derived(file_key, b"", b"header"), signed, "sha256"), mac):
        raise ValueError("its header has been changed")
    start = len(signed) + 1 + 44  # a space, and a line with 32 bytes in base64 without padding
    cipher = ChaCha20Poly1305(_derived(file_key, read(start, _NONCE), b"payload"))
    start += _NONCE
    last = max(0, -(-(stored - start) // (CHUNK + _TAG)) - 1)

    def content(offset: int, size: int) -> bytes:
        first, end = offset // CHUNK, -(-(offset + size) // CHUNK)
        sealed = read(start + first * (CHUNK + _TAG), (end - first) * (CHUNK + _TAG))
        whole = b"".join(chunk(each, sealed[(each - first) * (CHUNK + _TAG) :]) for each in range(first, end))
        return whole[offset - first * CHUNK :][:size]

    def chunk(index: int, sealed: bytes) -> bytes:
        try:
            nonce = index.to_bytes(11, "big") + bytes([index == last])
            return cipher.decrypt(nonce, sealed[: CHUNK + _TAG], None)
        except InvalidTag as error:
            raise damaged(f"chunk {index} of its envelope is not what was encrypted") from error

    return stored - start - (last + 1) * _TAG, content


def parse_head(head: bytes) -> tuple[list[Stanza], bytes, bytes]:
    """The wrapped keys of an age file, what of its head is signed, and the signature (age's specification, "Header").

    Raises:
        ValueError: it is none.
    """
    text, end, rest = head.partition(b"\n---")
    if not end:
        raise ValueError("its header does not end")
    stanzas: list[Stanza] = []
    body: list[str] = []
    for line in [*text.decode("ascii").split("\n")[1:], "->"]:
        if line.startswith("->"):
            if stanzas:
                stanzas[-1] = stanzas[-1]._replace(body=_from_base64("".join(body)))
            kind, *arguments = line.split(" ")[1:] or [""]
            stanzas.append(Stanza(kind, arguments, b""))
            body = []
        else:
            body.append(line)
    return stanzas[:-1], text + end, _from_base64(rest[1:].partition(b"\n")[0].decode("ascii"))


def _from_base64(text: str) -> bytes:
    """Of base64 without padding."""
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)


def _derived(key: bytes, salt: bytes, purpose: bytes) -> bytes:
    """A key of 32 bytes (HKDF-SHA-256, RFC 5869)."""
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF  # noqa: PLC0415

    return HKDF(SHA256(), 32, salt, purpose).derive(key)


def _unwrapped(stanzas: list[Stanza], identity: bytes) -> bytes:
    """The file's key."""
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415

    keys = list(_keys(identity))
    for stanza in stanzas:
        for unwrap in keys:
            try:
                key = unwrap(stanza)
            except (InvalidTag, ValueError, IndexError):  # it is for somebody else
                continue
            if key is not None and len(key) == _FILE_KEY:
                return key
    raise Unservable(_NO_KEY)


def _keys(identity: bytes) -> Iterator[Callable[[Stanza], bytes | None]]:
    """For each private key what takes the file's key out of a stanza; None if it is of another kind."""
    if b"-----BEGIN" in identity:
        yield _ssh_key(_private_key(identity))
    for line in identity.decode("utf-8", "replace").split():
        if line.upper().startswith(_AGE_KEY):
            # Without the six characters of its check: a key with a mistake opens nothing.
            digits = [_BECH32.index(each) for each in line.upper()[len(_AGE_KEY) : -6] if each in _BECH32]
            number = sum(digit << 5 * at for at, digit in enumerate(reversed(digits)))
            yield partial(_by_x25519, "X25519", (number >> 4 & (1 << 256) - 1).to_bytes(32, "big"), None)


def _private_key(identity: bytes) -> "PrivateKeyTypes":
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415
        load_pem_private_key,
        load_ssh_private_key,
    )

    load = load_ssh_private_key if b"OPENSSH PRIVATE" in identity else load_pem_private_key
    try:
        return load(identity, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:  # such as one with a password
        raise Unservable(_NO_KEY) from error


def _ssh_key(key: "PrivateKeyTypes") -> Callable[[Stanza], bytes | None]:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415

    if not isinstance(key, Ed25519PrivateKey):
        return lambda stanza: _by_rsa(key, stanza.body, b"age-encryption.org/v1/ssh-rsa")
    public = _SSH + key.public_key().public_bytes_raw()
    tweak = _derived(b"", public, b"age-encryption.org/v1/ssh-ed25519")
    return partial(_by_x25519, "ssh-ed25519", hashlib.sha512(key.private_bytes_raw()).digest()[:32], tweak)


def _by_x25519(kind: str, secret: bytes, tweak: bytes | None, stanza: Stanza) -> bytes | None:
    """Out of a stanza for a key on Curve25519, of age's own kind or of ssh's (age's specification)."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305  # noqa: PLC0415

    if stanza.kind != kind:
        return None
    key = X25519PrivateKey.from_private_bytes(secret)
    share = _from_base64(stanza.arguments[-1])
    shared = key.exchange(X25519PublicKey.from_public_bytes(share))
    if tweak is not None:
        shared = X25519PrivateKey.from_private_bytes(tweak).exchange(X25519PublicKey.from_public_bytes(shared))
    salt = share + key.public_key().public_bytes_raw()
    wrapping = _derived(shared, salt, b"age-encryption.org/v1/" + kind.encode())
    return ChaCha20Poly1305(wrapping).decrypt(bytes(12), stanza.body, None)


def _by_rsa(key: "PrivateKeyTypes", sealed: bytes, label: bytes | None) -> bytes | None:
    from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415

    if not isinstance(key, RSAPrivateKey):
        return None
    return key.decrypt(sealed, OAEP(MGF1(SHA256()), SHA256(), label))


def _open_openssl(head: bytes, stored: int, read: Callable[[int, int], bytes], identity: bytes) -> Opened:
    from cryptography.hazmat.primitives.ciphers import Cipher  # noqa: PLC0415
    from cryptography.hazmat.primitives.ciphers.algorithms import AES  # noqa: PLC0415
    from cryptography.hazmat.primitives.ciphers.modes import CTR  # noqa: PLC0415

    line, end, rest = head[len(OPENSSL_MAGIC) :].partition(b"\n")
    start = len(OPENSSL_MAGIC) + len(line) + 1 + _NONCE
    if not end or not rest.startswith(_SALTED) or stored < start:
        raise ValueError("its header is malformed")
    sealed = base64.b64decode(line, validate=True)
    try:
        password = _by_rsa(_private_key(identity), sealed, None)
    except ValueError as error:
        raise Unservable(_NO_KEY) from error
    if password is None:
        raise Unservable(_NO_KEY)
    salted = password + rest[len(_SALTED) : _NONCE]
    key = hashlib.sha256(salted).digest()  # EVP_BytesToKey(3) with one round
    counter = int.from_bytes(hashlib.sha256(key + salted).digest()[:16], "big")

    def content(offset: int, size: int) -> bytes:
        blocks, within = divmod(offset, 16)
        nonce = struct.pack(">QQ", *divmod((counter + blocks) % (1 << 128), 1 << 64))
        plain = Cipher(AES(key), CTR(nonce)).decryptor().update(read(start + blocks * 16, within + size))
        return plain[within:]

    return stored - start, content
