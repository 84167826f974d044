"""Pulls an image into the store: only the layers that the store lacks, several at once, every digest checked."""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from corebox.errors import InputError
from corebox.registry.access import Access
from corebox.registry.choose import IMAGE_MANIFESTS, INDEXES, find_manifest, read_config
from corebox.registry.client import Client
from corebox.registry.compress import COMPRESSIONS, compression_of, decompress
from corebox.registry.download import download_blob
from corebox.registry.faults import digest_mismatch
from corebox.registry.moving import Moving, Progress
from corebox.registry.notes import note_compressed, note_place
from corebox.registry.push import Moved
from corebox.registry.reference import Reference
from corebox.registry.source import Source
from corebox.store.images import parse_diff_ids
from corebox.store.partial import PartialBlob, remove_partial
from corebox.store.store import Store
from corebox.store.values import (
    CONFIG_TYPE,
    LAYER_KIND,
    LAYER_TYPE,
    MADE_FROM,
    MANIFEST_TYPE,
    Descriptor,
    Json,
    StoredImage,
    image_damaged,
)

_MAX_LAYERS = 512
#: How corebox's layers are called in the history of a configuration, which engines keep, unlike annotations.
_LAYER_FILE = re.compile(r"(?:(?:ADD|COPY) )?([a-z]+)(?:-[0-9]+)?\.tar /(?: # buildkit)?")


class Pulled(NamedTuple):
    """A finished pull; ``fetched`` are the bytes of blobs that went over the network."""

    image: StoredImage
    layers: tuple[Moved, ...]
    fetched: int


def pull_image(store: Store, reference: Reference, access: Access, progress: Progress = lambda _: None) -> Pulled:
    """Pull the image and give it the reference as its name.

    Raises:
        InputError: ``not-in-registry``, and those of ``take_image``.
        HostError: ``registry-unreachable``, ``registry-untrusted``, ``registry-refused``, ``registry-failed``,
            ``credentials-unreadable``, ``no-libzstd``, ``no-space``.
    """
    moving = Moving(reference.host, progress)
    with Client(reference, access, "pull") as client:
        source = RegistrySource(client, reference, moving, store.partial_path)
        taking = _Taking(store, source, moving, reference)
        return taking.run(reference.wanted, lambda _: [str(reference)])


def take_image(
    store: Store, source: Source, names: Callable[[Json], list[str]], progress: Progress = lambda _: None
) -> Pulled:
    """Take an image from a folder or an archive.

    Args:
        store: where it goes.
        source: where it comes from.
        names: what it is to be called, by its configuration.
        progress: told the bytes of layers as they are read.

    Raises:
        InputError: ``empty-index``, ``wrong-platform``, ``not-an-image``, ``old-image-format``, ``not-a-crash``,
            ``digest-mismatch``, ``image-damaged``, ``not-a-layout``.
        HostError: ``no-libzstd``, ``no-space``.
    """
    return _Taking(store, source, Moving(source.name, progress), None).run("", names)


class OfferedLayer(NamedTuple):
    """A layer of an image that is elsewhere: its blob there, and the digest of its tar."""

    kind: str
    blob: Descriptor
    diff_id: str


class Offered(NamedTuple):
    """An image as it is described elsewhere; ``described`` is its configuration's descriptor."""

    config: Json
    described: Descriptor
    layers: tuple[OfferedLayer, ...]


def look_up_image(source: Source, wanted: str) -> Offered:
    """What the image consists of; none of its layers is read.

    Raises:
        InputError: those of ``take_image``.
    """
    manifest = find_manifest(source, wanted).value
    described = Descriptor.from_json(manifest.get("config"))
    config = read_config(source, described)
    blobs = [Descriptor.from_json(layer) for layer in _list(manifest.get("layers"), "layers")]
    diff_ids = parse_diff_ids(config, len(blobs))
    kinds = _kinds(blobs, config)
    _require_crash(source.name, config, kinds)
    return Offered(config, described, tuple(map(OfferedLayer, kinds, blobs, diff_ids)))


def take_layers(
    store: Store, reference: Reference, client: Client, layers: Sequence[OfferedLayer], progress: Progress
) -> None:
    """Fetch some layers of an image into the store; whoever calls keeps ``prune`` from removing them.

    Raises:
        InputError: ``digest-mismatch``.
        HostError: those of ``pull_image``.
    """
    moving = Moving(reference.host, progress)
    _Taking(store, RegistrySource(client, reference, moving), moving, reference).layers(layers)


class RegistrySource:
    """A repository as a ``Source``."""

    def __init__(
        self, client: Client, reference: Reference, moving: Moving, kept: Callable[[str], Path] | None = None
    ) -> None:
        self.name = str(reference)
        self._client = client
        self._moving = moving
        self._kept = kept

    def manifest(self, wanted: str) -> tuple[bytes, str]:
        """See ``Source``."""
        return self._moving.with_retries(partial(self._client.get_manifest, wanted, (*IMAGE_MANIFESTS, *INDEXES)))

    def blob(self, blob: Descriptor) -> Iterator[bytes]:
        """See ``Source``."""
        path = self._kept(blob.digest) if self._kept else None
        if path is None or not path.exists():
            yield from download_blob(self._client, blob, self._moving)
            return
        with PartialBlob(path) as kept:
            yield from download_blob(self._client, blob, self._moving, kept)


