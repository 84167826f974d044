"""Give back what an image was made from."""

from pathlib import Path
from typing import NamedTuple

from corebox.actions.subject import Subject, image_of
from corebox.bundle.write import WrittenBundle
from corebox.image.export import export_bundle, export_core, write_archive
from corebox.image.opened import open_image
from corebox.store.store import Store


class ExportOptions(NamedTuple):
    """What to write: the original core, the bundle, the image as an OCI archive; each to this file if it is given."""

    core: Path | None = None
    bundle: Path | None = None
    oci_archive: Path | None = None


class Exported(NamedTuple):
    """What was written: the bundle, and the bytes of the archive."""

    bundle: WrittenBundle | None
    archive: int | None


def export(store: Store, subject: Subject, options: ExportOptions) -> Exported:
    """Write what ``options`` name.

    Raises:
        InputError: ``bare-core``, ``no-core``, ``image-damaged``.
        HostError: ``cannot-write``, ``no-space``.
    """
    image = image_of(store, subject)
    archive = write_archive(store, image, options.oci_archive) if options.oci_archive is not None else None
    if options.core is None and options.bundle is None:
        return Exported(None, archive)
    opened = open_image(store, image)
    if options.core is not None:
        export_core(opened, options.core)
    return Exported(export_bundle(opened, options.bundle) if options.bundle is not None else None, archive)
