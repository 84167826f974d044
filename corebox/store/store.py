"""The local store: images in the OCI image layout, unpacked roots, and notes on what has been made already.

    HOME/oci/        an OCI image layout (image-layout.md), which skopeo and podman read as ``oci:HOME/oci:TAG``
    HOME/roots/      layers unpacked, by the digest of their list
    HOME/records/    small JSON notes by kind and key
    HOME/tmp/        what is being made

Everything is 0700: cores hold secrets. What lies in ``roots`` is world-readable beneath that, because containers
mount it as another user.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import platformdirs

from corebox.errors import HostError, InputError
from corebox.store.blobs import Blobs
from corebox.store.files import canonical_json, locked, write_atomically
from corebox.store.roots import unpack_layers
from corebox.store.values import CONFIG_TYPE, LAYER_KIND, MANIFEST_TYPE, Descriptor, Layer, StoredImage

REF_NAME = "org.opencontainers.image.ref.name"
SHORTEST_ID = 6  # digits of an image ID that may stand for it


class Store:
    """The store in the directory ``home``, which is made if it is not there.

    Raises:
        HostError: ``store-unusable``.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self.layout = home / "oci"
        self._scratch = home / "tmp"
        try:
            home.mkdir(mode=0o700, parents=True, exist_ok=True)
            for folder in (self._scratch, home / "roots", home / "records", self.layout / "blobs" / "sha256"):
                folder.mkdir(parents=True, exist_ok=True)
            if not (self.layout / "oci-layout").exists():
                write_atomically(self.layout / "oci-layout", b'{"imageLayoutVersion":"1.0.0"}', self._scratch)
        except OSError as error:
            raise HostError(
                "store-unusable",
                f"the store {home} cannot be used: {error.strerror}",
                "choose another place: export COREBOX_HOME=DIR",
            ) from error
        self.blobs = Blobs(self.layout / "blobs", self._scratch)

    @classmethod
    def default(cls) -> "Store":
        """The store that COREBOX_HOME names, else the one in the user's data directory."""
        return cls(Path(os.environ.get("COREBOX_HOME") or platformdirs.user_data_dir("corebox")))

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A directory for work in progress on the store's file system; gone when the block ends."""
        with tempfile.TemporaryDirectory(dir=self._scratch) as folder:
            yield Path(folder)

    # Images

    def put_image(
        self, config: Mapping[str, Any], layers: Sequence[Layer], media_types: Sequence[str], tags: Iterable[str]
    ) -> StoredImage:
        """Add an image whose layers are in the store already, and give it ``tags``."""
        config_blob = self.blobs.add(canonical_json(config), CONFIG_TYPE)
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": {"mediaType": CONFIG_TYPE, "digest": config_blob.digest, "size": config_blob.size},
            "layers": [
                {
                    "mediaType": media_type,
                    "digest": layer.digest,
                    "size": layer.size,
                    "annotations": {LAYER_KIND: layer.kind},
                }
                for layer, media_type in zip(layers, media_types, strict=True)
            ],
        }
        blob = self.blobs.add(canonical_json(manifest), MANIFEST_TYPE)
        with self._index() as entries:
            for tag in tags or [None]:
                _add_entry(entries, blob, tag)
        return self.find(config_blob.digest)

    def images(self) -> list[StoredImage]:
        """All images, each once, in the order in which they came."""
        tags: dict[str, list[str]] = {}
        for entry in self._read_index():
            names = tags.setdefault(entry["digest"], [])
            if REF_NAME in entry.get("annotations", {}):
                names.append(entry["annotations"][REF_NAME])
        return [self._read_image(digest, tuple(names)) for digest, names in tags.items()]

    def find(self, reference: str) -> StoredImage:
        """The image of this tag, image ID (or its beginning), or manifest digest.

        Raises:
            InputError: ``no-such-image``, ``ambiguous-image``.
        """
        value = reference.removeprefix("sha256:")
        matches = []
        for image in self.images():
            if reference in image.tags or f"{reference}:latest" in image.tags or reference == image.manifest.digest:
                return image
            if len(value) >= SHORTEST_ID and image.image_id.removeprefix("sha256:").startswith(value):
                matches.append(image)
        if len(matches) == 1:
            return matches[0]
        if matches:
            raise InputError("ambiguous-image", f"{reference} fits {len(matches)} images", "give more digits of the ID")
        raise InputError("no-such-image", f"there is no image {reference} in the store", "see: corebox images")

    def tag(self, image: StoredImage, tag: str) -> None:
        """Give ``image`` another tag; an image that had it loses it."""
        with self._index() as entries:
            _add_entry(entries, image.manifest, tag)

    def remove(self, reference: str) -> tuple[str, ...]:
        """Remove a tag, and the image with its last tag or by its ID; return the digests of the blobs that went.

        Raises:
            InputError: ``no-such-image``.
        """
        image = self.find(reference)
        with self._index() as entries:
            doomed = [reference] if reference in image.tags else list(image.tags) or [None]
            entries[:] = [
                entry
                for entry in entries
                if entry["digest"] != image.manifest.digest or entry.get("annotations", {}).get(REF_NAME) not in doomed
            ]
        return self._collect_garbage()

    def _collect_garbage(self) -> tuple[str, ...]:
        with locked(self.home / "lock"):
            used = set()
            for image in self.images():
                used |= {image.manifest.digest, image.image_id, *(layer.digest for layer in image.layers)}
            used |= {record["digest"] for record in self._records("toolbox")}
            gone = []
            for blob in (self.layout / "blobs" / "sha256").iterdir():
                if "sha256:" + blob.name not in used:
                    blob.unlink()
                    gone.append("sha256:" + blob.name)
            kept = {self._root_of(group).name for image in self.images() for group in _groups(image)}
            for root in (self.home / "roots").iterdir():
                if root.name not in kept:
                    shutil.rmtree(root)
            return tuple(gone)

    @contextmanager
    def _index(self) -> Iterator[list[dict[str, Any]]]:
        with locked(self.home / "lock"):
            entries = self._read_index()
            yield entries
            index = {"schemaVersion": 2, "manifests": entries}
            write_atomically(self.layout / "index.json", canonical_json(index), self._scratch)

    def _read_index(self) -> list[dict[str, Any]]:
        try:
            entries: list[dict[str, Any]] = json.loads((self.layout / "index.json").read_bytes())["manifests"]
        except FileNotFoundError:
            return []
        return entries

    def _read_image(self, digest: str, tags: tuple[str, ...]) -> StoredImage:
        data = self.blobs.path(digest).read_bytes()
        manifest = json.loads(data)
        config = json.loads(self.blobs.path(manifest["config"]["digest"]).read_bytes())
        layers = tuple(
            Layer(each.get("annotations", {}).get(LAYER_KIND, "other"), each["digest"], each["size"])
            for each in manifest["layers"]
        )
        return StoredImage(
            manifest["config"]["digest"], Descriptor(MANIFEST_TYPE, digest, len(data)), tags, layers, config
        )

    # Roots

    def unpacked(self, layers: Sequence[Layer]) -> Path:
        """The directory with these layers unpacked over one another; made when it is not there yet.

        Raises:
            InputError: ``layer-damaged``.
            HostError: ``no-space``.
        """
        root = self._root_of(layers)
        if not root.exists():
            with self.scratch() as scratch:
                made = scratch / "root"
                made.mkdir(mode=0o755)
                try:
                    unpack_layers([self.blobs.path(layer.digest) for layer in layers], made)
                except OSError as error:
                    raise no_space(self.home, error) from error
                try:
                    made.rename(root)
                except OSError:
                    if not root.exists():  # another process was faster otherwise, with the same content
                        raise
        return root

    def _root_of(self, layers: Sequence[Layer]) -> Path:
        joined = "\n".join(layer.digest for layer in layers)
        return self.home / "roots" / hashlib.sha256(joined.encode("ascii")).hexdigest()

    # Records

    def remember(self, kind: str, key: Any, value: Mapping[str, Any]) -> None:
        """Note ``value`` under a key of any JSON type."""
        path = self._record(kind, key)
        path.parent.mkdir(exist_ok=True)
        write_atomically(path, canonical_json(value), self._scratch)

    def recall(self, kind: str, key: Any) -> dict[str, Any] | None:
        """What was noted, or None."""
        try:
            value: dict[str, Any] = json.loads(self._record(kind, key).read_bytes())
        except (FileNotFoundError, ValueError):
            return None
        return value

    def _records(self, kind: str) -> Iterator[dict[str, Any]]:
        folder = self.home / "records" / kind
        for path in sorted(folder.iterdir()) if folder.is_dir() else []:
            yield json.loads(path.read_bytes())

    def _record(self, kind: str, key: Any) -> Path:
        return self.home / "records" / kind / (hashlib.sha256(canonical_json(key)).hexdigest() + ".json")


