"""What the store holds, as immutable values."""

import platform
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from corebox.errors import InputError

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"
#: Annotation of a layer in a manifest: what the layer is to those who made it.
LAYER_KIND = "io.corebox.layer"
#: Annotation of a manifest in index.json: the image's name (OCI image spec, "annotations").
REF_NAME = "org.opencontainers.image.ref.name"

#: Label of an image: the digest of what it was made from, by which it is found too.
MADE_FROM = "io.corebox.bundle"

#: Bytes of a manifest, an index or a configuration. The values of a JSON text take thirty times its length.
MAX_JSON = 1 << 20

Json = dict[str, object]


class Descriptor(NamedTuple):
    """A reference to a blob (OCI image spec, ``descriptor.md``); ``size`` in bytes."""

    media_type: str
    digest: str
    size: int
    annotations: Mapping[str, str] = MappingProxyType({})

    def to_json(self) -> Json:
        """The JSON object of this value."""
        value: Json = {"mediaType": self.media_type, "digest": self.digest, "size": self.size}
        return {**value, "annotations": dict(self.annotations)} if self.annotations else value

    @staticmethod
    def from_json(value: object) -> "Descriptor":
        """The descriptor in a manifest or an index.

        Raises:
            InputError: ``image-damaged``.
        """
        match value:
            case {"mediaType": str(media_type), "digest": str(digest), "size": int(size), **rest} if (
                is_digest(digest) and size >= 0
            ):
                annotations = rest.get("annotations") or {}
                if isinstance(annotations, dict):
                    return Descriptor(media_type, digest, size, {str(k): str(v) for k, v in annotations.items()})
        raise image_damaged(f"{value!r:.200} is not a descriptor")


class Layer(NamedTuple):
    """A layer of a stored image; ``diff_id`` is the digest of its tar, equal to ``digest`` if it is not compressed."""

    digest: str
    size: int
    kind: str
    diff_id: str
    media_type: str = LAYER_TYPE


class StoredImage(NamedTuple):
    """An image in the store; ``image_id`` is the digest of its config, which is what engines call the image's ID."""

    image_id: str
    manifest_digest: str
    tags: tuple[str, ...]
    layers: tuple[Layer, ...]
    config: Json

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels of its configuration."""
        match self.config:
            case {"config": {"Labels": dict(labels)}}:
                return {str(key): str(value) for key, value in labels.items()}
        return {}

    @property
    def is_partial(self) -> bool:
        """Whether only parts of its core are here; such an image has no manifest here either."""
        return not self.manifest_digest

    @property
    def size(self) -> int:
        """Bytes of all layers."""
        return sum(layer.size for layer in self.layers)


class Pruned(NamedTuple):
    """What ``Store.prune`` removed; ``freed`` in bytes."""

    images: tuple[StoredImage, ...]
    freed: int


def host_architecture() -> str:
    """This machine's architecture as images name it: Go's GOARCH (OCI image spec, config.md)."""
    machine = platform.machine()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


def without_password(name: str) -> str:
    """The name of an image for a message, without what may be USER:PASSWORD: all before an ``@`` of no digest."""
    return re.sub(r"^.*:.*@(?!sha256:)", "...@", name, flags=re.DOTALL)


def is_digest(text: str) -> bool:
    """Whether ``text`` is ``sha256:`` and 64 lower-case hex digits; such a text is safe as a file name."""
    return text[:7] == "sha256:" and len(text) == 71 and not set(text[7:]) - set("0123456789abcdef")


def image_damaged(what: str) -> InputError:
    """The error for a manifest, config, index or layer that is not as it should be."""
    return InputError(
        "image-damaged", f"the image is damaged: {what}", "`corebox prune` removes it; then build or pull it"
    )
