"""The store's front: blobs, images, unpacked roots, notes, and keeping house."""

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from corebox.errors import InputError
from corebox.files.temporary import temporary_directory
from corebox.store import keep, partialimages, records
from corebox.store.blobs import BlobWriter
from corebox.store.catalogue import Catalogue
from corebox.store.files import explained, remove_stale, stat_of
from corebox.store.locks import Locks, this_process
from corebox.store.partial import remove_partial
from corebox.store.roots import Roots
from corebox.store.values import (
    CONFIG_TYPE,
    MADE_FROM,
    MANIFEST_TYPE,
    Descriptor,
    Json,
    Layer,
    Pruned,
    StoredImage,
)
from corebox.store.version import read_format, scratch_of
from corebox.userfolders import data_folder

_KEPT = 7 * 86400.0  # seconds that a cached file is kept after its last use
#: Notes under the digest of a blob: how its file was when its bytes were right.
_WHOLE = "whole"
#: The folder of cached files for parts of blobs.
_PARTIAL = "partial"
#: The name of a lock.
_BLOBS = "blobs"
_AGAIN = "build or pull it again"


class Store:
    """The store in the directory ``home``, which is made if need be.

    Raises:
        HostError: ``store-unusable``, ``store-in-use``, ``store-too-new`` or ``no-space``, from every method.
    """

    def __init__(self, home: Path) -> None:
        self.home = Path(os.path.abspath(home))  # noqa: PTH100 - resolve() would follow links, and mount paths must not
        self.oci = self.home / "oci"
        self._blobs = self.oci / "blobs" / "sha256"
        self._records = self.home / "records"
        self._cache = self.home / "cache"
        with explained(self.home):
            self._prepare()

    @staticmethod
    def default() -> "Store":
        """The user's store: ``COREBOX_HOME``, else the XDG data directory."""
        return Store(Store.default_home())

    @staticmethod
    def default_home() -> Path:
        """Where the user's store is, or would be."""
        home = os.environ.get("COREBOX_HOME")
        return Path(home) if home else data_folder()

    def _prepare(self) -> None:
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.home.chmod(0o700)
        read_format(self.home)
        roots = self.home / "roots"
        for directory in (self.oci, self._blobs.parent, self._blobs, self._records, roots, self._cache):
            directory.mkdir(mode=0o700, exist_ok=True)
        us = this_process(self.home)
        self._scratch = scratch_of(self.home / "tmp", us)
        self._locks = Locks(self.home, us, self._scratch)
        self._roots = Roots(roots, self._scratch, self._locks)
        self._catalogue = Catalogue(self.home, self.oci, self._locks, self._scratch)

    # Blobs

    def blob_path(self, digest: str) -> Path:
        """Where the blob lies, whether it is there or not; an InputError ``image-damaged`` if this is not a digest."""
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
        with explained(self.home):
            if not path.exists():
                raise InputError("missing-blob", f"the store does not have the layer {digest}", _AGAIN)
            with path.open("rb") as blob:
                while block := blob.read(1 << 20):
                    found.update(block)
            if found.hexdigest() != digest[7:]:
                path.unlink()
                message = f"the store's copy of {digest} was damaged and has been removed"
                raise InputError("image-damaged", message, _AGAIN)

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
            self.remember(_WHOLE, digest, {"stat": stat_of([file])}, [digest])

    def whole_blob(self, digest: str) -> Path:
        """Where the blob lies; it is looked through if that has not been done since it was written.

        Raises:
            InputError: ``missing-blob``, ``image-damaged``.
        """
        path = self.blob_path(digest)
        with explained(self.home):
            if not path.exists() or self.recall(_WHOLE, digest) != {"stat": stat_of([path])}:
                self.require_whole(digest)
                self.remember(_WHOLE, digest, {"stat": stat_of([path])}, [digest])
        return path

    def put_json(self, value: Mapping[str, object], media_type: str) -> Descriptor:
        """Store ``value`` as canonical JSON: sorted keys, no spaces, ASCII."""
        with self.writer() as writer:
            writer.write(json.dumps(value, sort_keys=True, separators=(",", ":")).encode("ascii"))
            return writer.commit(media_type)

    @contextlib.contextmanager
    def adding(self) -> Iterator[None]:
        """Keep ``prune`` of other processes from removing blobs that no image refers to yet."""
        with explained(self.home), self._locks.shared(_BLOBS):
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
        """List an image whose manifest, config and layers are in the store already, e.g. as pulled.

        An image that is there keeps the manifest that it has.
        """
        with explained(self.home):
            found = self._catalogue.put(manifest, tuple(tags))
            os.utime(self.blob_path(found.manifest_digest))  # it may have lain there for long
        for layer in found.layers:
            if not self.has(layer.digest):  # another machine has pruned it, whose locks we do not see
                raise InputError("missing-blob", f"the store does not have the layer {layer.digest}", _AGAIN)
        return found

    def images(self) -> list[StoredImage]:
        """All images, by name.

        Raises:
            InputError: ``image-damaged``.
        """
        with explained(self.home):
            return self._catalogue.images()

    def names(self) -> list[str]:
        """What the images are called, and the IDs of those without a name."""
        with explained(self.home):
            return self._catalogue.names()

    def look_up(self, reference: str) -> StoredImage | None:
        """The image that is called so, see ``find``; None if there is none.

        Raises:
            InputError: ``ambiguous-image``, ``image-damaged``.
        """
        with explained(self.home):
            return self._catalogue.look_up(reference)

    def find(self, reference: str) -> StoredImage:
        """The image that is called so.

        ``reference`` is a name (``:latest`` may be left out), an ID or digest, or the beginning of one; also the
        digest of what it was made from, if there is one image of that.

        Raises:
            InputError: ``no-such-image``, ``ambiguous-image``, ``image-damaged``.
        """
        with explained(self.home):
            image = self._catalogue.find(reference)
            os.utime(self.blob_path(image.manifest_digest))
        return image

    def tag(self, image: StoredImage, tag: str) -> None:
        """Give the image one more name, which another image loses."""
        with explained(self.home):
            self._catalogue.tag(image, tag)

    def untag(self, tag: str) -> None:
        """Take a name away; the image stays until it is pruned."""
        with explained(self.home):
            self._catalogue.untag(tag)

    def remove(self, *images: StoredImage) -> int:
        """Take the images with all their names out of the index; their blobs go with the next ``prune``.

        The parts of a core go at once; returns their bytes.
        """
        with explained(self.home):
            self._catalogue.remove([image for image in images if not image.is_partial])
            return sum(self._remove_partial(image) for image in images if image.is_partial)

    # Roots

    def laid_out(self, key: str, lay_out: Callable[[Path], None]) -> Path:
        """A directory that ``lay_out`` fills, made once for each ``key`` and kept as long as this process uses it.

        It goes with the next ``prune``.
        """
        with explained(self.home), self.adding():
            return self._roots.made([key], lay_out)

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

    def remember(self, kind: str, key: str, value: Json, needs: Sequence[str] = ()) -> None:
        """Note ``value`` under ``kind`` (a plain name) and ``key`` (any text).

        The note goes when a digest that it ``needs`` is of no blob, and of nothing that an image was made from; also
        when it was not used for half a year.
        """
        with explained(self.home):
            records.remember(self._records, kind, key, value, needs, self._scratch)

    def recall(self, kind: str, key: str) -> Json | None:
        """What was noted, or None."""
        return records.recall(self._records, kind, key)

    def notes(self, kind: str) -> list[Json]:
        """All that was noted under ``kind``."""
        return records.all_notes(self._records, kind)

    def forget(self, kind: str, is_stale: Callable[[Json], bool]) -> None:
        """Drop the notes of ``kind`` that are stale."""
        with explained(self.home):
            records.forget(self._records, kind, is_stale)

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

    # Parts of blobs

    def partial_path(self, digest: str) -> Path:
        """Where parts of a blob are kept that is not there as a whole, see ``PartialBlob``."""
        return self.cached(f"{_PARTIAL}/{self.blob_path(digest).name}")

    def put_partial(self, image: StoredImage) -> None:
        """Note an image of which ``partial_path`` has parts of the core: it has no manifest here, and one name."""
        self.remember(partialimages.KIND, image.tags[0], partialimages.to_note(image))

    def partial_images(self) -> list[StoredImage]:
        """Those of which parts are still there; the size of their core is that of the parts."""
        noted = map(partialimages.from_note, self.notes(partialimages.KIND))
        with explained(self.home):
            return sorted(partialimages.present(noted, self._cache / _PARTIAL), key=lambda each: each.tags)

    def _remove_partial(self, image: StoredImage) -> int:
        self.forget(partialimages.KIND, lambda note: partialimages.from_note(note).tags == image.tags)
        core = partialimages.core_of(image)
        remove_partial(self._cache / _PARTIAL / core.digest[7:])
        return core.size

    # Keeping house

    def plan_prune(
        self, older_than: float | None = None, size_limit: int | None = None, pinned: Iterable[str] = ()
    ) -> Pruned:
        """What ``prune`` would remove now."""
        with explained(self.home):
            images = [*self._catalogue.readable(), *self.partial_images()]
            gone = keep.to_remove(images, self._used, older_than, size_limit)
            freed = sum(partialimages.core_of(image).size for image in gone if image.is_partial)
            left = [image for image in images if image not in gone]
            return Pruned(tuple(gone), freed + self._sweep(left, pinned, dry=True))

    def prune(
        self, older_than: float | None = None, size_limit: int | None = None, pinned: Iterable[str] = ()
    ) -> Pruned:
        """Remove nameless images, those not used for ``older_than`` seconds, and the least recently used for the limit.

        ``size_limit`` is in bytes of all layers; ``pinned`` are layers that stay although no image needs them. Waits
        for builds of other processes to end. What ``sweep`` removes goes too.
        """
        with explained(self.home), self._locks.exclusive(_BLOBS):
            self._catalogue.drop_damaged()
            gone = keep.to_remove(self._all_images(), self._used, older_than, size_limit)
            freed = self.remove(*gone)
            return Pruned(tuple(gone), freed + self._sweep(self._all_images(), pinned))

    def sweep(self, pinned: Iterable[str] = ()) -> int:
        """Remove blobs that no image refers to, roots that no process uses, and notes and files of what is gone.

        Returns the bytes freed; ``pinned`` are layers that stay all the same.
        """
        with explained(self.home), self._locks.exclusive(_BLOBS):
            self._catalogue.drop_damaged()
            return self._sweep(self._all_images(), pinned)

    def _all_images(self) -> list[StoredImage]:
        return [*self.images(), *self.partial_images()]

    def _sweep(self, images: Sequence[StoredImage], pinned: Iterable[str], *, dry: bool = False) -> int:
        """Remove the blobs, roots and notes that no image needs; return the bytes freed of the former."""
        needed = {digest[7:] for image in images for digest in keep.blobs_of(image)} | {each[7:] for each in pinned}
        if not dry:
            sources = {image.labels.get(MADE_FROM, "") for image in images}
            records.prune(self._records, {*sources, *(f"sha256:{digest}" for digest in needed)})
        freed = 0
        for blob in self._blobs.iterdir():
            if blob.name not in needed:
                freed += blob.stat().st_size
                if not dry:
                    blob.unlink()
        return freed + self._roots.prune(needed, dry=dry) + remove_stale(self._cache, _KEPT, dry=dry)

    def _used(self, image: StoredImage) -> float:
        """When the image was last built, pulled or opened: the time of its manifest's file, or of its core's parts."""
        core = self._cache / _PARTIAL / partialimages.core_of(image).digest[7:] if image.is_partial else None
        return (core or self.blob_path(image.manifest_digest)).stat().st_mtime
