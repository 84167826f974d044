"""Signatures of repositories: OpenPGP by gpgv, with the keys that this machine's administrator trusts for packages."""

import base64
import binascii
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from corebox.errors import HostError, InputError

#: More keys, of repositories that no package of this machine knows: files, separated by colons.
VARIABLE = "COREBOX_KEYRINGS"
_FOLDERS = ("/usr/share/keyrings", "/etc/apt/trusted.gpg.d", "/etc/apt/keyrings", "/etc/pki/rpm-gpg")
_SUFFIXES = (".gpg", ".asc", ".pgp", ".key", ".pub")
_MAX_COUNT, _MAX_KEYRING_SIZE, _MAX_LENGTH = 200, 4 << 20, 60.0
_ARMOUR = re.compile(
    rb"-----BEGIN PGP PUBLIC KEY BLOCK-----\s*\n(?:[^\n]*:[^\n]*\n)*\s*\n(.*?)\n(?:=[^\n]*\n)?-----END", re.DOTALL
)


def keyrings(names: Sequence[str] = ()) -> list[Path]:
    """The keyrings called ``names``, or all that there are; those of the environment come first."""
    own = [Path(name) for name in os.environ.get(VARIABLE, "").split(":") if name]
    files = [path for folder in _FOLDERS for path in sorted(Path(folder).glob("*")) if path.suffix in _SUFFIXES]
    known = [path for path in files if not names or path.name in names]
    return [path for path in (*own, *known) if path.is_file()][:_MAX_COUNT]


def signed_text(signed: Path, rings: Sequence[Path]) -> bytes:
    """The text of a file with a signature in it (InRelease), after at least one good signature was seen and no bad one.

    Raises:
        InputError: ``bad-signature``.
        HostError: ``no-gpgv``.
    """
    with tempfile.TemporaryDirectory() as folder:
        return _verify(["--output", "-", str(signed)], rings, Path(folder), signed.name)


def verify_detached(signature: Path, content: Path, rings: Sequence[Path]) -> None:
    """Check the signature of ``content``; raises as ``signed_text``."""
    with tempfile.TemporaryDirectory() as folder:
        _verify([str(signature), str(content)], rings, Path(folder), content.name)


def _verify(arguments: Sequence[str], rings: Sequence[Path], folder: Path, name: str) -> bytes:
    program = shutil.which("gpgv")
    if program is None:
        raise HostError("no-gpgv", "gpgv, which checks signatures, is not installed", "apt-get install gpgv")
    openpgp = [ring for ring in rings if ring.suffix != ".pub"]  # those are apk's
    words = [word for number, ring in enumerate(openpgp) for word in ("--keyring", str(_binary(ring, folder, number)))]
    status = folder / "status"
    with status.open("wb") as out:
        descriptor = out.fileno()
        try:
            result = subprocess.run(
                [program, "--homedir", str(folder), "--status-fd", str(descriptor), *words, *arguments],
                capture_output=True,
                check=False,
                pass_fds=[descriptor],
                timeout=_MAX_LENGTH,
                stdin=subprocess.DEVNULL,
            )
        except subprocess.TimeoutExpired as error:
            raise bad_signature(name, "checking it takes too long") from error
    marks = {line.split()[1] for line in status.read_bytes().splitlines() if line.startswith(b"[GNUPG:] ")}
    if b"VALIDSIG" not in marks or b"BADSIG" in marks:
        unknown = b"NO_PUBKEY" in marks and b"BADSIG" not in marks
        raise bad_signature(
            name, "it is signed by a key that is not known here" if unknown else "its signature is not right"
        )
    return result.stdout


def _binary(ring: Path, folder: Path, number: int) -> Path:
    """The keyring as gpgv reads it, which is not armoured."""
    data = ring.read_bytes()[:_MAX_KEYRING_SIZE]
    found = _ARMOUR.search(data)
    if found is None:
        return ring.absolute()
    path = folder / f"{number}.gpg"
    try:
        path.write_bytes(base64.b64decode(found.group(1)))
    except binascii.Error:
        path.write_bytes(b"")
    return path


def bad_signature(name: str, why: str) -> InputError:
    """The error for an index that nobody vouches for whom this machine trusts."""
    hint = (
        f"name a file with the key of the repository: {VARIABLE}=FILE.gpg; or download packages and give their folder"
    )
    return InputError("bad-signature", f"the index {name} cannot be trusted: {why}", hint)
