"""The context of a real builder: the rendered Dockerfile, the layers that it adds, and the template's own files."""

import os
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path

from corebox.errors import UsageError
from corebox.image.archive import END, Part, TarStream, blob_member, file_member, small_member
from corebox.image.native import Assembly
from corebox.image.recipe import copied_files
from corebox.store.store import Store

_DOCKERFILE = "Dockerfile"


def context_archive(store: Store, assembly: Assembly) -> TarStream:
    """The context as a tar, for an engine's build call."""
    parts: list[Part] = [small_member(_DOCKERFILE, assembly.dockerfile.text.encode("utf-8"))]
    for each in assembly.layers:
        parts += blob_member(store, each.layer.digest, each.file)
    for name, path in _extra_files(assembly):
        info = tarfile.TarInfo(name)
        status = path.stat()
        info.mode, info.mtime, info.size = status.st_mode & 0o777, int(status.st_mtime), status.st_size
        parts += file_member(info, path)
    return TarStream((*parts, END))


def write_context(store: Store, assembly: Assembly, folder: Path) -> None:
    """Leave a folder that ``docker build`` and buildah take; layers are hard links where possible, else copies.

    A new folder is its owner's alone, as are the files that we write: the core is in one of them.

    Raises:
        UsageError: ``context-exists`` if the folder has something in it.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise UsageError("context-exists", f"{folder} is not empty", "give the name of a new folder")
    (folder / _DOCKERFILE).write_text(assembly.dockerfile.text, encoding="utf-8")
    (folder / _DOCKERFILE).chmod(0o600)
    for each in assembly.layers:
        _link_or_copy(store.blob_path(each.layer.digest), folder / each.file)
    for name, path in _extra_files(assembly):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, folder / name)


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copyfile(source, target)
    target.chmod(0o600)


def _extra_files(assembly: Assembly) -> Iterator[tuple[str, Path]]:
    """The files beside the template that a real builder is to copy: (name in the context, path)."""
    known = {each.file for each in assembly.layers}
    folder = assembly.template.parent
    for source in copied_files(assembly.dockerfile):
        pattern = source.lstrip("/")
        if pattern in known or not pattern or ".." in Path(pattern).parts:
            continue
        for path in folder.glob(pattern):
            paths = sorted(path.rglob("*")) if path.is_dir() else [path]
            yield from ((str(each.relative_to(folder)), each) for each in paths if each.is_file())
