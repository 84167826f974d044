"""Pushes an image: only the blobs that the repository lacks, several at once; mounted where another one has them."""

import contextlib
import hashlib
import json
import os
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from corebox.errors import InputError
from corebox.files.stage import Stage
from corebox.registry.access import Access
from corebox.registry.answers import read_json
from corebox.registry.client import Client
from corebox.registry.compress import COMPRESSIONS, FramesError, compress_layer, wrap_frame
from corebox.registry.elsewhere import WORTH, Elsewhere
from corebox.registry.moving import Moving, Progress
from corebox.registry.notes import known_compressed, known_places, note_compressed, note_place
from corebox.registry.reference import Reference
from corebox.registry.upload import Upload, next_chunk
from corebox.store.blobs import BlobWriter
from corebox.store.origin import known_origin
from corebox.store.store import Store
from corebox.store.values import (
    CONFIG_TYPE,
    LAYER_KIND,
    LAYER_TYPE,
    MANIFEST_TYPE,
    Descriptor,
    Json,
    Layer,
    StoredImage,
    image_damaged,
)

__all__ = ["COMPRESSIONS", "Moved", "Pushed", "push_image"]

Result = TypeVar("Result")

#: The kind of layer that no other image has.
_CORE = "core"
#: What nice(1) adds.
_NICENESS = 10
#: Labels that go to the manifest as annotations, where registries show them.
_ANNOTATED = ("io.corebox.", "org.opencontainers.image.")


class Moved(NamedTuple):
    """A layer of a push or pull; ``digest`` and ``size`` are the registry's.

    ``how`` is ``sent`` or ``fetched`` if its bytes went over the network, ``mounted`` if another repository of the
    registry had it, ``there`` if nothing had to be done.
    """

    kind: str
    digest: str
    size: int
    how: str


class Pushed(NamedTuple):
    """A finished push; ``digest`` is the manifest's, ``sent`` the bytes of blobs that went over the network."""

    reference: Reference
    digest: str
    layers: tuple[Moved, ...]
    sent: int


def push_image(
    store: Store,
    image: StoredImage,
    reference: Reference,
    access: Access,
    compression: str = "gzip",
    progress: Progress = lambda _: None,
) -> Pushed:
    """Push ``image`` to ``reference`` and give it that name in the store too.

    Raises:
        HostError: ``registry-unreachable``, ``registry-untrusted``, ``registry-refused``, ``registry-failed``,
            ``credentials-unreadable``, ``no-libzstd``, ``no-space``.
    """
    push = _Push(store, image, reference, access, compression, progress)
    with store.adding(), push.client, push.compressing:
        moved = push.layers_and_config()
        manifest = _manifest(image, moved)
        push.moving.patiently(partial(push.client.put_manifest, reference.wanted, manifest, MANIFEST_TYPE))
    store.tag(image, str(reference))
    layers = tuple(
        Moved(layer.kind, blob.digest, blob.size, how) for layer, (blob, how) in zip(image.layers, moved, strict=False)
    )
    return Pushed(reference, "sha256:" + hashlib.sha256(manifest).hexdigest(), layers, push.moving.total)


