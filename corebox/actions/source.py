"""Make a bundle of what came from the customer: encrypted, or a core and an archive with its files."""

import contextlib
import os
from pathlib import Path

from corebox.bundle.corecontent import CompactCore
from corebox.bundle.envelope import decrypt, is_encrypted
from corebox.bundle.manifest import Manifest
from corebox.bundle.write import Content, write_bundle
from corebox.coredump.core import open_core
from corebox.errors import CoreboxError, InputError, UsageError
from corebox.files.diskroot import DiskRoot
from corebox.gather.collect import GatherOptions, collect
from corebox.gather.compressed import decompressed_core
from corebox.gather.tree import unpacked_archive
from corebox.ondemand.mount import Unservable
from corebox.ondemand.sealed import open_sealed
from corebox.unbundle.read import is_bundle, read_manifest
from corebox.unbundle.unpack import require_space

#: Bytes; less is left on a disk when somebody could not write to it.
_LITTLE = 1 << 16


def plain_bundle(given: Path, identity: Path | None, libraries: Path | None, work: Path) -> Path:
    """The bundle as a file that can be read: ``given`` itself, or a new one in the directory ``work``.

    Args:
        given: a bundle, encrypted or not, or a core.
        identity: the file with the private key of an encrypted bundle.
        libraries: the archive with the files of a core, which may be compressed, as ``corebox request`` asks for.
        work: a directory that is removed when the bundle has been read.

    Raises:
        UsageError: ``no-identity``.
        InputError: ``bundle-damaged``, ``not-a-bundle``, ``not-a-core``, ``not-an-archive``.
        HostError: ``encryption-failed``, ``no-encryption-program``, ``no-space``.
    """
    if libraries is not None:
        return _gather(given, libraries, work)
    if not needs_identity(given):
        return given
    key = required_identity(given, identity)
    plain = work / "decrypted.corebox"
    with plain.open("xb") as out:
        try:
            decrypt(str(given), str(key), out)
        except CoreboxError:
            require_space(work, _LITTLE)  # of a full disk each program says something else
            raise
    if not is_bundle(plain):
        hint = "transfer it again, or ask the customer for what `corebox gather --encrypt-to` wrote"
        raise InputError("not-a-bundle", f"the encrypted content of {given} is not a bundle", hint)
    return plain


def manifest_of(given: Path, identity: Path | None, work: Path) -> Manifest:
    """The manifest of a bundle, encrypted or not, of which the beginning is read; the arguments are ``plain_bundle``'s.

    Raises:
        UsageError, InputError, HostError: see ``plain_bundle``.
    """
    if needs_identity(given):
        with contextlib.suppress(Unservable):
            return read_manifest(given, open_sealed(given, required_identity(given, identity)))
    return read_manifest(plain_bundle(given, identity, None, work))


def required_identity(given: Path, identity: Path | None) -> Path:
    """The file with the private key of an encrypted bundle.

    Raises:
        UsageError: ``no-identity``.
    """
    if identity is None:
        raise UsageError("no-identity", f"{given} is encrypted", "give the file with the private key: --identity FILE")
    if not identity.is_file():  # openssl waits for a pipe, and reads a device, without end
        raise UsageError("no-identity", f"{identity} is not a file", "give the file with the private key")
    return identity


def needs_identity(given: Path) -> bool:
    """Whether ``given`` is an encrypted bundle."""
    return given.is_file() and os.access(given, os.R_OK) and is_encrypted(str(given))


def _gather(core: Path, libraries: Path, work: Path) -> Path:
    bundle = work / "gathered.corebox"
    with (
        unpacked_archive(str(libraries), str(work)) as root,
        decompressed_core(str(core), str(work)) as path,
        open_core(path) as opened,
        DiskRoot(root) as disk,
    ):
        found = collect(opened, disk, GatherOptions())
        write_bundle(str(bundle), Content(found.manifest, found.sources, CompactCore(opened), jobs=os.cpu_count() or 1))
    return bundle
