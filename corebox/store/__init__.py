"""The local content-addressed store, in the OCI image layout, and roots unpacked from it."""

from corebox.store.blobs import Blobs, BlobWriter
from corebox.store.files import canonical_json
from corebox.store.store import Store, no_space
from corebox.store.values import LAYER_TYPE, Descriptor, Layer, StoredImage

__all__ = [
    "LAYER_TYPE",
    "BlobWriter",
    "Blobs",
    "Descriptor",
    "Layer",
    "Store",
    "StoredImage",
    "canonical_json",
    "no_space",
]
