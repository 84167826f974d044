"""Pushes an image by a plan: only what the repository lacks, several blobs at once."""

import contextlib
import hashlib
import json
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

from corebox.files.stage import Stage
from corebox.registry.access import Access
from corebox.registry.client import Client
from corebox.registry.compress import COMPRESSIONS, FramesError, compress_layer, wrap_frames
from corebox.registry.elsewhere import MIN_SIZE, OtherRepositories
from corebox.registry.moving import Moving, Progress
from corebox.registry.notes import note_compressed, note_place
from corebox.registry.plan import (
    COMPRESS,
    CORE,
    MOUNT,
    SEND,
    THERE,
    PushPlan,
    Step,
    noted_source,
    open_client,
    plan_push,
)
from corebox.registry.reference import Reference
from corebox.registry.upload import Upload, next_chunk
from corebox.store.blobs import BlobWriter
from corebox.store.origin import known_origin
from corebox.store.store import Store
from corebox.store.values import (
    LAYER_KIND,
    MANIFEST_TYPE,
    Descriptor,
    Json,
    Layer,
    StoredImage,
    image_damaged,
)

__all__ = ["COMPRESSIONS", "Moved", "Pushed", "push_image"]

Result = TypeVar("Result")
#: A blob as the registry has it now, and its status: see ``Moved``.
_Brought = tuple[Descriptor, str]

#: What nice(1) adds.
_NICENESS = 10
#: Labels that go to the manifest as annotations, where registries show them.
_ANNOTATED = ("io.corebox.", "org.opencontainers.image.")


class Moved(NamedTuple):
    """A layer of a push or pull; ``digest`` and ``size`` are the registry's.

    ``status`` is ``sent`` or ``fetched`` if its bytes went over the network, ``mounted`` if another repository of the
    registry had it, ``there`` if nothing had to be done.
    """

    kind: str
    digest: str
    size: int
    status: str


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
    moving = Moving(reference.host, progress)
    with store.adding(), open_client(store, image, reference, access, compression) as client:
        plan = plan_push(store, image, reference, compression, client, moving)
        *brought, config = _Execution(store, plan, client, moving, access).run()
        found = {step.layer.digest: each for step, each in zip(plan.steps, brought, strict=False) if step.layer}
        layers = [(layer, *found[layer.digest]) for layer in image.layers]
        manifest = _manifest(image, config[0], [(layer, blob) for layer, blob, _ in layers])
        moving.with_retries(partial(client.put_manifest, reference.wanted, manifest, MANIFEST_TYPE))
    store.tag(image, str(reference))
    moved = tuple(Moved(layer.kind, blob.digest, blob.size, status) for layer, blob, status in layers)
    return Pushed(reference, "sha256:" + hashlib.sha256(manifest).hexdigest(), moved, moving.total)


def push_plan(
    store: Store, image: StoredImage, reference: Reference, access: Access, compression: str = "gzip"
) -> PushPlan:
    """What ``push_image`` would do; nothing is changed. Raises as that does."""
    with open_client(store, image, reference, access, compression) as client:
        return plan_push(store, image, reference, compression, client, Moving(reference.host, lambda _: None))


