"""An image as a stream that ``docker load`` and ``podman load`` take, leaving out what the engine has.

The engine wants ``manifest.json``, which names configuration and layers by path; they lie where an OCI layout has
them, so the same archive is one too (moby image/tarexport, observed with Docker 20.10 and Podman 4.3). A layer whose
chain the engine has may be named and absent; that is no contract, so a caller sends all if the engine refuses.
"""

import json
import tarfile
from collections.abc import Collection, Iterator

from corebox.image.entries import tar_header
from corebox.image.native import Assembly, file_name
from corebox.store import MANIFEST_TYPE, Store, StoredImage

CHUNK = 1 << 20


def stream_archive(store: Store, image: StoredImage, leave_out: Collection[str] = ()) -> Iterator[bytes]:
    """Yield the archive in pieces, without the layers whose digests are in ``leave_out``."""
    manifest = [
        {
            "Config": _member(image.image_id),
            "RepoTags": list(image.tags),
            "Layers": [_member(layer.digest) for layer in image.layers],
        }
    ]
    for digest in dict.fromkeys([*(layer.digest for layer in image.layers), image.image_id, image.manifest_digest]):
        if digest not in leave_out:
            yield from _stream_blob(store, digest, _member(digest))
    index = {
        "schemaVersion": 2,
        "manifests": [
            {
                "mediaType": MANIFEST_TYPE,
                "digest": image.manifest_digest,
                "size": store.blob_path(image.manifest_digest).stat().st_size,
            }
        ],
    }
    yield _small("index.json", json.dumps(index).encode("ascii"))
    yield _small("manifest.json", json.dumps(manifest).encode("ascii"))
    yield _small("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
    yield bytes(2 * tarfile.BLOCKSIZE)


def _member(digest: str) -> str:
    return "blobs/" + digest.replace(":", "/")


def _stream_blob(store: Store, digest: str, name: str) -> Iterator[bytes]:
    path = store.blob_path(digest)
    info = tarfile.TarInfo(name)
    info.size = path.stat().st_size
    yield tar_header(info)
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            yield chunk
    yield bytes(-info.size % tarfile.BLOCKSIZE)


def _small(name: str, data: bytes) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    return tar_header(info) + data + bytes(-len(data) % tarfile.BLOCKSIZE)


def stream_context(store: Store, assembly: Assembly) -> Iterator[bytes]:
    """Yield a build context for an engine: the Dockerfile and the layers that it adds."""
    yield _small("Dockerfile", assembly.dockerfile.encode("utf-8"))
    for each in assembly.layers:
        yield from _stream_blob(store, each.layer.digest, file_name(each.layer))
    yield bytes(2 * tarfile.BLOCKSIZE)
