"""Puts layer tars into a new directory. A pulled layer is untrusted: nothing it says can lead outside.

Nor can what it says of us: beneath ``.corebox`` lies what we read and mount ourselves, and links there stay where they
are. OtherRepositories they may say anything: they are for who runs inside, and nobody here follows them.
"""

import errno
import os
import shutil
import tarfile
from pathlib import Path

from corebox.bundle.layout import FOLDER
from corebox.files.boundedtar import BoundedTar
from corebox.files.paths import is_canonical
from corebox.store.values import image_damaged

#: sendfile(2) and copy_file_range(2) move at most this much at once.
_AT_ONCE = 1 << 30
#: Directories that no member names: our layers name all, and an engine's too.
_MAX_UNNAMED = 10000
_MAX_KNOWN = 10000
#: How the name of a member begins that deletes one of the layers beneath; the one that deletes all in its folder.
_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"


def extract_layer(tar: Path, into: Path) -> None:
    """Unpack one layer over those that are there; files keep mode and time, and belong to whom we are.

    What the layer deletes of those beneath is deleted (OCI image spec, ``layer.md``, "Whiteouts").

    Raises:
        InputError: ``image-damaged`` for anything that corebox never puts into a layer.
    """
    tree = _Tree(into, is_first=not any(into.iterdir()))
    try:
        if not tree.is_first:
            with _opened(tar) as archive:
                for member in archive:
                    _delete(member, tree)
        with _opened(tar) as archive, tar.open("rb") as source:
            for member in archive:
                if not _is_whiteout(member):
                    _extract(member, source.fileno(), tree)
    except tarfile.TarError as error:
        raise image_damaged(f"layer {tar.name}: {error}") from error
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        raise image_damaged("a file name is too long") from error


def _opened(tar: Path) -> BoundedTar:
    return BoundedTar.open(tar, "r:", encoding="utf-8", errors="surrogateescape")


def _is_whiteout(member: tarfile.TarInfo) -> bool:
    return member.name.rstrip("/").rpartition("/")[2].startswith(_WHITEOUT)


def _delete(member: tarfile.TarInfo, tree: "_Tree") -> None:
    """Delete what a whiteout names; other names that begin so are notes of aufs."""
    folder, _, base = _canonical(member.name).rpartition("/")
    if not base.startswith(_WHITEOUT) or (base.startswith(_WHITEOUT * 2) and base != _OPAQUE):
        return
    deleted = base.removeprefix(_WHITEOUT)
    if deleted in ("", ".", ".."):
        raise image_damaged(f"a layer has a member {member.name!r:.200}")
    if tree.is_directory(folder):
        place = tree.root / folder
        for path in list(place.iterdir()) if base == _OPAQUE else [place / deleted]:
            tree.remove(path)


def _extract(member: tarfile.TarInfo, source: int, tree: "_Tree") -> None:
    name = _canonical(member.name)
    if not name:
        return  # the root itself, which others' layers name
    tree.require_directory(name.rpartition("/")[0])
    path = os.fsencode(tree.root / name)
    if member.isdir():
        tree.require_directory(name, named=True)
        return
    if os.path.lexists(path):
        if tree.is_first:
            raise image_damaged(f"{name!r:.200} occurs twice")
        tree.remove(tree.root / name)
    if member.issym():
        _make_link(name, member.linkname, tree)
    elif member.islnk():
        _make_hard_link(name, _canonical(member.linkname), tree)
    elif member.isreg() and not member.issparse():
        _copy_file(member, source, path)
    else:
        raise image_damaged(f"{name!r:.200} is neither a file nor a directory nor a symbolic link")


def _canonical(member: str) -> str:
    """The name of a member; others than we begin it with ``./``."""
    name = member.rstrip("/").removeprefix("./")
    if name in ("", "."):
        return ""
    if not is_canonical("/" + name):
        raise image_damaged(f"a layer has a member {member!r:.200}")
    return name


def _make_hard_link(name: str, target: str, tree: "_Tree") -> None:
    """A second name of a file in the tree, to which no link leads."""
    folder = target.rpartition("/")[0]
    path = tree.root / target
    if not target or not tree.is_directory(folder) or path.is_symlink() or not path.is_file():
        raise image_damaged(f"{name!r:.200} is another name of something that is no file")
    os.link(path, tree.root / name, follow_symlinks=False)


def _make_link(name: str, target: str, tree: "_Tree") -> None:
    if not target or "\0" in target:
        raise image_damaged(f"the link {name!r:.200} leads nowhere")
    if name == FOLDER or (name.startswith(FOLDER + "/") and ("/" in target or target == "..")):
        raise image_damaged(f"the link {name!r:.200} points outside the image")
    (tree.root / name).symlink_to(target)


class _Tree:
    """The directories beneath ``root``, of which no part may be a link or a file.

    ``is_first`` if no layer is there yet: then nothing can be replaced.
    """

    def __init__(self, root: Path, *, is_first: bool) -> None:
        self.root = root
        self.is_first = is_first
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
            if self.is_first or not named:
                raise image_damaged(f"{name!r:.200} lies beneath something that is not a directory")
            path.unlink()
        if not path.exists():
            self._unnamed += not named
            if self._unnamed > _MAX_UNNAMED:
                raise image_damaged(f"more than {_MAX_UNNAMED} directories are in no layer")
            path.mkdir(mode=0o755)
        if len(self._known) > _MAX_KNOWN:
            self._known.clear()
        self._known.add(name)

    def is_directory(self, name: str) -> bool:
        """Whether this is a directory, and no part of its path a link."""
        parts = name.split("/") if name else []
        paths = [self.root / "/".join(parts[: count + 1]) for count in range(len(parts))]
        return all(path.is_dir() and not path.is_symlink() for path in paths)

    def remove(self, path: Path) -> None:
        """Remove a file, or a directory with all beneath it, if it is there."""
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
            self._known.clear()
        else:
            path.unlink(missing_ok=True)


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
