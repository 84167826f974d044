"""Push a crash to a registry, building its image first if need be."""

from collections.abc import Callable
from typing import NamedTuple

from corebox.actions.subject import Subject, image_of
from corebox.errors import UsageError
from corebox.registry.access import Access
from corebox.registry.plan import PushPlan
from corebox.registry.push import Pushed, push_image, push_plan
from corebox.registry.reference import Reference, parse_reference, repository_name, within
from corebox.store.store import Store
from corebox.store.values import MADE_FROM, StoredImage


class PushOptions(NamedTuple):
    """Where to, and how.

    Attributes:
        target: the name; None for one made of ``registry`` and the program's name.
        access: how to get there.
        compression: of the layers, ``gzip`` or ``zstd``.
        registry: where names without a registry are.
    """

    target: str | None
    access: Access = Access()
    compression: str = "gzip"
    registry: str | None = None


def push(
    store: Store,
    subject: Subject,
    options: PushOptions,
    progress: Callable[[str], None] = lambda _: None,
    sending: Callable[[int], None] = lambda _: None,
) -> Pushed:
    """Push the image of ``subject``; ``progress`` is told the steps of a build, ``sending`` bytes as they go.

    Raises:
        UsageError: ``bad-reference``, ``no-target``.
        InputError: ``bare-core``, and those of ``build``.
        HostError: those of ``push_image``.
    """
    image, reference = _resolved(store, subject, options, progress)
    return push_image(store, image, reference, options.access, options.compression, sending)


def plan(
    store: Store, subject: Subject, options: PushOptions, progress: Callable[[str], None] = lambda _: None
) -> PushPlan:
    """What ``push`` would do; nothing is sent. Raises as that does."""
    image, reference = _resolved(store, subject, options, progress)
    return push_plan(store, image, reference, options.access, options.compression)


def _resolved(
    store: Store, subject: Subject, options: PushOptions, progress: Callable[[str], None]
) -> tuple[StoredImage, Reference]:
    if options.target is None and options.registry is None:
        hint = "give a name: corebox push SUBJECT HOST/REPOSITORY:TAG; or set a registry: corebox config --help"
        raise UsageError("no-target", "no target given", hint)
    reference = parse_reference(within(options.registry, options.target)) if options.target else None
    if reference is not None and reference.digest:
        raise UsageError("bad-reference", "cannot push to a digest", "give a tag: HOST/REPOSITORY:TAG")
    image = image_of(store, subject, progress)
    reference = reference or parse_reference(within(options.registry, _program(image)))
    return image, _tagged(reference, image)


def _program(image: StoredImage) -> str:
    """The name of the program that crashed, as a repository may be called."""
    return repository_name(image.labels.get("io.corebox.executable", ""))


def _tagged(reference: Reference, image: StoredImage) -> Reference:
    """Without a tag: a part of the bundle's identity, so that no crash takes another's place."""
    identity = image.labels.get(MADE_FROM, image.image_id)
    return reference if reference.tag else reference._replace(tag=identity.removeprefix("sha256:")[:12])
