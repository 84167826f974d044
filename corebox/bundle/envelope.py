"""Encryption of a bundle on its way: by the ``age`` or ``openssl`` program of the site, while it is written.

With age it is an ordinary age file. With openssl, for an RSA certificate or public key, it is the line
``corebox-envelope-1``, a line with a random password encrypted for the key (RSA-OAEP) in base64, and the bundle
encrypted with that password by ``openssl enc -aes-256-ctr -md sha256``. CMS would be the standard, but ``openssl cms``
holds all of it in memory to decrypt.
"""

import base64
import os
import re
import shutil
import subprocess
from typing import BinaryIO, List, NamedTuple, Optional

from corebox.bundle.faults import damaged
from corebox.errors import HostError, InputError, UsageError

AGE_MAGIC = b"age-encryption.org/v1\n"
OPENSSL_MAGIC = b"corebox-envelope-1\n"

_ENC = ["openssl", "enc", "-aes-256-ctr", "-md", "sha256", "-salt"]
#: Where the head of an age file ends (age-encryption.org/v1, "Header"); each key that can open it takes some 100 bytes.
_AGE_END, _MAX_HEAD_LENGTH = b"\n--- ", 1 << 16
#: What age and ``openssl enc`` say when the key is right and the file is not.
_DAMAGE = ("failed to read header", "bad header MAC", "authenticate payload chunk", "bad magic number")
_MAX_REASON_LENGTH = 200
_OAEP = ["-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt", "rsa_oaep_md:sha256"]


class Envelope(NamedTuple):
    """How to encrypt: bytes that come first, the program, and a password that it reads from a descriptor."""

    head: bytes
    command: List[str]
    password: Optional[bytes]
    suffix: str


def envelope_for(recipient: str) -> Envelope:
    """How to encrypt for ``recipient``: an age or ssh public key, a file of such, or a PEM certificate or public key.

    Raises:
        UsageError: ``not-a-recipient``.
        HostError: ``no-encryption-program``, ``encryption-failed``.
    """
    if recipient.startswith(("age1", "ssh-")):
        return Envelope(b"", [_program("age"), "-r", recipient], None, ".age")
    try:
        with open(recipient, "rb") as file:
            text = file.read(1 << 20)
    except OSError as error:
        raise UsageError(
            "not-a-recipient",
            "{} is neither an age key nor a readable file".format(recipient),
            "give age1..., a file of age keys, or a PEM certificate or public key",
        ) from error
    if b"-----BEGIN" in text and b"PRIVATE" not in text:
        return _openssl_envelope(recipient, b"CERTIFICATE" in text)
    if b"age1" in text or b"ssh-" in text:
        return Envelope(b"", [_program("age"), "-R", recipient], None, ".age")
    raise UsageError(
        "not-a-recipient",
        "{} contains no public key".format(recipient),
        "give the certificate or public key, not a private key",
    )


def _program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise HostError(
            "no-encryption-program",
            "{} is not installed".format(name),
            "install it, or use the other kind of key (age: age1..., openssl: a PEM certificate)",
        )
    return path


def _openssl_envelope(key: str, is_certificate: bool) -> Envelope:
    _program("openssl")
    password = base64.b64encode(os.urandom(48))
    kind = ["-certin"] if is_certificate else ["-pubin"]
    command = ["openssl", "pkeyutl", "-encrypt", *kind, "-inkey", key, *_OAEP]
    hint = "give an RSA certificate or public key in PEM form, of 2048 bits or more"
    sealed = _run(command, password, "cannot encrypt for {}".format(key), hint)
    return Envelope(OPENSSL_MAGIC + base64.b64encode(sealed) + b"\n", [*_ENC, "-e"], password, ".enc")


