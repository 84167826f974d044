"""Finds an image by tag, digest or bundle in a few reads, however many images there are.

A file of sorted lines, searched by halving. It is made of index.json, names the very index.json that it was made of,
and is made again if that is another one, or if the file is missing or damaged: it saves time and is never the truth.
"""

import hashlib
import json
import mmap
from collections.abc import Iterable, Iterator
from pathlib import Path

from corebox.store.files import write_atomically
from corebox.store.index import Facts, Listed
from corebox.store.values import MANIFEST_TYPE, Descriptor, is_digest

_HEAD = "corebox lookup 1 "
#: What a line is about, its first character: an image's ID, a manifest, the identity of a bundle, a tag's SHA-256.
_IMAGE, _MANIFEST, _BUNDLE, _TAG = "i", "m", "b", "t"


def lookup_text(images: Iterable[Listed], stamp: str) -> bytes:
    """The file for these images; ``stamp`` tells of which index.json they were read."""
    lines = sorted(line for each in images for line in _lines(each))
    return "".join(f"{line}\n" for line in (_HEAD + stamp, *lines)).encode("ascii")


def _lines(listed: Listed) -> Iterator[str]:
    manifest, facts, tags = listed
    key = facts.image_id[7:]
    yield f"{_IMAGE}{key} {json.dumps([manifest.digest, manifest.size, facts.identity, tags])}"
    yield f"{_MANIFEST}{manifest.digest[7:]} {key}"
    if is_digest(facts.identity):
        yield f"{_BUNDLE}{facts.identity[7:]} {key}"
    yield from (f"{_TAG}{_hashed(tag)} {key}" for tag in tags)


def _hashed(tag: str) -> str:
    return hashlib.sha256(tag.encode("utf-8", "surrogatepass")).hexdigest()


def write_lookup(path: Path, text: bytes, scratch: Path) -> None:
    """Replace the file; ``scratch`` is a directory on the same disk."""
    write_atomically(path, text, scratch)


def open_lookup(path: Path, stamp: str) -> "Lookup | None":
    """The file, if it was made of the index.json with this stamp."""
    head = f"{_HEAD}{stamp}\n".encode("ascii")
    try:
        with path.open("rb") as file:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError):  # it is not there, or empty
        return None
    return Lookup(data) if data[: len(head)] == head else None


class Lookup:
    """The lines of the file in ``data``; every method raises ValueError if they are damaged."""

    def __init__(self, data: bytes | mmap.mmap) -> None:
        self._data = data

    def tagged(self, tag: str) -> Listed | None:
        """The image with this name."""
        return next((self._image(value) for _, value in self._from(_TAG + _hashed(tag))), None)

    def beginning(self, digits: str, most: int) -> list[Listed]:
        """At most so many images whose ID or manifest begins so, else those of the bundle that does."""
        keys = [key[1:] for key, _ in self._some(_IMAGE + digits, most)]
        keys += [value for _, value in self._some(_MANIFEST + digits, most)]
        keys = keys or [value for _, value in self._some(_BUNDLE + digits, most)]
        return [self._image(key) for key in dict.fromkeys(keys)][:most]

    def _some(self, beginning: str, most: int) -> list[tuple[str, str]]:
        return [pair for pair, _ in zip(self._from(beginning), range(most), strict=False)]

    def _image(self, key: str) -> Listed:
        for _, value in self._from(_IMAGE + key):
            digest, size, identity, tags = json.loads(value)
            return Listed(Descriptor(MANIFEST_TYPE, digest, size), Facts(f"sha256:{key}", identity), tuple(tags))
        raise ValueError("an image is not in the lookup")

    def _from(self, beginning: str) -> Iterator[tuple[str, str]]:
        """Key and value of each line that begins so."""
        wanted = beginning.encode("ascii")
        start = self._first(wanted)
        while self._data[start : start + len(wanted)] == wanted:
            end = self._data.find(b"\n", start)
            key, _, value = self._data[start:end].decode("ascii").partition(" ")
            yield key, value
            start = end + 1

    def _first(self, wanted: bytes) -> int:
        """Where the first line begins that is not before ``wanted``."""
        low, high = self._data.find(b"\n") + 1, len(self._data)
        while low < high:
            start = self._data.rfind(b"\n", low, (low + high) // 2) + 1 or low
            if self._data[start : start + len(wanted)] < wanted:
                low = self._data.find(b"\n", start) + 1 or high
            else:
                high = start
        return low
