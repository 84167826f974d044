"""An image as a stream that ``docker load`` and ``podman load`` take, leaving out what the engine has.

The engine wants ``manifest.json``, which names configuration and layers by path (moby image/tarexport, observed with
Docker 20.10 and Podman 4.3). No OCI index: Podman would take the names from that, and give them another form. A layer
whose chain Docker has may be named and absent; that is no contract, so a caller sends all if the engine refuses.
"""

import json
import tarfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from corebox.image.tar import header_of
from corebox.store.store import Store
from corebox.store.values import StoredImage

_CHUNK = 1 << 20
END = bytes(2 * tarfile.BLOCKSIZE)

Part = bytes | Path


@dataclass(frozen=True)
class TarStream:
    """A tar made of bytes and of whole files, in pieces.

    Its length is known before it is read, so that it can be sent with a Content-Length: Docker reads a body of unknown
    length, which comes in chunks, through a buffer of 4 KiB (Go's net/http), and takes a fifth longer.
    """

    parts: tuple[Part, ...]

    def __len__(self) -> int:
        return sum(part.stat().st_size if isinstance(part, Path) else len(part) for part in self.parts)

    def __iter__(self) -> Iterator[bytes]:
        for part in self.parts:
            if isinstance(part, bytes):
                yield part
                continue
            with part.open("rb") as stream:
                while chunk := stream.read(_CHUNK):
                    yield chunk


def image_archive(store: Store, image: StoredImage, leave_out: Collection[str] = ()) -> TarStream:
    """The archive, without the layers whose digests are in ``leave_out``."""
    layers = [layer.digest for layer in image.layers]
    blobs = dict.fromkeys([*layers, image.image_id])
    files = [part for digest in blobs if digest not in leave_out for part in blob_member(store, digest, _name(digest))]
    docker = {"Config": _name(image.image_id), "RepoTags": list(image.tags), "Layers": list(map(_name, layers))}
    return TarStream((*files, small_member("manifest.json", json.dumps([docker]).encode("ascii")), END))


def _name(digest: str) -> str:
    return "blobs/" + digest.replace(":", "/")


def blob_member(store: Store, digest: str, name: str) -> list[Part]:
    """A blob as the member ``name`` of a tar."""
    path = store.blob_path(digest)
    info = tarfile.TarInfo(name)
    info.size = path.stat().st_size
    return file_member(info, path)


def file_member(info: tarfile.TarInfo, path: Path) -> list[Part]:
    """The file as the member that ``info`` describes."""
    return [header_of(info), path, bytes(-info.size % tarfile.BLOCKSIZE)]


def small_member(name: str, data: bytes) -> bytes:
    """A member of a tar with these bytes."""
    info = tarfile.TarInfo(name)
    info.size = len(data)
    return header_of(info) + data + bytes(-len(data) % tarfile.BLOCKSIZE)
