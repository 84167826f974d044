"""Give back what an image was made from."""

from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from corebox.actions.subject import Subject, image_of
from corebox.bundle.manifest import ModuleEntry
from corebox.bundle.write import WrittenBundle
from corebox.coredump.core import open_core
from corebox.coredump.values import Module
from corebox.coredump.verdict import VERIFIED
from corebox.image.export import export_bundle, export_core, no_core, write_archive
from corebox.image.opened import OpenedImage, open_image
from corebox.image.sysroot import export_sysroot, write_zip
from corebox.reduce.minidump import MinidumpFacts, write_minidump
from corebox.store.files import new_name
from corebox.store.store import Store


class ExportOptions(NamedTuple):
    """What to write, each to this file if it is given: the original core, the bundle, the image as an OCI archive.

    ``minidump`` is for what crash reporters take; ``sysroot`` is a new folder with the files, ``zip`` has the core too.
    """

    core: Path | None = None
    bundle: Path | None = None
    oci_archive: Path | None = None
    minidump: Path | None = None
    sysroot: Path | None = None
    zip: Path | None = None


class Exported(NamedTuple):
    """What was written: the bundle, the bytes of archive, minidump and zip file, and the program in the sysroot."""

    bundle: WrittenBundle | None
    archive: int | None
    minidump: int | None = None
    program: Path | None = None
    zip: int | None = None


def export(store: Store, subject: Subject, options: ExportOptions) -> Exported:
    """Write what ``options`` name.

    Raises:
        InputError: ``bare-core``, ``no-core``, ``no-minidump``, ``image-damaged``.
        HostError: ``cannot-write``, ``no-space``, ``not-empty``.
    """
    image = image_of(store, subject)
    archive = write_archive(store, image, options.oci_archive) if options.oci_archive is not None else None
    if not any(options._replace(oci_archive=None)):
        return Exported(None, archive)
    opened = open_image(store, image)
    if options.core is not None:
        export_core(opened, options.core)
    return Exported(
        bundle=export_bundle(opened, options.bundle) if options.bundle is not None else None,
        archive=archive,
        minidump=_write_minidump(opened, options.minidump) if options.minidump is not None else None,
        program=export_sysroot(opened, options.sysroot) if options.sysroot is not None else None,
        zip=write_zip(opened, options.zip) if options.zip is not None else None,
    )


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
