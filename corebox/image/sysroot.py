"""The files of an image for debuggers of others: as a folder, the sysroot of gdb and lldb, or as one zip file."""

import os
import posixpath
import shutil
import stat
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

from corebox.image.opened import OpenedImage
from corebox.image.parts import OURS
from corebox.store.files import new_name
from corebox.store.within import file_within
from corebox.unbundle.unpack import fresh_directory

#: Where gdb and lldb look for debug files by build ID, beneath a sysroot too (gdb manual, "Separate Debug Files").
_DEBUG = "usr/lib/debug"
_CHUNK = 1 << 20
_OLDEST = (1980, 1, 1, 0, 0, 0)  # that a zip file can say


def export_sysroot(opened: OpenedImage, out: Path) -> Path | None:
    """Copy the customer's files and the symbols to the new folder ``out``; return the program there, if it is known.

    Raises:
        HostError: those of ``fresh_directory``.
    """
    with fresh_directory(out):
        _copy(opened.root, out)
        if opened.debug is not None:
            _add_debug(opened.debug, out)
    program = opened.manifest.process.executable
    return file_within(out, program) if program else None


def _copy(tree: Path, out: Path) -> None:
    """Links are copied, never followed; nothing of ours is."""
    ours = Path(OURS).name

    def skip(folder: str, names: list[str]) -> list[str]:
        return [name for name in names if name == ours and Path(folder) == tree]

    shutil.copytree(tree, out, symlinks=True, ignore=skip, copy_function=_copy_file, dirs_exist_ok=True)
    for folder, _, _ in os.walk(out):
        Path(folder).chmod(0o700)  # what it has may be read-only, and is to be removable


def _add_debug(tree: Path, out: Path) -> None:
    """Copy the symbols, but for what the customer has already; no link of his may lead them elsewhere."""
    for path in _files(tree):
        target = out / _DEBUG / path.relative_to(tree)
        above = (each for each in target.parents if each != out and each.is_relative_to(out))
        if not os.path.lexists(target) and not any(each.is_symlink() for each in above):
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _copy_file(str(path), str(target))


def _copy_file(source: str, target: str) -> None:
    """Content, time and plain permissions: no copy of a program is somebody else's right."""
    shutil.copyfile(source, target, follow_symlinks=False)
    facts = os.lstat(source)
    if not stat.S_ISLNK(facts.st_mode):
        os.utime(target, (facts.st_mtime, facts.st_mtime))
        Path(target).chmod(facts.st_mode & 0o755 | 0o400)


def write_zip(opened: OpenedImage, out: Path) -> int:
    """Write the core and the files at their own paths into a zip file, without links; return its size.

    A file is there by each name that the process had for it: on Windows, where Visual Studio reads it, links are not.

    Raises:
        HostError: ``cannot-write``.
    """
    with new_name(out) as finished:
        with finished.open("xb") as file:
            finished.chmod(0o600)
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
                for name, path in sorted(_named(opened)):
                    _add(archive, name, path, 0, path.stat().st_size)
                if opened.compact is not None:
                    _add(archive, "core", *opened.compact)
        size = finished.stat().st_size
        finished.replace(out)
    return size


def _named(opened: OpenedImage) -> set[tuple[str, Path]]:
    """Each regular file by its name in the archive."""
    found = {(str(path.relative_to(opened.root)), path) for path in _files(opened.root) if not _is_ours(opened, path)}
    if opened.debug is not None:
        found |= {(f"{_DEBUG}/{path.relative_to(opened.debug)}", path) for path in _files(opened.debug)}
    for module in opened.manifest.modules:
        for name in (module.path, *module.opened_as):
            path = file_within(opened.root, name) if name.startswith("/") else None
            if path is not None:
                found.add((posixpath.normpath(name).strip("/"), path))
    return {(name, path) for name, path in found if name != "core"}


def _files(tree: Path) -> Iterator[Path]:
    for folder, _, names in os.walk(tree):
        for name in names:
            path = Path(folder) / name
            if path.is_file() and not path.is_symlink():
                yield path


def _is_ours(opened: OpenedImage, path: Path) -> bool:
    return path.relative_to(opened.root).parts[0] == Path(OURS).name


def _add(archive: zipfile.ZipFile, name: str, path: Path, offset: int, size: int) -> None:
    """Append ``size`` bytes of a file."""
    when = time.gmtime(path.stat().st_mtime)[:6]
    info = zipfile.ZipInfo(name.encode("utf-8", "surrogateescape").decode("utf-8", "replace"), max(when, _OLDEST))
    info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, 0o600 << 16
    with path.open("rb") as file, archive.open(info, "w", force_zip64=True) as member:
        file.seek(offset)
        while size > 0 and (piece := file.read(min(size, _CHUNK))):
            member.write(piece)
            size -= len(piece)
