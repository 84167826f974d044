"""Give back what an image was made from."""

from pathlib import Path

from corebox.actions.subject import Subject, image_of
from corebox.bundle.write import WrittenBundle
from corebox.image.export import export_bundle, export_core
from corebox.image.opened import open_image
from corebox.store.store import Store


def export(store: Store, subject: Subject, core: Path | None, bundle: Path | None) -> WrittenBundle | None:
    """Write the original core to ``core`` and the bundle to ``bundle``, as far as they are given.

    Raises:
        InputError: ``bare-core``, ``no-core``, ``image-damaged``.
        HostError: ``cannot-write``, ``no-space``.
    """
    opened = open_image(store, image_of(store, subject))
    if core is not None:
        export_core(opened, core)
    return export_bundle(opened, bundle) if bundle is not None else None
