"""What a push will do, as plain data: which blobs are there, which are mounted, and which are sent."""

from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

from corebox.errors import InputError
from corebox.registry.access import Access
from corebox.registry.answers import read_json
from corebox.registry.client import Client
from corebox.registry.compress import COMPRESSIONS
from corebox.registry.moving import Moving
from corebox.registry.notes import known_compressed, known_places
from corebox.registry.reference import Reference
from corebox.store.store import Store
from corebox.store.values import CONFIG_TYPE, LAYER_TYPE, MANIFEST_TYPE, Descriptor, Layer, StoredImage

#: The kind of layer that no other image has.
CORE = "core"
CONFIG = "config"
#: What a step does: nothing, have the registry take the blob from another repository of its, send it as it is in the
#: store, or compress the layer and then send it.
THERE, MOUNT, SEND, COMPRESS = "there", "mount", "send", "compress"


class Step(NamedTuple):
    """One blob of a push.

    Attributes:
        kind: of the layer, or ``CONFIG``.
        does: one of the above.
        layer: as the store has it; None for the configuration.
        blob: as the registry will have it; None until it has been compressed.
        source: the repository that it is mounted from.
    """

    kind: str
    does: str
    layer: Layer | None
    blob: Descriptor | None
    source: str | None = None

    @property
    def size(self) -> int:
        """In bytes; of what is not compressed yet what it is now."""
        return self.blob.size if self.blob else self.layer.size if self.layer else 0


class PushPlan(NamedTuple):
    """The steps of a push in the order in which they begin, each blob once."""

    image: StoredImage
    reference: Reference
    compression: str
    steps: tuple[Step, ...]


def plan_push(
    store: Store, image: StoredImage, reference: Reference, compression: str, client: Client, moving: Moving
) -> PushPlan:
    """Ask the registry what it has.

    Raises:
        HostError: those of ``push_image``.
    """
    planner = _Planner(store, image, reference, compression, client, moving)
    return PushPlan(image, reference, compression, planner.steps())


def open_client(store: Store, image: StoredImage, reference: Reference, access: Access, compression: str) -> Client:
    """The registry, with permission for all repositories that something may be mounted from."""
    known = (known_compressed(store, each.diff_id, compression) for each in image.layers)
    sources = {source for blob in known if blob and (source := noted_source(store, blob.digest, reference))}
    return Client(reference, access, "pull,push", sorted(sources))


def noted_source(store: Store, digest: str, reference: Reference) -> str | None:
    """Another repository of the registry that had the blob, as an earlier push or pull noted."""
    places = known_places(store, digest, reference.host)
    return next((place for place in places if place != reference.repository), None)


class _Planner(NamedTuple):
    store: Store
    image: StoredImage
    reference: Reference
    compression: str
    client: Client
    moving: Moving

    def steps(self) -> tuple[Step, ...]:
        """The core first: a registry takes one blob on one processor, and this is most bytes."""
        before = dict(self._pushed_before())
        layers = {layer.digest: layer for layer in self.image.layers}.values()
        core_first = sorted(layers, key=lambda layer: layer.kind != CORE)
        config = self.store.blob_path(self.image.image_id)
        described = Descriptor(CONFIG_TYPE, self.image.image_id, config.stat().st_size)
        plans = [partial(self._layer, layer, before.get(layer.digest)) for layer in core_first]
        return tuple(self.moving.all([*plans, partial(self._blob, CONFIG, None, described)]))

    def _pushed_before(self) -> Iterator[tuple[str, Descriptor]]:
        """The layers by their digests here, if somebody has pushed this very image under this name."""
        try:
            get = partial(self.client.get_manifest, self.reference.wanted, (MANIFEST_TYPE,))
            value: Any = read_json(self.moving.with_retries(get)[0])
            blobs = [Descriptor.from_json(layer) for layer in value["layers"]]
            same = Descriptor.from_json(value["config"]).digest == self.image.image_id
        except (InputError, KeyError, TypeError):
            return  # there is none, or it is not ours
        for layer, blob in zip(self.image.layers, blobs, strict=False) if same else ():
            if blob.media_type == COMPRESSIONS[self.compression]:
                yield layer.digest, blob

    def _layer(self, layer: Layer, before: Descriptor | None) -> Step:
        if layer.media_type != LAYER_TYPE:
            return self._blob(layer.kind, layer, Descriptor(layer.media_type, layer.digest, layer.size))
        known = known_compressed(self.store, layer.diff_id, self.compression) or before
        if known is not None:
            step = self._blob(layer.kind, layer, known)
            if step.does != SEND or self.store.has(known.digest):
                return step
        return Step(layer.kind, COMPRESS, layer, None)

    def _blob(self, kind: str, layer: Layer | None, blob: Descriptor) -> Step:
        if self.moving.with_retries(partial(self.client.has_blob, blob.digest)):
            return Step(kind, THERE, layer, blob)
        source = noted_source(self.store, blob.digest, self.reference)
        return Step(kind, MOUNT if source else SEND, layer, blob, source)
