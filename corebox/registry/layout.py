"""Images in folders and archives, by skopeo's names: ``oci:``, ``oci-archive:``, ``docker-archive:``."""

import contextlib
import hashlib
import json
import os
import posixpath
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from corebox.errors import InputError
from corebox.files.boundedtar import BoundedTar
from corebox.registry.answers import read_json
from corebox.registry.choose import INDEXES
from corebox.store.values import (
    CONFIG_TYPE,
    LAYER_TYPE,
    MANIFEST_TYPE,
    MAX_JSON,
    REF_NAME,
    Descriptor,
    Json,
    image_damaged,
    is_digest,
)

_CHUNK = 1 << 20
_MAX_MEMBERS = 10000
_MAX_IMAGES = 512
#: containerd's own name for an image in an index, whole where the other is often its tag alone.
_CONTAINERD_NAME = "io.containerd.image.name"


class Files(Protocol):
    """Files by name: a folder's or a tar's."""

    name: str

    def pieces(self, name: str) -> Iterator[bytes]:
        """The bytes of the file; an InputError ``not-a-layout`` if there is none."""

    def close(self) -> None:
        """Nothing more is read."""


class Folder:
    """The files in a folder."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._path = path

    def pieces(self, name: str) -> Iterator[bytes]:
        """See ``Files``."""
        # Of a named pipe nobody waits for the writer.
        try:
            descriptor = os.open(self._path / name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise _lacks(self.name, name) from error
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise _lacks(self.name, name)
            while piece := file.read(_CHUNK):
                yield piece

    def close(self) -> None:
        """See ``Files``."""


class Tar:
    """The members of a tar that is not compressed."""

    def __init__(self, path: Path, name: str) -> None:
        self.name = name
        self._file = path.open("rb")
        self._members: dict[str, tuple[int, int]] = {}
        links: dict[str, str] = {}
        try:
            with BoundedTar.open(path, "r:", encoding="utf-8", errors="surrogateescape") as archive:
                for member in archive:
                    if len(self._members) + len(links) > _MAX_MEMBERS:
                        raise image_damaged(f"{name} has more than {_MAX_MEMBERS} members")
                    inside = posixpath.normpath(member.name)
                    if member.isreg() and not member.issparse():
                        self._members[inside] = (member.offset_data, member.size)
                    elif member.issym() or member.islnk():
                        # Docker before 25 stored a layer once, and links to it (moby image/tarexport).
                        folder = posixpath.dirname(inside) if member.issym() else ""
                        links[inside] = posixpath.normpath(posixpath.join(folder, member.linkname))
        except (tarfile.TarError, OSError) as error:
            self._file.close()
            raise not_a_layout(name) from error
        self._members |= {link: self._members[to] for link, to in links.items() if to in self._members}

    def has(self, name: str) -> bool:
        """Whether there is such a file."""
        return name in self._members

    def pieces(self, name: str) -> Iterator[bytes]:
        """See ``Files``."""
        if name not in self._members:
            raise _lacks(self.name, name)
        offset, left = self._members[name]
        while left:
            piece = os.pread(self._file.fileno(), min(left, _CHUNK), offset)
            if not piece:
                raise image_damaged(f"{self.name} ends early")
            yield piece
            offset, left = offset + len(piece), left - len(piece)

    def close(self) -> None:
        """See ``Files``."""
        self._file.close()


def _lacks(place: str, name: str) -> InputError:
    hint = "check the name, and that the copy of it is complete: skopeo inspect shows what is there"
    return InputError("not-a-layout", f"{place} has no file {name:.200}", hint)


def not_a_layout(place: str) -> InputError:
    """The error for a file or folder that holds no images."""
    hint = "give what `docker save`, `skopeo copy` or `corebox export --oci-archive` wrote"
    return InputError("not-a-layout", f"{place} is neither an OCI image layout nor an archive of docker save", hint)


def read_small(files: Files, name: str) -> bytes:
    """A file that is a text of JSON."""
    data = b""
    for piece in files.pieces(name):
        data += piece
        if len(data) > MAX_JSON:
            raise image_damaged(f"{name} in {files.name} is too long")
    return data


def _blob_name(digest: str) -> str:
    if not is_digest(digest):
        raise image_damaged(f"{digest!r:.200} is not a digest")
    return "blobs/sha256/" + digest[7:]


class OciLayout:
    """An OCI image layout (OCI image spec, ``image-layout.md``); ``wanted`` names one of its images."""

    def __init__(self, files: Files, wanted: str = "") -> None:
        self.name = files.name
        self._files = files
        self._entries = _wanted_entries(files, wanted)

    def manifest(self, wanted: str) -> tuple[bytes, str]:
        """See ``Source``: a digest, or nothing for what was named."""
        if not is_digest(wanted):
            return json.dumps({"mediaType": INDEXES[0], "manifests": self._entries}).encode(), INDEXES[0]
        said = next((each.get("mediaType") for each in self._entries if each.get("digest") == wanted), "")
        return read_small(self._files, _blob_name(wanted)), str(said)

    def blob(self, blob: Descriptor) -> Iterator[bytes]:
        """See ``Source``."""
        return self._files.pieces(_blob_name(blob.digest))

    def names(self) -> list[str]:
        """What the image is called there."""
        return sorted({name for each in self._entries for name in _names(each)})


def _wanted_entries(files: Files, wanted: str) -> list[dict[str, Any]]:
    value = read_json(read_small(files, "index.json"))
    match value:
        case {"manifests": list(entries)} if len(entries) <= _MAX_IMAGES:
            found = [each for each in entries if isinstance(each, dict)]
        case _:
            raise not_a_layout(files.name)
    names = sorted({name for each in found for name in _names(each)})
    if wanted:
        chosen = [each for each in found if _is_one_of(wanted, _names(each))]
        if not chosen:
            raise _no_such(files.name, wanted, names)
        return chosen
    if len({each.get("digest") for each in found}) > 1 and len(names) > 1:
        raise _several(files.name, names)
    return found


def _names(entry: Json) -> list[str]:
    notes = entry.get("annotations")
    values = [notes.get(key) for key in (REF_NAME, _CONTAINERD_NAME)] if isinstance(notes, dict) else []
    return list(dict.fromkeys(_familiar(value) for value in values if isinstance(value, str)))


def _familiar(name: str) -> str:
    """The name as people write it: Docker Hub's host, which nobody means who writes none, is put before by tools."""
    return name.removeprefix("docker.io/").removeprefix("library/")


