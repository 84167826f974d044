"""The way back: the original core and the bundle, bit for bit, out of an image."""

import os
from contextlib import ExitStack
from pathlib import Path

from corebox.bundle.corecontent import CoreInFile
from corebox.bundle.layout import MAX_CORE_LAYOUT
from corebox.bundle.write import Content, WrittenBundle, write_bundle
from corebox.errors import InputError
from corebox.files.copying import copy_range
from corebox.files.diskroot import DiskRoot
from corebox.files.extents import Extent, data_extents
from corebox.image.archive import whole_archive
from corebox.image.opened import OpenedImage
from corebox.image.parts import LAYOUT_FILE, OURS
from corebox.reduce.original import restore
from corebox.store.files import new_name
from corebox.store.store import Store
from corebox.store.values import StoredImage, image_damaged
from corebox.store.within import file_within


def export_core(opened: OpenedImage, out: Path) -> None:
    """Write the original core to ``out``, replacing a file of that name; its holes come back.

    Raises:
        InputError: ``no-core`` if the bundle had none, ``layout-damaged``.
        HostError: ``cannot-write``.
    """
    if opened.compact is None:
        raise no_core()
    core = opened.compact
    with new_name(out) as temporary:
        restore(str(core.path), Extent(core.offset, core.size), read_layout(opened), str(temporary))
        temporary.replace(out)


def no_core() -> InputError:
    """The error for an image without a core."""
    return InputError("no-core", "the bundle was made without its core", "ask the customer for the core")


def export_bundle(opened: OpenedImage, out: Path) -> WrittenBundle:
    """Write the bundle that the image was built from; its identity is the same.

    Raises:
        InputError: ``image-damaged``, ``layout-damaged``.
        HostError: ``cannot-write``, ``no-space``.
    """
    jobs = os.cpu_count() or 1
    _require_files(opened)
    with new_name(out) as finished, ExitStack() as stack:
        root = stack.enter_context(DiskRoot(str(opened.root)))
        sources = root.open_all(entry.path for entry in opened.manifest.files)
        content = None
        if opened.compact is not None:
            file = stack.enter_context(opened.compact.path.open("rb"))
            content = CoreInFile(file.fileno(), opened.compact.offset, opened.compact.size, read_layout(opened))
        written = write_bundle(str(finished), Content(opened.manifest, sources, content, jobs=jobs))
        if written.identity != opened.identity:
            hint = "if a newer corebox gathered it, export with that one; else build or pull the image again"
            raise InputError("image-damaged", "the bundle cannot be reproduced from this image", hint)
        finished.replace(out)
    return written._replace(path=str(out))


def _require_files(opened: OpenedImage) -> None:
    """A layer that others put over ours may have deleted some."""
    for entry in opened.manifest.files:
        if file_within(opened.root, entry.path) is None:
            hint = "get the bundle from an image that corebox built, or from whoever gathered it"
            raise InputError("image-damaged", f"the image lacks {entry.path:.200}: a layer has deleted it", hint)


def write_archive(store: Store, image: StoredImage, out: Path) -> int:
    """Write the image as one file, an OCI archive that engines load too; return its size in bytes.

    Raises:
        HostError: ``cannot-write``, ``no-space``.
    """
    stream = whole_archive(store, image)
    with new_name(out) as finished:
        with finished.open("xb") as file:
            finished.chmod(0o600)
            for piece in stream:
                file.write(piece)
        finished.replace(out)
    return len(stream)


def read_layout(opened: OpenedImage) -> bytes:
    """From which the original core comes back.

    Raises:
        InputError: ``image-damaged``.
    """
    path = opened.ours / Path(LAYOUT_FILE).relative_to(OURS)
    if not path.is_file() or path.stat().st_size > MAX_CORE_LAYOUT:
        raise image_damaged("it does not record how its core was laid out")
    return path.read_bytes()


def copy_sparse(source: Path, target: Path) -> None:
    """Copy a file into a new one, leaving its holes out; raises OSError if it becomes shorter meanwhile."""
    with source.open("rb") as old, target.open("xb") as new:
        target.chmod(0o600)
        size = os.fstat(old.fileno()).st_size
        new.truncate(size)
        for extent in data_extents(old.fileno(), size):
            os.lseek(new.fileno(), extent.offset, os.SEEK_SET)
            copy_range(old.fileno(), extent.offset, extent.size, new.fileno())
