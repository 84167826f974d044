"""Send a crash to a registry, building its image first if need be."""

from collections.abc import Callable
from typing import NamedTuple

from corebox.actions.subject import Subject, image_of
from corebox.errors import UsageError
from corebox.registry.access import Access
from corebox.registry.push import Pushed, push_image
from corebox.registry.reference import Reference, parse_reference
from corebox.store.store import Store
from corebox.store.values import StoredImage


class PushOptions(NamedTuple):
    """Where to, how to get there, and the layers' compression: ``gzip`` or ``zstd``."""

    target: str
    access: Access = Access()
    compression: str = "gzip"


def push(
    store: Store,
    subject: Subject,
    options: PushOptions,
    progress: Callable[[str], None] = lambda _: None,
    sending: Callable[[int], None] = lambda _: None,
) -> Pushed:
    """Push the image of ``subject``; ``progress`` is told the steps of a build, ``sending`` bytes as they go.

    Raises:
        UsageError: ``bad-reference``.
        InputError: ``bare-core``, and those of ``build``.
        HostError: those of ``push_image``.
    """
    reference = parse_reference(options.target)
    if reference.digest:
        raise UsageError("bad-reference", "a digest cannot be pushed to", "give a tag: HOST/REPOSITORY:TAG")
    image = image_of(store, subject, progress)
    return push_image(store, image, _tagged(reference, image), options.access, options.compression, sending)


def _tagged(reference: Reference, image: StoredImage) -> Reference:
    """Without a tag: a part of the bundle's identity, so that no crash takes another's place."""
    identity = image.labels.get("io.corebox.bundle", image.image_id)
    return reference if reference.tag else reference._replace(tag=identity.removeprefix("sha256:")[:12])