def _is_one_of(wanted: str, names: list[str]) -> bool:
    return bool({_familiar(wanted), f"{_familiar(wanted)}:latest"} & set(names))


def _no_such(place: str, wanted: str, names: list[str]) -> InputError:
    hint = f"it has: {', '.join(names):.300}" if names else "its images have no names: leave the name out"
    return InputError("no-such-image", f"{place} has no image called {wanted:.100}", hint)


def _several(place: str, names: list[str]) -> InputError:
    return InputError(
        "ambiguous-image",
        f"{place} has several images",
        f"append one of these names after a colon: {', '.join(names):.300}",
    )


class DockerArchive:
    """What ``docker save`` wrote: ``manifest.json`` names configuration and layers of each image by path."""

    def __init__(self, files: Files, wanted: str = "") -> None:
        self.name = files.name
        self._files = files
        described = _wanted_image(files, wanted)
        self._tags = _repo_tags(described)
        self._config = read_small(files, str(described.get("Config")))
        self._paths: dict[str, str] = {}
        self._manifest = json.dumps(self._describe([str(each) for each in described["Layers"]])).encode()

    def _describe(self, paths: list[str]) -> Json:
        """A manifest as a registry would have it."""
        config = "sha256:" + hashlib.sha256(self._config).hexdigest()
        return {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": Descriptor(CONFIG_TYPE, config, len(self._config)).to_json(),
            "layers": [self._layer(path).to_json() for path in paths],
        }

    def _layer(self, path: str) -> Descriptor:
        """The layer at ``path``: read once, for the digest that nothing tells."""
        digest, size = hashlib.sha256(), 0
        for piece in self._files.pieces(path):
            digest.update(piece)
            size += len(piece)
        blob = Descriptor(LAYER_TYPE, "sha256:" + digest.hexdigest(), size)
        self._paths[blob.digest] = path
        return blob

    def manifest(self, wanted: str) -> tuple[bytes, str]:  # noqa: ARG002  # as all sources have it
        """See ``Source``; there is one only."""
        return self._manifest, MANIFEST_TYPE

    def blob(self, blob: Descriptor) -> Iterator[bytes]:
        """See ``Source``."""
        path = self._paths.get(blob.digest)
        return iter([self._config]) if path is None else self._files.pieces(path)

    def names(self) -> list[str]:
        """What the image is called there."""
        return self._tags


def _wanted_image(files: Files, wanted: str) -> dict[str, Any]:
    value = read_json(read_small(files, "manifest.json"))
    images = value if isinstance(value, list) and len(value) <= _MAX_IMAGES else []
    found = [each for each in images if isinstance(each, dict) and isinstance(each.get("Layers"), list)]
    if not found or len(found) < len(images):
        raise not_a_layout(files.name)
    names = sorted(tag for each in found for tag in _repo_tags(each))
    if wanted:
        found = [each for each in found if _is_one_of(wanted, _repo_tags(each))]
        if not found:
            raise _no_such(files.name, wanted, names)
    if len(found) > 1:
        raise _several(files.name, names)
    return found[0]


def _repo_tags(image: Json) -> list[str]:
    tags = image.get("RepoTags")
    return [_familiar(str(tag)) for tag in tags] if isinstance(tags, list) else []


@contextlib.contextmanager
def opened_archive(path: Path, name: str, wanted: str) -> Iterator[OciLayout | DockerArchive]:
    """The images in a tar: an OCI layout if there is one, which says more, else what ``docker save`` wrote.

    Raises:
        InputError: ``not-a-layout``, ``no-such-image``, ``ambiguous-image``, ``image-damaged``.
    """
    files = Tar(path, name)
    try:
        yield OciLayout(files, wanted) if not files.has("manifest.json") else DockerArchive(files, wanted)
    finally:
        files.close()
