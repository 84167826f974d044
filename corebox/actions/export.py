"""Give back what an image was made from."""

from pathlib import Path

from corebox.actions.build import BuildOptions, build
from corebox.actions.subject import BareCore, BundleFile, Subject
from corebox.bundle import WrittenBundle
from corebox.errors import InputError
from corebox.image import OpenedImage, export_bundle, export_core, open_image
from corebox.store import Store


def export(store: Store, subject: Subject, core: Path | None, bundle: Path | None) -> WrittenBundle | None:
    """Write the original core to ``core`` and the bundle to ``bundle``, as far as they are given.

    Raises:
        InputError: ``bare-core``, ``no-core``, ``image-damaged``.
        HostError: ``cannot-write``, ``no-space``.
    """
    opened = _open(store, subject)
    if core is not None:
        export_core(opened, core)
    return export_bundle(opened, bundle) if bundle is not None else None


def _open(store: Store, subject: Subject) -> OpenedImage:
    if isinstance(subject, BareCore):
        raise InputError("bare-core", f"{subject.path} is the core itself", "give a bundle or an image")
    if isinstance(subject, BundleFile):
        return open_image(
            store, store.find(build(store, subject.path, BuildOptions(identity=subject.identity)).image_id)
        )
    return open_image(store, subject.image)
