"""Send a crash to a registry, building its image first if need be."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from corebox.actions.build import BuildOptions, build
from corebox.actions.subject import BareCore, BundleFile, Subject
from corebox.errors import InputError, UsageError
from corebox.registry import Access, Pushed, Reference, parse_reference, push_image
from corebox.store import Store, StoredImage


@dataclass(frozen=True)
class PushOptions:
    """Where to, how to get there, and the layers' compression: ``gzip`` or ``zstd``."""

    target: str
    access: Access = field(default_factory=Access)
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
    image = _image_of(store, subject, progress)
    return push_image(store, image, _tagged(reference, image), options.access, options.compression, sending)


def _image_of(store: Store, subject: Subject, progress: Callable[[str], None]) -> StoredImage:
    if isinstance(subject, BareCore):
        hint = f"where it crashed, run: corebox gather {subject.path} -o crash.corebox"
        raise InputError("bare-core", f"{subject.path} is a core without the files it was mapped from", hint)
    if isinstance(subject, BundleFile):
        return store.find(build(store, subject.path, BuildOptions(identity=subject.identity), progress).image_id)
    return subject.image


def _tagged(reference: Reference, image: StoredImage) -> Reference:
    """Without a tag: a part of the bundle's identity, so that no crash takes another's place."""
    identity = image.labels.get("io.corebox.bundle", image.image_id)
    return reference if reference.tag else replace(reference, tag=identity.removeprefix("sha256:")[:12])
