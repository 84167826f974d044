"""Unpacks layers into a directory. A layer may come from a registry, so its names are hostile."""

import os
import tarfile
from collections.abc import Iterable
from pathlib import Path

from corebox.errors import InputError

_KINDS = (tarfile.DIRTYPE, tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.SYMTYPE)


def unpack_layers(layers: Iterable[Path], root: Path) -> None:
    """Unpack uncompressed layer tars into ``root``, an empty directory that only we write to.

    Modes lose set-id and sticky bits, except the sticky bit of directories; times are kept.

    Raises:
        InputError: ``layer-damaged`` for anything but plain files, directories and links at their own paths.
    """
    for layer in layers:
        with layer.open("rb") as stream:
            try:
                with tarfile.open(fileobj=stream, mode="r:", errors="surrogateescape") as archive:
                    for member in archive:
                        _unpack(member, stream.fileno(), root)
            except (tarfile.TarError, EOFError, FileExistsError, NotADirectoryError, FileNotFoundError) as error:
                raise _damaged(f"{layer.name}: {error}") from error


def _unpack(member: tarfile.TarInfo, source: int, root: Path) -> None:
    path = _place(member, root)
    if member.isdir():
        path.mkdir(mode=0o755, exist_ok=True)
        path.chmod(member.mode & 0o1777)
    elif member.issym():
        path.symlink_to(member.linkname)
        os.utime(path, (member.mtime, member.mtime), follow_symlinks=False)
    else:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            _copy(source, member.offset_data, descriptor, member.size)
            os.fchmod(descriptor, member.mode & 0o777)
            os.utime(descriptor, (member.mtime, member.mtime))
        finally:
            os.close(descriptor)


def _place(member: tarfile.TarInfo, root: Path) -> Path:
    """The path for ``member``, whose parents are directories that are no symbolic links."""
    parts = member.name.split("/")
    if member.type not in _KINDS or member.sparse is not None or not all(parts) or {".", ".."} & set(parts):
        raise _damaged(f"it holds {member.name!r}")
    path = root
    for part in parts[:-1]:
        path = path / part
        if path.is_symlink() or not path.is_dir():
            raise _damaged(f"{member.name!r} lies beneath something that is no directory")
    path = path / parts[-1]
    if member.isdir() and path.is_symlink():
        raise _damaged(f"{member.name!r} is a link and a directory")
    return path


def _copy(source: int, offset: int, target: int, size: int) -> None:
    while size:
        copied = os.copy_file_range(source, target, min(size, 1 << 30), offset_src=offset)
        if not copied:
            raise EOFError("it ends early")
        offset += copied
        size -= copied


def _damaged(what: str) -> InputError:
    return InputError("layer-damaged", f"a layer is damaged or hostile: {what}", "pull or build the image again")
