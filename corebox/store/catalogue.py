"""The images that a store lists: found by name, ID or digest, and changed by one process at a time."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from corebox.errors import InputError
from corebox.store.files import write_atomically
from corebox.store.images import is_readable, no_such_image, read_image
from corebox.store.index import LAYOUT, Facts, Index, Listed, read_index, write_index
from corebox.store.locks import Locks
from corebox.store.values import MADE_FROM, Descriptor, StoredImage, image_damaged, is_digest
from corebox.store.version import FORMAT, read_format, write_format

#: The name of the lock.
_INDEX = "index"
#: The shortest beginning of an ID that `find` takes, as Docker's; and how many images that may begin so are counted.
_MIN_LENGTH, _MAX_NAMED = 4, 10
#: Seconds for which a shared file system may show what was before, and between two looks.
_STALE, _POLL = 3.0, 0.05


class Catalogue:
    """The index of the layout ``oci`` in the store ``home``; ``scratch`` is a directory on the same disk."""

    def __init__(self, home: Path, oci: Path, locks: Locks, scratch: Path) -> None:
        self._home = home
        self._oci = oci
        self._path = oci / "index.json"
        self._locks = locks
        self._scratch = scratch

    def images(self) -> list[StoredImage]:
        """All images, by name; an InputError ``image-damaged`` if one cannot be read."""
        listed = sorted(self._current().images(), key=lambda each: (each.tags[:1] or ("",), each.manifest.digest))
        return [self._read(each) for each in listed]

    def names(self) -> list[str]:
        """What images are called, and the IDs of those without a name; no manifest is read for it."""
        listed = self._current().images()
        return sorted(name for each in listed for name in each.tags or (each.facts.image_id,))

    def readable(self) -> list[StoredImage]:
        """All images but the damaged ones."""
        return [self._read(each) for each in self._current().images() if is_readable(self._oci, each.manifest)]

    def find(self, reference: str) -> StoredImage:
        """See ``Store.find``."""
        image = self.look_up(reference)
        if image is None:
            raise no_such_image(reference, (tag for each in self._current().images() for tag in each.tags))
        return image

    def look_up(self, reference: str) -> StoredImage | None:
        """See ``Store.look_up``."""
        index = self._current()
        named = index.tagged(reference) or index.tagged(f"{reference}:latest")
        digits = reference.removeprefix("sha256:")
        search = not named and len(digits) >= _MIN_LENGTH and not set(digits) - set("0123456789abcdef")
        found = [named] if named else index.beginning(digits, _MAX_NAMED) if search else []
        if len(found) > 1:
            many = f"at least {_MAX_NAMED}" if len(found) == _MAX_NAMED else str(len(found))
            raise InputError("ambiguous-image", f"{reference} names {many} images", "give more digits of the ID")
        return self._read(found[0]) if found else None

    def _read(self, listed: Listed) -> StoredImage:
        image = read_image(self._oci, listed.manifest, listed.tags)
        if listed.facts.image_id not in (image.image_id, listed.manifest.digest):
            raise image_damaged(f"{listed.manifest.digest} is another image than index.json says")
        return image

    def put(self, manifest: Descriptor, tags: tuple[str, ...]) -> StoredImage:
        """List the image, with these names too; one that is there keeps the manifest that it has."""
        image = read_image(self._oci, manifest, ())
        new = Listed(manifest._replace(annotations={}), _facts(image), tags)
        self._change(lambda index: index.with_image(new, partial(is_readable, self._oci)))
        return self.find(image.image_id)

    def tag(self, image: StoredImage, tag: str) -> None:
        """Give an image that is listed one more name, which another image loses."""

        def tagged(index: Index) -> Index:
            same = next(iter(index.beginning(image.image_id[7:], 1)), None)
            return index.with_image(same._replace(tags=(tag,)), lambda _: True) if same else index

        self._change(tagged)

    def untag(self, tag: str) -> None:
        """Take a name away; the image stays."""
        self._change(lambda index: index.without_tag(tag))

    def remove(self, images: list[StoredImage]) -> None:
        """Take images with all their names away."""
        gone = [each for image in images for each in (image.image_id, image.manifest_digest)]
        self._change(lambda index: index.without_images(gone))

    def drop_damaged(self) -> None:
        """Take images away that cannot be read, so that they do not stand in the way of the others."""

        def whole(index: Index) -> Index:
            damaged = (each for each in index.images() if not is_readable(self._oci, each.manifest))
            return index.without_images(each.facts.image_id for each in damaged)

        self._change(whole)

    def _current(self) -> Index:
        """The index; one that somebody else wrote, or an older corebox, becomes ours first."""
        index = self._look()
        if index.token or not index.text:
            return index
        with self._locks.exclusive(_INDEX):
            self._write(self._newest())
            return self._look()

    def _look(self) -> Index:
        """The index as the file says it.

        A file system that two machines share may show new bytes with an old length for a moment.
        """
        until = time.monotonic() + _STALE
        while True:
            try:
                return read_index(self._path, self._describe)
            except InputError:  # noqa: PERF203  # once for each look
                if time.monotonic() > until:
                    raise
                time.sleep(_POLL)

    def _newest(self) -> Index:
        """The index; we hold its lock, and write the next one.

        Whoever wrote the last one has left a note that the one before is replaced. If we still read that after a
        while, its writer was killed in between.
        """
        until = time.monotonic() + _STALE
        while True:
            index = self._look()
            if not index.token or not self._locks.replaced(index.token) or time.monotonic() > until:
                return index
            time.sleep(_POLL)

    def _describe(self, manifest: Descriptor) -> Facts:
        """What the index should say of an image; one that cannot be read is on its own."""
        try:
            return _facts(read_image(self._oci, manifest, ()))
        except InputError:
            return Facts(manifest.digest)

    def _change(self, change: Callable[[Index], Index]) -> None:
        with self._locks.exclusive(_INDEX):
            # Nothing to change is the usual case, and needs no note.
            index = self._look()
            changed = change(index)
            if changed.text != index.text:
                is_old = bool(index.token) and self._locks.replaced(index.token)
                self._write(change(self._newest()) if is_old else changed)

    def _write(self, index: Index) -> None:
        """Replace the index, and make the store one of this version with the first that we write."""
        is_ours = read_format(self._home) == FORMAT
        if not is_ours:
            write_atomically(self._oci / "oci-layout", LAYOUT, self._scratch)
        write_index(self._path, index, self._scratch)
        if not is_ours:
            write_format(self._home, self._scratch)


def _facts(image: StoredImage) -> Facts:
    source = image.labels.get(MADE_FROM, "")
    return Facts(image.image_id, source if is_digest(source) else "")
