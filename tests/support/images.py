"""Images for tests that need bytes rather than a crash."""

import os
import tarfile

from corebox.store.store import Store
from corebox.store.values import LAYER_KIND, MANIFEST_TYPE, Descriptor, StoredImage

KINDS = ("toolbox", "system", "core")


def put_random_image(store: Store, size: int, tag: str = "random:1", compressible: bool = False) -> StoredImage:
    """An image with three layers of ``size`` bytes in all, the last the largest; they begin as tars, but are none."""
    layers = []
    for kind, share in zip(KINDS, (size // 8, size // 8, size - size // 8 * 2), strict=True):
        with store.writer() as writer:
            head = tarfile.TarInfo("x").tobuf() if share > tarfile.BLOCKSIZE else b""
            writer.write(head)
            share -= len(head)  # noqa: PLW2901
            for _ in range(share >> 20):
                writer.write(os.urandom(64) * (1 << 14) if compressible else os.urandom(1 << 20))
            writer.write(os.urandom(share & 0xFFFFF))
            blob = writer.commit()
        layers.append(Descriptor(blob.media_type, blob.digest, blob.size, {LAYER_KIND: kind}))
    config: dict[str, object] = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Labels": {"io.corebox.bundle": "sha256:" + "5" * 64, "com.example.secret": "stays"}},
        "rootfs": {"type": "layers", "diff_ids": [layer.digest for layer in layers]},
    }
    manifest: dict[str, object] = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "layers": [layer.to_json() for layer in layers],
    }
    return store.put_image(manifest, config, [tag])