# Which layers are unpacked together: each group changes for a reason of its own.
ROOT_GROUPS = (("toolbox",), ("system", "program"), ("symbols",), ("core",))


def _groups(image: StoredImage) -> Iterator[tuple[Layer, ...]]:
    for kinds in ROOT_GROUPS:
        yield image.layers_of(*kinds)


def _add_entry(entries: list[dict[str, Any]], blob: Descriptor, tag: str | None) -> None:
    if tag is not None:
        entries[:] = [each for each in entries if each.get("annotations", {}).get(REF_NAME) != tag]
        entries[:] = [each for each in entries if each["digest"] != blob.digest or "annotations" in each]
    elif any(each["digest"] == blob.digest for each in entries):
        return
    entry: dict[str, Any] = {"mediaType": blob.media_type, "digest": blob.digest, "size": blob.size}
    entries.append(entry | ({"annotations": {REF_NAME: tag}} if tag is not None else {}))


def no_space(home: Path, error: OSError) -> HostError:
    """``no-space`` for a full disk, ``store-unusable`` for anything else that the system refuses."""
    if error.errno == 28:  # ENOSPC
        return HostError("no-space", f"the disk of {home} is full", "free some: corebox rm, or set COREBOX_HOME")
    return HostError("store-unusable", f"the store {home} cannot be used: {error.strerror}", "check: ls -ld " + str(home))
