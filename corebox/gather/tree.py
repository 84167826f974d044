"""Archives as roots: what ``docker export`` gives of a stopped container, or the answer to a request script."""

import contextlib
import errno
import lzma
import os
import subprocess
import tarfile
import zlib
from typing import BinaryIO, Dict, Iterator, List, Optional, cast

from corebox.errors import CoreboxError, HostError, InputError
from corebox.files.boundedtar import BoundedTar
from corebox.files.paths import is_canonical, resolve
from corebox.files.temporary import temporary_directory

#: What a member meets that cannot be where it says: a name too long, a file where a directory is, too many links.
_ODD = (errno.EEXIST, errno.ENOTDIR, errno.ENAMETOOLONG, errno.EMLINK)
_MAX_TARGET_LENGTH = 4095  # PATH_MAX of the kernel, without the NUL


@contextlib.contextmanager
def unpacked_archive(path: str, directory: str) -> Iterator[str]:
    """A temporary directory with the files of a tar archive, compressed or not.

    Raises:
        InputError: ``not-an-archive``, ``image-archive``.
    """
    with temporary_directory(directory, guarded=True) as into, open(path, "rb") as file:
        unpack_tree(file, into, path)
        # The first is of the OCI image layout, the second of what "docker save" wrote before.
        if any(_is_file(os.path.join(into, name)) for name in ("oci-layout", "repositories")):
            raise InputError(
                "image-archive",
                "{} contains a layered image, not the files of a system".format(path),
                "create a container from the image and name it: docker create IMAGE, then --container NAME",
            )
        yield into


@contextlib.contextmanager
def unpacked_output(command: List[str], directory: str) -> Iterator[str]:
    """A temporary directory with the files of the tar archive that the command writes to its output.

    Raises:
        HostError: ``engine-failed`` when the command fails.
    """
    with temporary_directory(directory, guarded=True) as into:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
            assert child.stdout
            assert child.stderr
            failure = None
            try:
                unpack_tree(cast(BinaryIO, child.stdout), into, command[0])
            except CoreboxError as error:
                failure = error
            message = child.stderr.read().decode("utf-8", "replace").strip()
        if child.returncode:
            raise HostError(
                "engine-failed", "{}: {}".format(" ".join(command), message), "check the name of the container"
            )
        if failure:
            raise failure
        yield into


def unpack_tree(file: BinaryIO, into: str, name: str) -> None:
    """Unpack regular files and links of the tar archive into the directory, never outside.

    Devices are passed over, and members that cannot be where they say.

    Raises:
        InputError: ``not-an-archive``.
    """
    links: Dict[str, str] = {}
    try:
        with BoundedTar.open(fileobj=file, mode="r|*") as archive:
            for member in archive:
                _unpack(archive, member, into, links)
    except (tarfile.TarError, EOFError, ValueError, OverflowError, zlib.error, lzma.LZMAError) as error:
        raise InputError(
            "not-an-archive",
            "{} is not a tar archive: {}".format(name, error),
            "give a .tar or .tar.gz, or a directory",
        ) from error


def _unpack(archive: tarfile.TarFile, member: tarfile.TarInfo, into: str, links: Dict[str, str]) -> None:
    """A name is read as a process inside would read it: beneath links that came before, ".." stops at the root.

    Nothing here depends on what a link of the archive would lead to on this machine. Of two members of one name the
    later one stays, as with ``tar -x``, but nothing takes the place of a directory.
    """
    path = _place(member.name, links)
    if path is None:
        return
    try:
        if member.isdir():
            _make_way(into, path, links, for_directory=True)
        elif member.issym():
            _put_link(member.linkname, into, path, links)
        elif member.islnk():
            _put_again(_place(member.linkname, links), into, path, links)
        elif member.isreg():
            _make_way(into, path, links)
            _write_file(archive, member, into + path)
    except OSError as error:
        if error.errno not in _ODD:
            raise


def _make_way(into: str, path: str, links: Dict[str, str], for_directory: bool = False) -> None:
    """Remove the file or the link at the path; where a directory is to be, a link to one is as good."""
    os.makedirs(os.path.dirname(into + path), exist_ok=True)
    if not os.path.lexists(into + path) or _is_directory(into, path):
        return
    leads = resolve(path, links.get)
    if for_directory and leads and not _is_file(into + leads.path):
        return
    os.unlink(into + path)
    links.pop(path, None)


def _is_file(path: str) -> bool:
    return os.path.isfile(path) and not os.path.islink(path)


def _is_directory(into: str, path: str) -> bool:
    return os.path.isdir(into + path) and not os.path.islink(into + path)


def _put_link(target: str, into: str, path: str, links: Dict[str, str]) -> None:
    if not target or "\0" in target or len(os.fsencode(target)) > _MAX_TARGET_LENGTH:
        return
    _make_way(into, path, links)
    os.symlink(target, into + path)
    links[path] = target


def _put_again(target: Optional[str], into: str, path: str, links: Dict[str, str]) -> None:
    """A hard link to what came before. A file that was given to tar twice is one to itself."""
    if target is None or target == path:
        return
    if target in links:
        _put_link(links[target], into, path, links)
    elif os.path.isfile(into + target):
        _make_way(into, path, links)
        os.link(into + target, into + path)


def _place(name: str, links: Dict[str, str]) -> Optional[str]:
    head, _, last = name.rstrip("/").rpartition("/")
    parent = resolve("/" + head, links.get)
    if parent is None or last in ("", ".", ".."):
        return None
    path = parent.path.rstrip("/") + "/" + last
    return path if is_canonical(path) else None


def _write_file(archive: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> None:
    source = archive.extractfile(member)
    assert source
    with source, open(path, "xb") as file:
        for piece in iter(lambda: source.read(1 << 20), b""):
            file.write(piece)
        os.fchmod(file.fileno(), member.mode & 0o777 | 0o600)
    with contextlib.suppress(OSError, OverflowError):  # a time that the file system cannot hold
        os.utime(path, (member.mtime, member.mtime))
