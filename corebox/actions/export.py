"""Give back what an image was made from."""

from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from corebox.actions.subject import Subject, image_of
from corebox.bundle.manifest import ModuleEntry
from corebox.bundle.verdict import VERIFIED
from corebox.bundle.write import WrittenBundle
from corebox.coredump.core import open_core
from corebox.coredump.values import Module
from corebox.image.export import export_bundle, export_core, no_core, write_archive
from corebox.image.opened import OpenedImage, open_image
from corebox.reduce.minidump import MinidumpFacts, write_minidump
from corebox.store.files import new_name
from corebox.store.store import Store


class ExportOptions(NamedTuple):
    """What to write, each to this file if it is given: the original core, the bundle, the image as an OCI archive.

    ``minidump`` is for what crash reporters take.
    """

    core: Path | None = None
    bundle: Path | None = None
    oci_archive: Path | None = None
    minidump: Path | None = None


class Exported(NamedTuple):
    """What was written: the bundle, and the bytes of the archive and of the minidump."""

    bundle: WrittenBundle | None
    archive: int | None
    minidump: int | None = None


def export(store: Store, subject: Subject, options: ExportOptions) -> Exported:
    """Write what ``options`` name.

    Raises:
        InputError: ``bare-core``, ``no-core``, ``image-damaged``.
        HostError: ``cannot-write``, ``no-space``.
    """
    image = image_of(store, subject)
    archive = write_archive(store, image, options.oci_archive) if options.oci_archive is not None else None
    if options.core is None and options.bundle is None and options.minidump is None:
        return Exported(None, archive)
    opened = open_image(store, image)
    if options.core is not None:
        export_core(opened, options.core)
    minidump = _write_minidump(opened, options.minidump) if options.minidump is not None else None
    return Exported(export_bundle(opened, options.bundle) if options.bundle is not None else None, archive, minidump)


def _write_minidump(opened: OpenedImage, out: Path) -> int:
    """Write the minidump; what the core does not have of a build ID is the proved file's."""
    if opened.core is None:
        raise no_core()
    modules = [_module(each) for each in opened.manifest.modules]
    time = int(datetime.fromisoformat(opened.manifest.process.time.replace("Z", "+00:00")).timestamp())
    with open_core(str(opened.core)) as core, new_name(out) as finished:
        with finished.open("xb") as file:
            finished.chmod(0o600)
            size = write_minidump(core, MinidumpFacts(modules, time), file)
        finished.replace(out)
    return size


def _module(entry: ModuleEntry) -> Module:
    build_id = entry.build_id.memory or (entry.build_id.file if entry.verdict == VERIFIED else None)
    return Module(entry.path, entry.opened_as, entry.start, entry.end, build_id, entry.executable, False)
