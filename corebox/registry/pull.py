"""Pulls an image into the store: only the layers that the store lacks, several at once, every digest checked."""

import hashlib
import re
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from corebox.registry.access import Access
from corebox.registry.answers import read_json
from corebox.registry.client import Client
from corebox.registry.compress import decompress
from corebox.registry.download import download_blob
from corebox.registry.faults import lied
from corebox.registry.moving import Moving, Progress
from corebox.registry.notes import note_compressed, note_place
from corebox.registry.push import Moved
from corebox.registry.reference import Reference
from corebox.store.images import parse_diff_ids
from corebox.store.store import Store
from corebox.store.values import (
    CONFIG_TYPE,
    LAYER_KIND,
    LAYER_TYPE,
    MANIFEST_TYPE,
    MOST_JSON,
    Descriptor,
    Json,
    StoredImage,
    host_architecture,
    image_damaged,
    is_digest,
)

_INDEXES = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")
_MANIFESTS = (MANIFEST_TYPE, "application/vnd.docker.distribution.manifest.v2+json")
_MOST_LAYERS = 512
#: How corebox's layers are called in the history of a configuration, which engines keep, unlike annotations.
_LAYER_FILE = re.compile(r"([a-z]+)(?:-[0-9]+)?\.tar /")


class Pulled(NamedTuple):
    """A finished pull; ``fetched`` are the bytes of blobs that went over the network."""

    image: StoredImage
    layers: tuple[Moved, ...]
    fetched: int


def pull_image(store: Store, reference: Reference, access: Access, progress: Progress = lambda _: None) -> Pulled:
    """Pull the image and give it the reference as its name.

    Raises:
        InputError: ``not-in-registry``, ``digest-mismatch``, ``image-damaged``.
        HostError: ``registry-unreachable``, ``registry-untrusted``, ``registry-refused``, ``registry-failed``,
            ``credentials-unreadable``, ``no-libzstd``, ``no-space``.
    """
    pull = _Pull(store, reference, access, progress)
    with store.adding(), pull.client:
        return pull.run()


class _Pull:
    def __init__(self, store: Store, reference: Reference, access: Access, progress: Progress) -> None:
        self._store = store
        self._reference = reference
        self._moving = Moving(reference.host, progress)
        self.client = Client(reference, access, "pull")

    def run(self) -> Pulled:
        manifest = self._manifest(self._reference.wanted)
        described = Descriptor.from_json(manifest.get("config"))
        config = self._config(described)
        blobs = [Descriptor.from_json(layer) for layer in _list(manifest.get("layers"), "layers")]
        diff_ids = parse_diff_ids(config, len(blobs))
        kinds = _kinds(blobs, config)
        # One task for each layer's content: a manifest may name the same layer twice.
        tasks = {diff_id: partial(self._layer, blob, diff_id) for blob, diff_id in zip(blobs, diff_ids, strict=True)}
        hows = dict(zip(tasks, self._moving.all(list(tasks.values())), strict=True))
        layers = [Descriptor(LAYER_TYPE, diff_id, self._size(diff_id), {LAYER_KIND: kind}).to_json()
                  for diff_id, kind in zip(diff_ids, kinds, strict=True)]  # fmt: skip
        stored: Json = {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            # As a build writes it: one image, one manifest, whatever the registry says beside.
            "annotations": _labels(config),
            "layers": layers,
            "config": Descriptor(CONFIG_TYPE, described.digest, described.size).to_json(),
        }
        image = self._store.put_manifest(self._store.put_json(stored, MANIFEST_TYPE), [str(self._reference)])
        moved = (Moved(kind, blob.digest, blob.size, hows[diff_id])
                 for kind, blob, diff_id in zip(kinds, blobs, diff_ids, strict=True))  # fmt: skip
        return Pulled(image, tuple(moved), self._moving.total)

    def _manifest(self, wanted: str, *, inner: bool = False) -> Json:
        get = partial(self.client.get_manifest, wanted, _MANIFESTS if inner else _MANIFESTS + _INDEXES)
        data, media_type = self._moving.patiently(get)
        if is_digest(wanted) and "sha256:" + hashlib.sha256(data).hexdigest() != wanted:
            raise lied(f"the manifest is not {wanted}")
        value = _object(data, "manifest")
        if media_type in _INDEXES and not inner:
            return self._manifest(_choose(value), inner=True)
        return value

    def _config(self, described: Descriptor) -> Json:
        if described.size > MOST_JSON:
            raise image_damaged("its configuration is too long")
        data = b"".join(download_blob(self.client, described, self._moving))
        with self._store.writer() as writer:
            writer.write(data)
            if writer.digest() != described.digest:
                raise lied(f"the configuration is not {described.digest}")
            writer.commit(CONFIG_TYPE)
        return _object(data, "configuration")

    def _layer(self, blob: Descriptor, diff_id: str) -> str:
        """Bring the layer into the store, unpacked from its compression."""
        if self._store.has(diff_id):
            return "there"
        with self._store.writer() as writer:
            for piece in decompress(download_blob(self.client, blob, self._moving), blob.media_type):
                writer.write(piece)
            if writer.digest() != diff_id:
                raise lied(f"the layer {blob.digest} does not contain {diff_id}")
            # Not for a layer that was there: it would be the registry's word alone, which a push to another would
            # trust. So they come before the layer: who is interrupted between the two would never note them.
            compression = blob.media_type.rpartition("+")[2]
            note_compressed(self._store, diff_id, compression, Descriptor(blob.media_type, blob.digest, blob.size))
            note_place(self._store, blob.digest, self._reference)
            writer.commit(LAYER_TYPE)
        return "fetched"

    def _size(self, digest: str) -> int:
        return self._store.blob_path(digest).stat().st_size


def _object(data: bytes, what: str) -> Json:
    value = read_json(data)
    if not isinstance(value, dict):
        raise image_damaged(f"its {what} is not a JSON object")
    return value


def _list(value: object, what: str) -> list[object]:
    if not isinstance(value, list) or len(value) > _MOST_LAYERS:
        raise image_damaged(f"its {what} are not a list of at most {_MOST_LAYERS}")
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


def _choose(index: Json) -> str:
    """The manifest for this machine, of an image for several."""
    machine = host_architecture()
    for entry in _list(index.get("manifests"), "manifests"):
        match entry:
            case {"digest": str(digest), "platform": {"architecture": str(architecture), "os": "linux"}}:
                if architecture == machine and is_digest(digest):
                    return digest
    raise image_damaged(f"it has no image for {machine}")
