"""Puts layer tars into a new directory. A pulled layer is a stranger's: nothing it says can lead outside.

Nor can what it says of us: beneath ``.corebox`` lies what we read and mount ourselves, and links there stay where they
are. Elsewhere they may say anything: they are for who runs inside, and nobody here follows them.
"""

import errno
import os
import tarfile
from pathlib import Path

from corebox.bundle.layout import FOLDER
from corebox.bundle.rootfs import is_canonical
from corebox.bundle.strangers import BoundedTar
from corebox.store.values import image_damaged

#: sendfile(2) and copy_file_range(2) move at most this much at once.
_AT_ONCE = 1 << 30
#: Directories that no member names: our layers name all, and an engine's too.
_MOST_UNNAMED = 10000
_MOST_KNOWN = 10000


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
            tree = _Tree(into)
            for member in archive:
                _extract(member, source.fileno(), tree)
    except tarfile.TarError as error:
        raise image_damaged(f"layer {tar.name}: {error}") from error
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        raise image_damaged("a file name is too long") from error


def _extract(member: tarfile.TarInfo, source: int, tree: "_Tree") -> None:
    name = member.name.rstrip("/")
    if not is_canonical("/" + name):
        raise image_damaged(f"a layer has a member {name!r:.200}")
    tree.require_directory(name.rpartition("/")[0])
    path = os.fsencode(tree.root / name)
    if member.isdir():
        tree.require_directory(name, named=True)
    elif os.path.lexists(path):
        raise image_damaged(f"{name!r:.200} occurs twice")
    elif member.issym():
        _make_link(name, member.linkname, tree)
    elif member.isreg() and not member.issparse():
        _copy_file(member, source, path)
    else:
        raise image_damaged(f"{name!r:.200} is neither a file nor a directory nor a symbolic link")


def _make_link(name: str, target: str, tree: "_Tree") -> None:
    if not target or "\0" in target:
        raise image_damaged(f"the link {name!r:.200} leads nowhere")
    if name == FOLDER or (name.startswith(FOLDER + "/") and ("/" in target or target == "..")):
        raise image_damaged(f"the link {name!r:.200} points outside the image")
    (tree.root / name).symlink_to(target)


class _Tree:
    """The directories beneath ``root``, of which no part may be a link or a file."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._known: set[str] = set()
        self._unnamed = 0

    def require_directory(self, name: str, *, named: bool = False) -> None:
        """Make the directory if it is not there; ``named`` if a member says so."""
        if not name or name in self._known:
            return
        parent = name.rpartition("/")[0]
        self.require_directory(parent)
        path = self.root / name
        if path.is_symlink() or (path.exists() and not path.is_dir()):
            raise image_damaged(f"{name!r:.200} lies beneath something that is not a directory")
        if not path.exists():
            self._unnamed += not named
            if self._unnamed > _MOST_UNNAMED:
                raise image_damaged(f"more than {_MOST_UNNAMED} directories are in no layer")
            path.mkdir(mode=0o755)
        if len(self._known) > _MOST_KNOWN:
            self._known.clear()
        self._known.add(name)


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
