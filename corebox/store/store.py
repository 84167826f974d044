"""The store's front: blobs, images, unpacked roots, notes, and keeping house."""

import contextlib
import hashlib
import json
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import platformdirs

from corebox.bundle.temporary import remove_abandoned, temporary_directory
from corebox.errors import InputError
from corebox.store import index, records
from corebox.store.blobs import BlobWriter
from corebox.store.files import explained, locked, remove_stale, stat_of, write_atomically
from corebox.store.images import find_image, is_readable, read_image
from corebox.store.roots import Roots
from corebox.store.values import CONFIG_TYPE, MANIFEST_TYPE, Descriptor, Json, Layer, Pruned, StoredImage, is_digest

_KEPT = 7 * 86400.0  # seconds that a cached file is kept after its last use
#: Notes under the identity of a bundle, which go with its last image; each image has the identity as this label.
_OF_CRASHES, _IDENTITY = "history", "io.corebox.bundle"
#: Notes under the digest of a blob, which go with it: how its file was when its bytes were right; where it came from.
_WHOLE, ORIGIN = "whole", "origin"


class Store:
    """The store in the directory ``home``, which is made if need be.

    Raises:
        HostError: ``store-unusable`` or ``no-space``, from every method.
    """

    def __init__(self, home: Path) -> None:
        self.home = Path(os.path.abspath(home))  # noqa: PTH100 - resolve() would follow links, and mount paths must not
        self.oci = self.home / "oci"
        self._blobs = self.oci / "blobs" / "sha256"
        self._index = self.oci / "index.json"
        self._index_lock = self.home / "index.lock"
        self._blobs_lock = self.home / "blobs.lock"
        self._records = self.home / "records"
        self._scratch = self.home / "tmp"
        self._cache = self.home / "cache"
        self._roots = Roots(self.home / "roots", self._scratch)
        with explained(self.home):
            self._prepare()

    @staticmethod
    def default() -> "Store":
        """The user's store: ``COREBOX_HOME``, else the XDG data directory."""
        home = os.environ.get("COREBOX_HOME")
        return Store(Path(home) if home else Path(platformdirs.user_data_dir("corebox")))

    def _prepare(self) -> None:
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.home.chmod(0o700)
        private = (
            self.oci,
            self._blobs.parent,
            self._blobs,
            self._records,
            self.home / "roots",
            self._scratch,
            self._cache,
        )
        for directory in private:
            directory.mkdir(mode=0o700, exist_ok=True)
        if not (self.oci / "oci-layout").exists():
            write_atomically(self.oci / "oci-layout", index.LAYOUT, self._scratch)
        if not self._index.exists():
            with locked(self._index_lock):
                if not self._index.exists():
                    self._write_index([])
        remove_abandoned(str(self._scratch))

    # Blobs

    def blob_path(self, digest: str) -> Path:
        """Where the blob lies, whether it is there or not; an InputError ``image-damaged`` for what is no digest."""
        return self._blobs / Descriptor.from_json({"mediaType": "", "digest": digest, "size": 0}).digest[7:]

    def has(self, digest: str) -> bool:
        """Whether the blob is there."""
        return self.blob_path(digest).exists()

    def require_whole(self, digest: str) -> None:
        """Read the blob, and remove it if its bytes are not those of its digest: it will be made or pulled again.

        Raises:
            InputError: ``missing-blob``, ``image-damaged``.
        """
        path, found = self.blob_path(digest), hashlib.sha256()
        hint = "build or pull it again"
        with explained(self.home):
            if not path.exists():
                raise InputError("missing-blob", f"the store lacks the layer {digest}", hint)
            with path.open("rb") as blob:
                while block := blob.read(1 << 20):
                    found.update(block)
            if found.hexdigest() != digest[7:]:
                path.unlink()
                message = f"the store's copy of {digest} was damaged and has been removed"
                raise InputError("image-damaged", message, hint)

    @contextlib.contextmanager
    def writer(self) -> Iterator[BlobWriter]:
        """A new blob; see ``BlobWriter``."""
        with self.workplace() as work, BlobWriter(work / "blob", self._blobs) as writer:
            yield writer

    def adopt_blob(self, file: Path, digest: str) -> None:
        """Take ``file``, which is on the store's disk and whose digest was computed as it was written, as a blob."""
        with explained(self.home), contextlib.suppress(FileExistsError):
            file.chmod(0o600)
            self.blob_path(digest).hardlink_to(file)
            self.remember(_WHOLE, digest, {"stat": stat_of([file])})

    def whole_blob(self, digest: str) -> Path:
        """Where the blob lies; it is looked through if that has not been done since it was written.

        Raises:
            InputError: ``missing-blob``, ``image-damaged``.
        """
        path = self.blob_path(digest)
        with explained(self.home):
            if not path.exists() or self.recall(_WHOLE, digest) != {"stat": stat_of([path])}:
                self.require_whole(digest)
                self.remember(_WHOLE, digest, {"stat": stat_of([path])})
        return path

    def put_json(self, value: Mapping[str, object], media_type: str) -> Descriptor:
        """Store ``value`` as canonical JSON: sorted keys, no spaces, ASCII."""
        with self.writer() as writer:
            writer.write(json.dumps(value, sort_keys=True, separators=(",", ":")).encode("ascii"))
            return writer.commit(media_type)

    @contextlib.contextmanager
    def adding(self) -> Iterator[None]:
        """Keep ``prune`` of other processes from removing blobs that no image refers to yet."""
        with locked(self._blobs_lock, shared=True):
            yield

    @contextlib.contextmanager
    def workplace(self) -> Iterator[Path]:
        """A temporary directory on the store's disk, removed at the end, or by the next process if this one dies."""
        with explained(self.home), temporary_directory(str(self._scratch)) as work:
            yield Path(work)

    # Images

    def put_image(
        self, manifest: Mapping[str, object], config: Mapping[str, object], tags: Iterable[str] = ()
    ) -> StoredImage:
        """Store an image whose layers are there; ``config`` of ``manifest`` is filled in here."""
        described = self.put_json(config, CONFIG_TYPE)
        stored = self.put_json({**manifest, "config": described.to_json()}, MANIFEST_TYPE)
        return self.put_manifest(stored, tags)

    def put_manifest(self, manifest: Descriptor, tags: Iterable[str] = ()) -> StoredImage:
        """List an image whose manifest, config and layers are in the store already, e.g. as pulled."""
        image = read_image(self.oci, manifest, ())
        with explained(self.home), locked(self._index_lock):
            entries = index.with_image(index.read_index(self._index), manifest, tags)
            self._write_index(entries)
        self._touch(image.manifest_digest)
        return next(found for found in self.images() if found.manifest_digest == manifest.digest)

    def images(self) -> list[StoredImage]:
        """All images, by name.

        Raises:
            InputError: ``image-damaged``.
        """
        tags: dict[str, list[str]] = {}
        entries: dict[str, Descriptor] = {}
        for entry in index.read_index(self._index):
            entries.setdefault(entry.digest, entry)
            tag = index.tag_of(entry)
            tags.setdefault(entry.digest, []).extend([tag] if tag else [])
        return [read_image(self.oci, entry, tuple(tags[digest])) for digest, entry in entries.items()]

    def find(self, reference: str) -> StoredImage:
        """The image that is called so: a name (``:latest`` may be left out), an ID or digest, or the beginning of one.

        Raises:
            InputError: ``no-such-image`` or ``ambiguous-image``.
        """
        image = find_image(self.images(), reference)
        self._touch(image.manifest_digest)
        return image

    def tag(self, image: StoredImage, tag: str) -> None:
        """Give the image one more name, which another image loses."""
        with locked(self._index_lock):
            entries = index.read_index(self._index)
            manifest = next((entry for entry in entries if entry.digest == image.manifest_digest), None)
            if manifest is not None:
                self._write_index(index.with_image(entries, manifest, [tag]))

    def untag(self, tag: str) -> None:
        """Take a name away; the image stays until it is pruned."""
        with locked(self._index_lock):
            self._write_index(index.without_tag(index.read_index(self._index), tag))

    def remove(self, *images: StoredImage) -> None:
        """Take the images with all their names out of the index; their blobs go with the next ``prune``."""
        gone = {image.manifest_digest for image in images}
        with locked(self._index_lock):
            entries = [entry for entry in index.read_index(self._index) if entry.digest not in gone]
            self._write_index(entries)

    # Roots

    def unpacked(self, layers: Sequence[Layer]) -> Path:
        """A directory with these layers in one tree, made once and kept as long as this process uses it.

        Raises:
            InputError: ``image-damaged``.
        """
        with explained(self.home), self.adding():
            return self._roots.get(
                [(layer.digest, self.blob_path(layer.digest)) for layer in layers], self.require_whole
            )

    # Notes

    def remember(self, kind: str, key: str, value: Json) -> None:
        """Note ``value`` under ``kind`` (a plain name) and ``key`` (any text)."""
        with explained(self.home):
            records.remember(self._records, kind, key, value, self._scratch)

    def recall(self, kind: str, key: str) -> Json | None:
        """What was noted, or None."""
        return records.recall(self._records, kind, key)

    def notes(self, kind: str) -> list[Json]:
        """All that was noted under ``kind``."""
        return records.all_notes(self._records, kind)

    # Files that can be made again

    def cached(self, name: str) -> Path:
        """Where the file called ``name`` (a plain relative path) is kept, whether it is there or not."""
        path = self._cache / name
        with explained(self.home):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                os.utime(path)  # what is used stays
        return path

    def cache(self, name: str, file: Path) -> Path:
        """Keep ``file``, which is on the store's disk and readable for the sandbox's user, under ``name``."""
        with explained(self.home):
            file.chmod(0o644)
            return file.replace(self.cached(name))

    # Keeping house

    def prune(self, older_than: float | None = None, size_limit: int | None = None) -> Pruned:
        """Remove nameless images, those not used for ``older_than`` seconds, and the least recently used for the limit.

        ``size_limit`` is in bytes of all layers. Waits for builds of other processes to end. Blobs that no image
        refers to, roots that no process uses and the histories of crashes without an image go too.
        """
        with explained(self.home), locked(self._blobs_lock):
            self._drop_damaged()
            images = self.images()
            stale = {image.manifest_digest for image in images if self._is_stale(image, older_than)}
            gone = [image for image in images if image.manifest_digest in stale]
            kept = [image for image in images if image.manifest_digest not in stale]
            if size_limit is not None:
                gone += self._beyond(kept, size_limit)
            self.remove(*gone)
            return Pruned(tuple(gone), self._sweep())

    def _drop_damaged(self) -> None:
        """Take images out of the index that cannot be read, so that they do not stand in the way of the others."""
        with locked(self._index_lock):
            entries = index.read_index(self._index)
            readable = [entry for entry in entries if is_readable(self.oci, entry)]
            if len(readable) < len(entries):
                self._write_index(readable)

    def _is_stale(self, image: StoredImage, older_than: float | None) -> bool:
        old = older_than is not None and time.time() - self._used(image) > older_than
        return old or not image.tags

    def _beyond(self, images: Sequence[StoredImage], limit: int) -> list[StoredImage]:
        """The least recently used images that must go for the others' blobs to fit into ``limit`` bytes."""
        users = Counter(digest for image in images for digest in _sizes(image))
        left = sum({digest: size for image in images for digest, size in _sizes(image).items()}.values())
        gone: list[StoredImage] = []
        for image in sorted(images, key=self._used):
            if left <= limit:
                break
            gone.append(image)
            for digest, size in _sizes(image).items():
                users[digest] -= 1
                left -= 0 if users[digest] else size
        return gone

    def _sweep(self) -> int:
        """Remove the blobs, roots and notes that no image needs; return the bytes freed of the former."""
        images = self.images()
        needed = {image.manifest_digest[7:] for image in images} | {image.image_id[7:] for image in images}
        needed |= {layer.digest[7:] for image in images for layer in image.layers}
        needed |= {digest[7:] for digest in self._pinned()}
        records.keep_only(self._records, _OF_CRASHES, (image.labels.get(_IDENTITY, "") for image in images))
        for kind in (_WHOLE, ORIGIN):
            records.keep_only(self._records, kind, (f"sha256:{digest}" for digest in needed))
        freed = 0
        for blob in self._blobs.iterdir():
            if blob.name not in needed:
                freed += blob.stat().st_size
                blob.unlink()
        return freed + self._roots.prune(needed) + remove_stale(self._cache, _KEPT)

    def _pinned(self) -> Iterator[str]:
        """Layers that are kept although no image may need them: the toolbox costs time to make again."""
        for note in self.notes("toolbox"):
            digest = note.get("digest")
            if isinstance(digest, str) and is_digest(digest):
                yield digest

    def _write_index(self, entries: Iterable[Descriptor]) -> None:
        index.write_index(self._index, entries, self._scratch)

    def _touch(self, digest: str) -> None:
        os.utime(self.blob_path(digest))

    def _used(self, image: StoredImage) -> float:
        """When the image was last built, pulled or opened: the time of its manifest's file."""
        return self.blob_path(image.manifest_digest).stat().st_mtime


def _sizes(image: StoredImage) -> dict[str, int]:
    """The image's layers by digest: one may be there twice."""
    return {layer.digest: layer.size for layer in image.layers}
