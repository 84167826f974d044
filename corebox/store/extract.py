"""Puts layer tars into a new directory. A pulled layer is a stranger's: nothing it says can lead outside."""

import os
import tarfile
from pathlib import Path

from corebox.bundle.strangers import BoundedTar
from corebox.store.values import image_damaged

#: sendfile(2) and copy_file_range(2) move at most this much at once.
_AT_ONCE = 1 << 30


def extract_layer(tar: Path, into: Path) -> None:
    """Unpack one layer; files keep mode and time, and belong to whom we are.

    Raises:
        InputError: ``image-damaged`` for anything that corebox never puts into a layer.
    """
    try:
        with (
            BoundedTar.open(tar, "r:", encoding="utf-8", errors="surrogateescape") as archive,
            tar.open("rb") as source,
        ):
            made: set[str] = {""}
            for member in archive:
                _extract(member, source.fileno(), into, made)
    except tarfile.TarError as error:
        raise image_damaged(f"layer {tar.name}: {error}") from error


def _extract(member: tarfile.TarInfo, source: int, into: Path, made: set[str]) -> None:
    """Make one member; ``made`` are the directories that are known to be no links."""
    name = member.name.rstrip("/")
    if name.startswith("/") or not set(name.split("/")).isdisjoint({"", ".", ".."}) or "\0" in name:
        raise image_damaged(f"a layer has a member {name!r:.200}")
    parent = name.rpartition("/")[0]
    _require_directory(parent, into, made)
    path = os.fsencode(into / name)
    if member.isdir():
        if name not in made:
            _require_directory(name, into, made)
    elif os.path.lexists(path):
        raise image_damaged(f"{name!r:.200} is there twice")
    elif member.issym():
        (into / name).symlink_to(member.linkname)
    elif member.isreg() and not member.issparse():
        _copy_file(member, source, path)
    else:
        raise image_damaged(f"{name!r:.200} is neither a file nor a directory nor a symbolic link")


def _require_directory(name: str, into: Path, made: set[str]) -> None:
    """Make the directory, checking that no part of its path is a link or a file."""
    at = ""
    for part in name.split("/") if name else ():
        at = f"{at}/{part}" if at else part
        if at in made:
            continue
        path = into / at
        if path.is_symlink() or (path.exists() and not path.is_dir()):
            raise image_damaged(f"{name!r:.200} lies beneath something that is no directory")
        path.mkdir(mode=0o755, exist_ok=True)
        made.add(at)


def _copy_file(member: tarfile.TarInfo, source: int, path: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        offset, left = member.offset_data, member.size
        while left:
            copied = _copy_some(source, descriptor, offset, min(left, _AT_ONCE))
            if not copied:
                raise image_damaged(f"{member.name!r:.200} ends early")
            offset, left = offset + copied, left - copied
        os.fchmod(descriptor, member.mode & 0o777)
        os.utime(descriptor, (member.mtime, member.mtime))
    finally:
        os.close(descriptor)


def _copy_some(source: int, target: int, offset: int, size: int) -> int:
    """Copy within the kernel; sendfile where copy_file_range does not reach (two file systems, old kernels)."""
    try:
        return os.copy_file_range(source, target, size, offset_src=offset)
    except OSError:
        return os.sendfile(target, source, offset, size)
