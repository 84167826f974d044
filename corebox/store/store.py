"""The store's front: blobs, images, unpacked roots, notes, and keeping house."""

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from corebox.errors import InputError
from corebox.files.temporary import temporary_directory
from corebox.store import index, keep, records
from corebox.store.blobs import BlobWriter
from corebox.store.files import explained, remove_stale, stat_of, write_atomically
from corebox.store.images import is_readable, no_such_image, read_image
from corebox.store.locks import Locks, this_process
from corebox.store.lookup import Lookup, lookup_text, open_lookup, write_lookup
from corebox.store.roots import Roots
from corebox.store.values import (
    CONFIG_TYPE,
    IDENTITY,
    MANIFEST_TYPE,
    Descriptor,
    Json,
    Layer,
    Pruned,
    StoredImage,
    is_digest,
)
from corebox.store.version import FORMAT, read_format, scratch_of, write_format
from corebox.userfolders import data_folder

_KEPT = 7 * 86400.0  # seconds that a cached file is kept after its last use
#: Notes under the identity of a bundle, which go with its last image.
_OF_CRASHES = "history"
#: Notes under the digest of a blob, which go with it: how its file was when its bytes were right; where it came from.
_WHOLE, ORIGIN = "whole", "origin"
#: The names of locks.
_INDEX, _BLOBS = "index", "blobs"
#: The shortest beginning of an ID that `find` takes, as Docker's; and how many images that may begin so are counted.
_SHORTEST, _MOST_NAMED = 4, 10
#: Seconds for which a shared file system may show what was before, and between two looks.
_STALE, _POLL = 3.0, 0.05
#: Which index.json a store has before its first image.
_NO_INDEX = "none"
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
        self._index = self.oci / "index.json"
        self._lookup_file = self.home / "lookup"
        self._records = self.home / "records"
        self._cache = self.home / "cache"
        with explained(self.home):
            self._prepare()

    @staticmethod
    def default() -> "Store":
        """The user's store: ``COREBOX_HOME``, else the XDG data directory."""
        home = os.environ.get("COREBOX_HOME")
        return Store(Path(home) if home else data_folder())

    def _prepare(self) -> None:
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.home.chmod(0o700)
        known = read_format(self.home)
        roots = self.home / "roots"
        for directory in (self.oci, self._blobs.parent, self._blobs, self._records, roots, self._cache):
            directory.mkdir(mode=0o700, exist_ok=True)
        us = this_process(self.home)
        self._scratch = scratch_of(self.home / "tmp", us)
        self._locks = Locks(self.home, us, self._scratch)
        self._roots = Roots(roots, self._scratch, self._locks)
        if known != FORMAT and self._index.exists():
            with self._locks.exclusive(_INDEX):
                # Version 1 listed an image once for each manifest that led to it.
                self._write_index(self._newest_index())

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
        image = read_image(self.oci, manifest, ())
        new = index.Listed(manifest._replace(annotations={}), _facts(image), tuple(tags))
        self._change(lambda listed: index.with_image(listed, new, partial(is_readable, self.oci)))
        found = self.find(image.image_id)
        for layer in found.layers:
            if not self.has(layer.digest):  # another machine has pruned it, whose locks we do not see
                raise InputError("missing-blob", f"the store does not have the layer {layer.digest}", _AGAIN)
        return found

    def images(self) -> list[StoredImage]:
        """All images, by name.

        Raises:
            InputError: ``image-damaged``.
        """
        listed = sorted(self._listed(), key=lambda each: (each.tags[:1] or ("",), each.manifest.digest))
        return [read_image(self.oci, each.manifest, each.tags) for each in listed]

    def look_up(self, reference: str) -> StoredImage | None:
        """The image that is called so, see ``find``; None if there is none.

        Raises:
            InputError: ``ambiguous-image``, ``image-damaged``.
        """
        try:
            return self._look_up(reference, self._lookup())
        except ValueError:  # the lookup's lines are damaged, or say what is not so
            self._lookup_file.unlink(missing_ok=True)
            return self._look_up(reference, self._lookup())

    def _look_up(self, reference: str, lookup: Lookup) -> StoredImage | None:
        named = lookup.tagged(reference) or lookup.tagged(f"{reference}:latest")
        digits = reference.removeprefix("sha256:")
        search = not named and len(digits) >= _SHORTEST and not set(digits) - set("0123456789abcdef")
        found = [named] if named else lookup.beginning(digits, _MOST_NAMED) if search else []
        if len(found) > 1:
            many = f"at least {_MOST_NAMED}" if len(found) == _MOST_NAMED else str(len(found))
            raise InputError("ambiguous-image", f"{reference} names {many} images", "give more digits of the ID")
        if not found:
            return None
        image = read_image(self.oci, found[0].manifest, found[0].tags)
        if image.image_id != found[0].facts.image_id:
            raise ValueError(f"{image.manifest_digest} is another image than the lookup says")
        return image

    def find(self, reference: str) -> StoredImage:
        """The image that is called so.

        ``reference`` is a name (``:latest`` may be left out), an ID or digest, or the beginning of one; also the
        identity of a bundle, if there is one image of it.

        Raises:
            InputError: ``no-such-image``, ``ambiguous-image``, ``image-damaged``.
        """
        image = self.look_up(reference)
        if image is None:
            raise no_such_image(reference, (tag for each in self._listed() for tag in each.tags))
        with explained(self.home):
            self._touch(image.manifest_digest)
        return image

    def tag(self, image: StoredImage, tag: str) -> None:
        """Give the image one more name, which another image loses."""
        readable = partial(is_readable, self.oci)

        def tagged(listed: list[index.Listed]) -> list[index.Listed]:
            same = next((each for each in listed if each.facts.image_id == image.image_id), None)
            return index.with_image(listed, same._replace(tags=(tag,)), readable) if same else listed

        self._change(tagged)

    def untag(self, tag: str) -> None:
        """Take a name away; the image stays until it is pruned."""
        self._change(lambda listed: index.without_tag(listed, tag))

    def remove(self, *images: StoredImage) -> None:
        """Take the images with all their names out of the index; their blobs go with the next ``prune``."""
        gone = {image.image_id for image in images}
        self._change(lambda listed: [each for each in listed if each.facts.image_id not in gone])

    # The index

    def _listed(self) -> list[index.Listed]:
        return self._read_index()[0]

    def _read_index(self) -> tuple[list[index.Listed], str]:
        """What the index lists, and its token.

        A file system that two machines share may show new bytes with an old length for a moment.
        """
        until = time.monotonic() + _STALE
        while True:
            try:
                return index.read_index(self._index, self._describe)
            except InputError:  # noqa: PERF203  # once for each look
                if time.monotonic() > until:
                    raise
                time.sleep(_POLL)

    def _newest_index(self) -> list[index.Listed]:
        """What the index lists; we hold its lock, and write the next one.

        Whoever wrote the last one has left a note that the one before is replaced. If we still read that after a
        while, its writer was killed in between.
        """
        until = time.monotonic() + _STALE
        while True:
            listed, token = self._read_index()
            if not token or not self._locks.replaced(token) or time.monotonic() > until:
                return listed
            time.sleep(_POLL)

    def _describe(self, manifest: Descriptor) -> index.Facts:
        """What the index should say of an image; one that cannot be read is on its own."""
        try:
            return _facts(read_image(self.oci, manifest, ()))
        except InputError:
            return index.Facts(manifest.digest)

    def _change(self, change: Callable[[list[index.Listed]], list[index.Listed]]) -> None:
        with explained(self.home), self._locks.exclusive(_INDEX):
            # Nothing to change is the usual case, and needs no note.
            listed, token = self._read_index()
            changed = change(listed)
            if changed != listed:
                is_old = bool(token) and self._locks.replaced(token)
                self._write_index(change(self._newest_index()) if is_old else changed)

    def _write_index(self, images: list[index.Listed]) -> None:
        """Replace the index, and make the store one of this version with the first that we write."""
        is_ours = read_format(self.home) == FORMAT
        if not is_ours:
            write_atomically(self.oci / "oci-layout", index.LAYOUT, self._scratch)
        index.write_index(self._index, images, self._scratch)
        write_lookup(self._lookup_file, lookup_text(images, self._stamp()), self._scratch)
        if not is_ours:
            write_format(self.home, self._scratch)

    def _stamp(self) -> str:
        """Which index.json it is."""
        try:
            status = self._index.stat()
        except FileNotFoundError:
            return _NO_INDEX
        return f"{status.st_ino} {status.st_size} {status.st_mtime_ns}"

    def _lookup(self) -> Lookup:
        """The lookup of the index as it is now, made again if need be."""
        with explained(self.home):
            stamp = self._stamp()
            if stamp == _NO_INDEX:
                return Lookup(lookup_text([], stamp))
            found = open_lookup(self._lookup_file, stamp)
            if found is not None:
                return found
            with self._locks.exclusive(_INDEX):
                text = lookup_text(self._listed(), self._stamp())
                write_lookup(self._lookup_file, text, self._scratch)
        return Lookup(text)

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

    # Keeping house

    def plan_prune(
        self, older_than: float | None = None, size_limit: int | None = None, pinned: Iterable[str] = ()
    ) -> Pruned:
        """What ``prune`` would remove now."""
        with explained(self.home):
            images = [
                read_image(self.oci, each.manifest, each.tags)
                for each in self._listed()
                if is_readable(self.oci, each.manifest)
            ]
            gone = keep.to_remove(images, self._used, older_than, size_limit)
            return Pruned(tuple(gone), self._sweep([image for image in images if image not in gone], pinned, dry=True))

    def prune(
        self, older_than: float | None = None, size_limit: int | None = None, pinned: Iterable[str] = ()
    ) -> Pruned:
        """Remove nameless images, those not used for ``older_than`` seconds, and the least recently used for the limit.

        ``size_limit`` is in bytes of all layers; ``pinned`` are layers that stay although no image needs them. Waits
        for builds of other processes to end. What ``sweep`` removes goes too.
        """
        with explained(self.home), self._locks.exclusive(_BLOBS):
            self._drop_damaged()
            gone = keep.to_remove(self.images(), self._used, older_than, size_limit)
            self.remove(*gone)
            return Pruned(tuple(gone), self._sweep(self.images(), pinned))

    def sweep(self, pinned: Iterable[str] = ()) -> int:
        """Remove blobs that no image refers to, roots that no process uses, and notes and files of what is gone.

        Returns the bytes freed; ``pinned`` are layers that stay all the same.
        """
        with explained(self.home), self._locks.exclusive(_BLOBS):
            self._drop_damaged()
            return self._sweep(self.images(), pinned)

    def _drop_damaged(self) -> None:
        """Take images out of the index that cannot be read, so that they do not stand in the way of the others."""
        self._change(lambda listed: [each for each in listed if is_readable(self.oci, each.manifest)])

    def _sweep(self, images: Sequence[StoredImage], pinned: Iterable[str], *, dry: bool = False) -> int:
        """Remove the blobs, roots and notes that no image needs; return the bytes freed of the former."""
        needed = {digest[7:] for image in images for digest in keep.blobs_of(image)} | {each[7:] for each in pinned}
        if not dry:
            identities = (image.labels.get(IDENTITY, "") for image in images)
            records.keep_only(self._records, _OF_CRASHES, identities)
            for kind in (_WHOLE, ORIGIN):
                records.keep_only(self._records, kind, (f"sha256:{digest}" for digest in needed))
        freed = 0
        for blob in self._blobs.iterdir():
            if blob.name not in needed:
                freed += blob.stat().st_size
                if not dry:
                    blob.unlink()
        return freed + self._roots.prune(needed, dry=dry) + remove_stale(self._cache, _KEPT, dry=dry)

    def _touch(self, digest: str) -> None:
        os.utime(self.blob_path(digest))

    def _used(self, image: StoredImage) -> float:
        """When the image was last built, pulled or opened: the time of its manifest's file."""
        return self.blob_path(image.manifest_digest).stat().st_mtime


def _facts(image: StoredImage) -> index.Facts:
    identity = image.labels.get(IDENTITY, "")
    return index.Facts(image.image_id, identity if is_digest(identity) else "")
