"""What the store holds, as immutable values. Digests are ``sha256:HEX``, sizes bytes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"
LAYER_KIND = "io.corebox.layer"  # annotation of a layer's descriptor


@dataclass(frozen=True)
class Descriptor:
    """Where content is found (OCI image spec, descriptor.md)."""

    media_type: str
    digest: str
    size: int


@dataclass(frozen=True)
class Layer:
    """One layer of an image, uncompressed in the store, so that its digest is its diff ID."""

    kind: str
    digest: str
    size: int


@dataclass(frozen=True)
class StoredImage:
    """One image: ``image_id`` is the digest of its configuration, as Docker has it."""

    image_id: str
    manifest: Descriptor
    tags: tuple[str, ...]
    layers: tuple[Layer, ...]
    config: Mapping[str, Any]

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels of the configuration."""
        labels: Mapping[str, str] = self.config.get("config", {}).get("Labels") or {}
        return labels

    @property
    def size(self) -> int:
        """Bytes of all layers together."""
        return sum(layer.size for layer in self.layers)

    def layers_of(self, *kinds: str) -> tuple[Layer, ...]:
        """The layers of these kinds, in their order."""
        return tuple(layer for layer in self.layers if layer.kind in kinds)