class _Push:
    def __init__(
        self,
        store: Store,
        image: StoredImage,
        reference: Reference,
        access: Access,
        compression: str,
        progress: Progress,
    ) -> None:
        self._store = store
        self._image = image
        self._reference = reference
        self._compression = compression
        self.moving = Moving(reference.host, progress)
        self.client = Client(reference, access, "pull,push", self._sources())
        self._elsewhere = Elsewhere(reference, access)
        self._there = self._pushed_before()
        # One layer at a time: each takes all processors. Its threads inherit the niceness: what sends goes first, and
        # so does a registry on this machine.
        self.compressing = ThreadPoolExecutor(1, initializer=os.nice, initargs=(_NICENESS,))
        self._core_begun = threading.Event()

    def _pushed_before(self) -> dict[str, Descriptor]:
        """The layers by their digests here, if somebody has pushed this very image under this name."""
        try:
            get = partial(self.client.get_manifest, self._reference.wanted, (MANIFEST_TYPE,))
            value: Any = read_json(self.moving.patiently(get)[0])
            blobs = [Descriptor.from_json(layer) for layer in value["layers"]]
            same = Descriptor.from_json(value["config"]).digest == self._image.image_id
        except (InputError, KeyError, TypeError):
            return {}  # there is none, or it is not ours
        wanted = COMPRESSIONS[self._compression]
        pairs = zip(self._image.layers, blobs, strict=False) if same else ()
        return {layer.digest: blob for layer, blob in pairs if blob.media_type == wanted}

    def _sources(self) -> list[str]:
        """All repositories that something may be mounted from: permission for them is asked for at the beginning."""
        known = (known_compressed(self._store, each.diff_id, self._compression) for each in self._image.layers)
        return sorted({source for blob in known if blob and (source := self._source(blob.digest))})

    def _source(self, digest: str) -> str | None:
        places = known_places(self._store, digest, self._reference.host)
        return next((place for place in places if place != self._reference.repository), None)

    def layers_and_config(self) -> list[tuple[Descriptor, str]]:
        """Bring everything there that the manifest names; the configuration is the last."""
        config = self._store.blob_path(self._image.image_id)
        described = Descriptor(CONFIG_TYPE, self._image.image_id, config.stat().st_size)
        layers = {layer.digest: layer for layer in self._image.layers}.values()
        core_first = sorted(layers, key=lambda layer: layer.kind != _CORE)
        if all(layer.kind != _CORE for layer in layers):
            self._core_begun.set()
        bring = [partial(self._core if layer.kind == _CORE else self._layer, layer) for layer in core_first]
        *moved, last = self.moving.all([*bring, partial(self._blob, described)])
        found = dict(zip((layer.digest for layer in core_first), moved, strict=True))
        return [*(found[layer.digest] for layer in self._image.layers), last]

    def _core(self, layer: Layer) -> tuple[Descriptor, str]:
        """Nothing is compressed before it: a registry takes one blob on one processor, and this is most bytes."""
        try:
            known = self._known(layer)
            if known is not None:
                self._core_begun.set()
                return self._blob(known)
            bundle = known_origin(self._store, layer.digest) if self._compression == "zstd" else None
            if bundle:
                with contextlib.suppress(FramesError):
                    return self._compress_and_send(layer, bundle)
            return self._compress_and_send(layer)
        finally:
            self._core_begun.set()

    def _layer(self, layer: Layer) -> tuple[Descriptor, str]:
        known = self._known(layer)
        if known is not None:
            return self._blob(known)
        self._core_begun.wait()
        with self._store.writer() as writer:
            blob = self._compress(layer, writer)
        return self._blob(blob, fresh=True)

    def _known(self, layer: Layer) -> Descriptor | None:
        """The layer as it goes, if it need not be compressed."""
        if layer.media_type != LAYER_TYPE:
            return Descriptor(layer.media_type, layer.digest, layer.size)
        known = known_compressed(self._store, layer.diff_id, self._compression) or self._there.get(layer.digest)
        return known if known is not None and (self._store.has(known.digest) or self._is_there(known)) else None

    def _compress(
        self,
        layer: Layer,
        writer: BlobWriter,
        on_progress: Callable[[], object] = lambda: None,
        bundle: Path | None = None,
    ) -> Descriptor:
        """Compress the layer, or take what compresses the core in its ``bundle``."""
        if not self._store.has(layer.digest):
            self._store.require_whole(layer.digest)
        tar = self._store.blob_path(layer.digest)
        if bundle:
            self._in_turn(wrap_frame, tar, bundle, writer, on_progress)
        else:
            found = self._in_turn(compress_layer, tar, writer, self._compression, on_progress)
            if found != layer.digest:
                self._store.require_whole(layer.digest)
                raise image_damaged(f"{layer.digest} was read as {found}")
        blob = writer.commit(COMPRESSIONS[self._compression])
        note_compressed(self._store, layer.diff_id, self._compression, blob)
        return blob

    def _in_turn(self, act: Callable[..., Result], *arguments: object) -> Result:
        running = self.compressing.submit(act, *arguments)
        self._core_begun.set()
        return running.result()

    def _compress_and_send(self, layer: Layer, bundle: Path | None = None) -> tuple[Descriptor, str]:
        """Send the layer while it is compressed: what nobody has need not be asked for."""
        upload = Upload(self.client, self.moving)
        with self._store.writer() as writer, os.fdopen(os.dup(writer.fileno()), "rb") as file:
            with Stage(upload.send) as sending:
                handed_on = 0

                def hand_on() -> None:
                    nonlocal handed_on
                    if writer.size - handed_on > next_chunk(handed_on):
                        handed_on = writer.size
                        sending.put(file.fileno(), handed_on)

                blob = self._compress(layer, writer, hand_on, bundle)
            upload.send(file.fileno(), blob.size, blob)
        note_place(self._store, blob.digest, self._reference)
        return blob, "sent"

    def _found(self, blob: Descriptor) -> str | None:
        """Another repository with the blob, of which nothing was noted here."""
        source = self._elsewhere.find(blob.digest) if blob.size >= WORTH else None
        if source is not None:
            self.client.allow(source)
        return source

    def _is_there(self, blob: Descriptor) -> bool:
        """Whether the registry has a blob that our store has no more; mounted if another repository has it."""
        if self._has(blob):
            return True
        source = self._source(blob.digest)
        begun = self.moving.patiently(partial(self.client.begin_upload, blob.digest, source)) if source else ("", 0)
        return begun[0] is None

    def _has(self, blob: Descriptor) -> bool:
        return self.moving.patiently(partial(self.client.has_blob, blob.digest))

    def _blob(self, blob: Descriptor, *, fresh: bool = False) -> tuple[Descriptor, str]:
        """Bring a blob of the store there; one that is not ``fresh`` is looked through before."""
        how = "there"
        if not self._has(blob):
            if not fresh:
                self._store.require_whole(blob.digest)
            upload = Upload(self.client, self.moving, self._source(blob.digest) or self._found(blob))
            with self._store.blob_path(blob.digest).open("rb") as file:
                how = "sent" if upload.send(file.fileno(), blob.size, blob) else "mounted"
        note_place(self._store, blob.digest, self._reference)
        return blob, how


def _manifest(image: StoredImage, moved: list[tuple[Descriptor, str]]) -> bytes:
    """The manifest of what was pushed: as the store's, with the layers compressed."""
    *layers, (config, _) = moved
    value: Json = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": config.to_json(),
        "layers": [
            Descriptor(blob.media_type, blob.digest, blob.size, {LAYER_KIND: layer.kind}).to_json()
            for layer, (blob, _) in zip(image.layers, layers, strict=True)
        ],
        "annotations": _annotations(image.labels),
    }
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode("ascii")


def _annotations(labels: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in labels.items() if name.startswith(_ANNOTATED)}
