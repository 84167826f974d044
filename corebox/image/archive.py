"""An image as a stream that ``docker load`` and ``podman load`` take, leaving out what the engine has.

The engine wants ``manifest.json``, which names configuration and layers by path (moby image/tarexport, observed with
Docker 20.10 and Podman 4.3). No OCI index: Podman would take the names from that, and give them another form. A layer
whose chain Docker has may be named and absent; that is no contract, so a caller sends all if the engine refuses.
"""

import json
import tarfile
from collections.abc import Collection, Iterator

from corebox.image.tar import header_of
from corebox.store import Store, StoredImage

_CHUNK = 1 << 20


def stream_archive(store: Store, image: StoredImage, leave_out: Collection[str] = ()) -> Iterator[bytes]:
    """Yield the archive in pieces, without the layers whose digests are in ``leave_out``."""
    layers = [layer.digest for layer in image.layers]
    for digest in dict.fromkeys([*layers, image.image_id]):
        if digest not in leave_out:
            yield from stream_blob(store, digest, _member(digest))
    docker = {"Config": _member(image.image_id), "RepoTags": list(image.tags), "Layers": list(map(_member, layers))}
    yield small("manifest.json", json.dumps([docker]).encode("ascii"))
    yield bytes(2 * tarfile.BLOCKSIZE)


def _member(digest: str) -> str:
    return "blobs/" + digest.replace(":", "/")


def stream_blob(store: Store, digest: str, name: str) -> Iterator[bytes]:
    """Yield a blob as the member ``name`` of a tar."""
    path = store.blob_path(digest)
    info = tarfile.TarInfo(name)
    info.size = path.stat().st_size
    yield header_of(info)
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            yield chunk
    yield bytes(-info.size % tarfile.BLOCKSIZE)


def small(name: str, data: bytes) -> bytes:
    """A member of a tar with these bytes."""
    info = tarfile.TarInfo(name)
    info.size = len(data)
    return header_of(info) + data + bytes(-len(data) % tarfile.BLOCKSIZE)