class _Execution:
    """Works off a plan: several steps at once, one compression at a time."""

    def __init__(self, store: Store, plan: PushPlan, client: Client, moving: Moving, access: Access) -> None:
        self._store = store
        self._plan = plan
        self._client = client
        self._moving = moving
        self._elsewhere = OtherRepositories(plan.reference, access)
        # One layer at a time: each takes all processors. Its threads inherit the niceness: what sends goes first, and
        # so does a registry on this machine.
        self._compressing = ThreadPoolExecutor(1, initializer=os.nice, initargs=(_NICENESS,))
        self._core_begun = threading.Event()

    def run(self) -> list[_Brought]:
        """Take all steps; the first error ends them."""
        if not any(each.kind == CORE and each.does in (MOUNT, COMPRESS) for each in self._plan.steps):
            self._core_begun.set()
        with self._compressing:
            return self._moving.all([partial(self._take, step) for step in self._plan.steps])

    def _take(self, step: Step) -> _Brought:
        blob = step.blob
        if blob is None or (step.does == MOUNT and not self._store.has(blob.digest) and not self._mounts(step)):
            assert step.layer is not None
            return self._core(step.layer) if step.kind == CORE else self._layer(step.layer)
        if step.kind == CORE:
            self._core_begun.set()
        status = "there" if step.does == THERE else "mounted"
        if step.does == SEND or (step.does == MOUNT and self._store.has(blob.digest)):
            self._store.require_whole(blob.digest)
            status = self._send(blob, step.source)
        return self._noted(blob, status)

    def _mounts(self, step: Step) -> bool:
        """Whether the registry takes from its other repository what our store has no more."""
        assert step.blob is not None
        begin = partial(self._client.begin_upload, step.blob.digest, step.source)
        return self._moving.with_retries(begin)[0] is None

    def _core(self, layer: Layer) -> _Brought:
        """Nothing is compressed before it."""
        try:
            bundle = known_origin(self._store, layer.digest) if self._plan.compression == "zstd" else None
            if bundle:
                with contextlib.suppress(FramesError):
                    return self._compress_and_send(layer, bundle)
            return self._compress_and_send(layer)
        finally:
            self._core_begun.set()

    def _layer(self, layer: Layer) -> _Brought:
        self._core_begun.wait()
        with self._store.writer() as writer:
            blob = self._compress(layer, writer)
        is_there = self._moving.with_retries(partial(self._client.has_blob, blob.digest))
        source = noted_source(self._store, blob.digest, self._plan.reference)
        return self._noted(blob, "there" if is_there else self._send(blob, source))

    def _noted(self, blob: Descriptor, status: str) -> _Brought:
        note_place(self._store, blob.digest, self._plan.reference)
        return blob, status

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
            self._in_turn(wrap_frames, tar, bundle, writer, on_progress)
        else:
            found = self._in_turn(compress_layer, tar, writer, self._plan.compression, on_progress)
            if found != layer.digest:
                self._store.require_whole(layer.digest)
                raise image_damaged(f"{layer.digest} was read as {found}")
        blob = writer.commit(COMPRESSIONS[self._plan.compression])
        note_compressed(self._store, layer.diff_id, self._plan.compression, blob)
        return blob

    def _in_turn(self, act: Callable[..., Result], *arguments: object) -> Result:
        running = self._compressing.submit(act, *arguments)
        self._core_begun.set()
        return running.result()

    def _compress_and_send(self, layer: Layer, bundle: Path | None = None) -> _Brought:
        """Send the layer while it is compressed: what nobody has need not be asked for."""
        upload = Upload(self._client, self._moving)
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
        return self._noted(blob, "sent")

    def _send(self, blob: Descriptor, source: str | None) -> str:
        """Send a blob of the store, unless it can be mounted from ``source``, or from where nothing was noted of."""
        if source is None and blob.size >= MIN_SIZE:
            source = self._elsewhere.find(blob.digest)
            if source is not None:
                self._client.allow(source)
        upload = Upload(self._client, self._moving, source)
        with self._store.blob_path(blob.digest).open("rb") as file:
            return "sent" if upload.send(file.fileno(), blob.size, blob) else "mounted"


def _manifest(image: StoredImage, config: Descriptor, layers: Sequence[tuple[Layer, Descriptor]]) -> bytes:
    """The manifest of what was pushed: as the store's, with the layers compressed."""
    value: Json = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": config.to_json(),
        "layers": [
            Descriptor(blob.media_type, blob.digest, blob.size, {LAYER_KIND: layer.kind}).to_json()
            for layer, blob in layers
        ],
        "annotations": _annotations(image.labels),
    }
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode("ascii")


def _annotations(labels: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in labels.items() if name.startswith(_ANNOTATED)}