class _Taking:
    """One image on its way into the store; ``reference`` if it comes from a registry."""

    def __init__(self, store: Store, source: Source, moving: Moving, reference: Reference | None) -> None:
        self._store = store
        self._source = source
        self._moving = moving
        self._reference = reference

    def run(self, wanted: str, names: Callable[[Json], list[str]]) -> Pulled:
        offered = look_up_image(self._source, wanted)
        with self._store.adding():
            hows = self.layers(offered.layers)
            self._config(offered.described)
            image = self._put(offered, names(offered.config))
        moved = (Moved(each.kind, each.blob.digest, each.blob.size, hows[each.diff_id]) for each in offered.layers)
        return Pulled(image, tuple(moved), self._moving.total)

    def layers(self, layers: Sequence[OfferedLayer]) -> dict[str, str]:
        """Bring the layers into the store, and say of each diff ID how it came."""
        # One task for each layer's content: a manifest may name the same layer twice.
        tasks = {each.diff_id: partial(self._layer, each.blob, each.diff_id) for each in layers}
        return dict(zip(tasks, self._moving.all(list(tasks.values())), strict=True))

    def _put(self, offered: Offered, names: list[str]) -> StoredImage:
        described, config = offered.described, offered.config
        layers = [Descriptor(LAYER_TYPE, each.diff_id, self._size(each.diff_id), {LAYER_KIND: each.kind}).to_json()
                  for each in offered.layers]  # fmt: skip
        stored: Json = {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            # As a build writes it: one image, one manifest, whatever the registry says beside.
            "annotations": _labels(config),
            "layers": layers,
            "config": Descriptor(CONFIG_TYPE, described.digest, described.size).to_json(),
        }
        return self._store.put_manifest(self._store.put_json(stored, MANIFEST_TYPE), names)

    def _config(self, described: Descriptor) -> None:
        with self._store.writer() as writer:
            for piece in self._source.blob(described):
                writer.write(piece)
            if writer.digest() != described.digest:
                raise digest_mismatch(f"the configuration is not {described.digest}")
            writer.commit(CONFIG_TYPE)

    def _layer(self, blob: Descriptor, diff_id: str) -> str:
        """Bring the layer into the store, unpacked from its compression."""
        if self._store.has(diff_id):
            return "there"
        kept = self._store.partial_path(blob.digest)
        try:
            how = self._fetch(blob, diff_id)
        except InputError:
            if not kept.exists():
                raise
            remove_partial(kept)  # the disk may have changed them
            how = self._fetch(blob, diff_id)
        remove_partial(kept)
        return how

    def _fetch(self, blob: Descriptor, diff_id: str) -> str:
        with self._store.writer() as writer:
            compression, pieces = compression_of(self._pieces(blob), blob.media_type)
            for piece in decompress(pieces, compression):
                writer.write(piece)
            if writer.digest() != diff_id:
                raise digest_mismatch(f"the layer {blob.digest} does not contain {diff_id}")
            # Not for a layer that was there: it would be the registry's word alone, which a push to another would
            # trust. So they come before the layer: who is interrupted between the two would never note them.
            if self._reference is not None and blob.media_type == COMPRESSIONS.get(compression):
                note_compressed(self._store, diff_id, compression, Descriptor(blob.media_type, blob.digest, blob.size))
                note_place(self._store, blob.digest, self._reference)
            writer.commit(LAYER_TYPE)
        return "fetched"

    def _pieces(self, blob: Descriptor) -> Iterator[bytes]:
        """The blob; what comes from a registry is counted where it is downloaded."""
        for piece in self._source.blob(blob):
            if self._reference is None:
                self._moving.moved(len(piece))
            yield piece

    def _size(self, digest: str) -> int:
        return self._store.blob_path(digest).stat().st_size


def _require_crash(name: str, config: Json, kinds: Sequence[str]) -> None:
    """Refuse other people's images before their layers are fetched.

    Raises:
        InputError: ``not-a-crash``.
    """
    if MADE_FROM in _labels(config) or any(kind != "other" for kind in kinds):
        return
    message = f"{name} is a container image, and contains no crash: it has neither corebox's labels nor its layers"
    hint = "give an image that corebox built; one that went through `docker export` or `import` has lost both"
    raise InputError("not-a-crash", message, hint)


def _list(value: object, what: str) -> list[object]:
    if not isinstance(value, list) or len(value) > _MAX_LAYERS:
        raise image_damaged(f"its {what} are not a list of at most {_MAX_LAYERS}")
    return value


def _kinds(blobs: Sequence[Descriptor], config: Json) -> list[str]:
    """What each layer is: by the history, which belongs to the image and survives an engine, else by its annotation."""
    history = config.get("history")
    steps = [step for step in history if isinstance(step, dict)] if isinstance(history, list) else []
    files = [_LAYER_FILE.fullmatch(str(step.get("created_by"))) for step in steps if not step.get("empty_layer")]
    named = [match[1] if match else None for match in files]
    if len(named) != len(blobs):
        named = [None] * len(blobs)
    return [name or blob.annotations.get(LAYER_KIND, "other") for blob, name in zip(blobs, named, strict=True)]


def _labels(config: Json) -> dict[str, str]:
    match config:
        case {"config": {"Labels": dict(labels)}}:
            return {str(key): str(value) for key, value in labels.items()}
    return {}