def _run(command: List[str], data: bytes, what: str, hint: str) -> bytes:
    done = subprocess.run(command, input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    if done.returncode:
        message = "{}: openssl says: {}".format(what, _reason(done.stderr, done.returncode))
        raise HostError("encryption-failed", message, hint)
    return done.stdout


def _reason(errors: bytes, status: int) -> str:
    """Why a program failed: its last line that says error, for age ends with a word about reporting bugs.

    Of a line of OpenSSL's the words alone (ERR_error_string(3): ``error:CODE:LIBRARY:FUNCTION:REASON``).
    """
    lines = errors.decode("utf-8", "replace").strip().splitlines()
    blames = [line for line in lines if "error:" in line.lower()]
    line = (blames or lines or ["exit status {}".format(status)])[-1]
    openssl = re.search("error:[0-9A-F]+:[^:]*:[^:]*:([^:]+)", line)
    return (openssl.group(1) if openssl else line)[:_MAX_REASON_LENGTH]


class Filter:
    """A running encryption program; write to ``stdin`` if it has no source, then ``finish``."""

    def __init__(
        self, command: List[str], password: Optional[bytes], source: Optional[BinaryIO], target: BinaryIO
    ) -> None:
        target.flush()
        keep = []
        if password is not None:
            reading, writing = os.pipe()  # 64 bytes fit into a pipe; a command line would be seen by everybody
            os.write(writing, password + b"\n")
            os.close(writing)
            command = [*command, "-pass", "fd:{}".format(reading)]
            keep.append(reading)
        self._child = subprocess.Popen(
            command,
            stdin=source if source else subprocess.PIPE,
            stdout=target,
            stderr=subprocess.PIPE,
            pass_fds=keep,
        )
        for descriptor in keep:
            os.close(descriptor)

    @property
    def stdin(self) -> BinaryIO:
        """Where to write what is to be filtered."""
        assert self._child.stdin
        return self._child.stdin  # type: ignore[return-value]

    def finish(self) -> None:
        """Wait for the program.

        Raises:
            InputError: ``bundle-damaged``.
            HostError: ``encryption-failed``.
        """
        try:
            _, errors = self._child.communicate()
        except BaseException:
            self.abandon()
            raise
        if self._child.returncode:
            reason = _reason(errors, self._child.returncode)
            if any(words in reason for words in _DAMAGE):
                raise damaged(reason)
            raise HostError(
                "encryption-failed",
                "the encryption program failed: {}".format(reason),
                "check the key and the space on the disk; for decryption the identity must match the key"
                " it was encrypted for",
            )

    def abandon(self) -> None:
        """End the program."""
        self._child.kill()
        self._child.communicate()


def is_encrypted(path: str) -> bool:
    """Whether the file is a bundle in an envelope of either kind."""
    with open(path, "rb") as file:
        return file.read(32).startswith((AGE_MAGIC, OPENSSL_MAGIC))


def decrypt(path: str, identity: str, out: BinaryIO) -> None:
    """Write the bundle inside the envelope at ``path`` to ``out``; ``identity`` is a file with the private key.

    Raises:
        InputError: ``not-encrypted``, ``bundle-damaged``.
        HostError: ``no-encryption-program``, ``encryption-failed`` for a key that does not fit.
    """
    with open(path, "rb", buffering=0) as source:
        magic = source.read(len(OPENSSL_MAGIC))
        if magic == OPENSSL_MAGIC:
            sealed = _read_line(source)
            command = ["openssl", "pkeyutl", "-decrypt", "-inkey", identity, *_OAEP]
            hint = "give the private PEM key of the key it was encrypted for; if that fails, transfer the bundle again"
            password = _run(command, sealed, "{} does not open {}".format(identity, path), hint)
            filter_ = Filter([*_ENC, "-d"], password, source, out)
        elif AGE_MAGIC.startswith(magic):
            source.seek(0)
            if _AGE_END not in source.read(_MAX_HEAD_LENGTH):  # age would take it into memory, whatever its length
                raise damaged("its envelope header does not end")
            source.seek(0)
            filter_ = Filter([_program("age"), "-d", "-i", identity], None, source, out)
        else:
            raise InputError("not-encrypted", "{} is not encrypted".format(path), "open it without --identity")
        filter_.finish()


def _read_line(source: BinaryIO) -> bytes:
    """The encrypted password; read byte by byte, since what follows belongs to the filter."""
    line = b""
    while not line.endswith(b"\n") and len(line) < 8192:
        byte = source.read(1)
        if not byte:
            break
        line += byte
    try:
        return base64.b64decode(line.strip(), validate=True)
    except ValueError as error:
        raise damaged("its envelope header is malformed") from error
