"""An image as a stream that ``docker load`` and ``podman load`` take, leaving out what the engine has.

Engines want ``manifest.json``, which names configuration and layers by path (moby image/tarexport, observed with Docker
20.10 and 28 and Podman 4.3). No OCI index: Podman would take the names from that, and give them another form. A Docker
whose images are in containerd's store, as are all since 29, takes an OCI layout (OCI image spec, ``image-layout.md``);
of a ``manifest.json`` it would want all layers, and make a manifest of its own.

A layer that an engine has may be named and absent; that is no contract, so a caller sends all if the engine refuses.
"""

import json
import tarfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from corebox.image.tar import header_of
from corebox.store.index import LAYOUT, index_text
from corebox.store.store import Store
from corebox.store.values import MANIFEST_TYPE, REF_NAME, Descriptor, StoredImage

#: Annotation of a manifest: the name under which containerd stores it (containerd core/images/annotations.go).
_CONTAINERD_NAME = "io.containerd.image.name"
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


def docker_archive(store: Store, image: StoredImage, leave_out: Collection[str] = ()) -> TarStream:
    """The archive with a ``manifest.json``, without the layers whose digests are in ``leave_out``."""
    layers = [layer.digest for layer in image.layers]
    return _archive(store, [*layers, image.image_id], leave_out, {"manifest.json": _docker_manifest(image)})


def oci_archive(store: Store, image: StoredImage, leave_out: Collection[str] = ()) -> TarStream:
    """The OCI layout, without the layers whose digests are in ``leave_out``."""
    size = store.blob_path(image.manifest_digest).stat().st_size
    names = [{_CONTAINERD_NAME: _full_name(tag)} for tag in image.tags] or [{}]
    entries = [Descriptor(MANIFEST_TYPE, image.manifest_digest, size, name) for name in names]
    blobs = [*(layer.digest for layer in image.layers), image.image_id, image.manifest_digest]
    return _archive(store, blobs, leave_out, {"index.json": index_text(entries), "oci-layout": LAYOUT})


def whole_archive(store: Store, image: StoredImage) -> TarStream:
    """An OCI layout with a ``manifest.json`` beside: every engine and every tool can read the one or the other."""
    size = store.blob_path(image.manifest_digest).stat().st_size
    names = [{REF_NAME: tag, _CONTAINERD_NAME: _full_name(tag)} for tag in image.tags] or [{}]
    entries = [Descriptor(MANIFEST_TYPE, image.manifest_digest, size, name) for name in names]
    blobs = [*(layer.digest for layer in image.layers), image.image_id, image.manifest_digest]
    documents = {"index.json": index_text(entries), "oci-layout": LAYOUT, "manifest.json": _docker_manifest(image)}
    return _archive(store, blobs, (), documents)


def _docker_manifest(image: StoredImage) -> bytes:
    docker = {
        "Config": _name(image.image_id),
        "RepoTags": [_with_tag(tag) for tag in image.tags],
        "Layers": [_name(layer.digest) for layer in image.layers],
    }
    return json.dumps([docker]).encode("ascii")


def _archive(
    store: Store, blobs: Iterable[str], leave_out: Collection[str], documents: Mapping[str, bytes]
) -> TarStream:
    """The blobs, each once, and behind them the documents, by name."""
    wanted = [digest for digest in dict.fromkeys(blobs) if digest not in leave_out]
    files = [part for digest in wanted for part in blob_member(store, digest, _name(digest))]
    return TarStream((*files, *(small_member(name, text) for name, text in documents.items()), END))


def _with_tag(name: str) -> str:
    """The name with a tag, without which Docker refuses it."""
    return name if ":" in name.rpartition("/")[2] else name + ":latest"


def _full_name(name: str) -> str:
    """The name as containerd stores it: with a host, Docker Hub's if there is none (distribution/reference)."""
    first, slash, _ = name.partition("/")
    if not slash:
        return "docker.io/library/" + _with_tag(name)
    return ("" if first == "localhost" or set(first) & set(".:") else "docker.io/") + _with_tag(name)


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
