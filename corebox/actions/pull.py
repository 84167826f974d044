"""Fetch an image into the store: from a registry, an engine, a folder or an archive."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from corebox.actions.subject import QUIETLY, Pulling
from corebox.engine.choose import connect
from corebox.errors import InputError
from corebox.registry.access import Access
from corebox.registry.compress import compression_of, decompress
from corebox.registry.layout import DockerArchive, Folder, OciLayout, opened_archive
from corebox.registry.places import OCI, Place, parse_place
from corebox.registry.pull import Pulled, pull_image, take_image
from corebox.registry.push import Moved
from corebox.registry.reference import is_name, parse_reference, repository_name, within
from corebox.store.store import Store
from corebox.store.values import MADE_FROM, Json, StoredImage, is_digest

_CHUNK = 1 << 20


def pull(store: Store, text: str, pulling: Pulling = QUIETLY) -> Pulled:
    """Fetch the image that ``text`` names, also if the store has one of that name.

    Raises:
        UsageError: ``bad-reference``.
        InputError: ``no-such-file``, ``no-such-image``, and those of ``pull_image`` and ``take_image``.
        HostError: ``no-engine``, ``engine-failed``, and those of ``pull_image`` and ``take_image``.
    """
    place = parse_place(text)
    if place is None:
        reference = parse_reference(within(pulling.registry, text))
        return pull_image(store, reference, Access(pulling.ca_file, pulling.plain_http), pulling.fetching)
    found = place
    if place.engine is not None:
        image_id = connect(place.engine).image_id(place.name)
        known = _known(store, place, image_id)
        if known is not None:
            return known
        found = place._replace(name=image_id)  # whatever the name stands for by then
    with opened_source(store, found) as source:
        names = _Names(store, place, source.names())
        return take_image(store, source, names, pulling.fetching)


def _known(store: Store, place: Place, image_id: str) -> Pulled | None:
    """The image of an engine if the store has it, so that it need not be saved again."""
    image = store.look_up(image_id)
    if image is None or not all(store.has(layer.digest) for layer in image.layers):
        return None
    if not is_digest(place.name):
        store.tag(image, place.name)
    moved = tuple(Moved(layer.kind, layer.digest, layer.size, "there") for layer in image.layers)
    return Pulled(store.find(image.image_id), moved, 0)


class _Names:
    """What an image from elsewhere is called here: what it is called there, but no name that another image has.

    Only a name that the user wrote himself is taken from another image.
    """

    def __init__(self, store: Store, place: Place, there: list[str]) -> None:
        self._store = store
        self._wanted = place.name if place.path is None and not is_digest(place.name) else ""
        self._there = there

    def __call__(self, config: Json) -> list[str]:
        labels = StoredImage("", "", (), (), config).labels
        own = f"{repository_name(labels.get('io.corebox.executable', ''))}:{labels.get(MADE_FROM, '')[7:19]}"
        free = [name for name in (*self._there, own) if self._is_free(name)]
        return [self._wanted] if self._wanted else free

    def _is_free(self, name: str) -> bool:
        return is_name(name) and self._store.look_up(name) is None


@contextlib.contextmanager
def opened_source(store: Store, place: Place) -> Iterator[OciLayout | DockerArchive]:
    """The image that a place names, as a source.

    Raises:
        InputError: ``not-a-layout``, ``no-such-image``, ``ambiguous-image``, ``image-damaged``, ``cannot-read``.
        HostError: ``no-engine``, ``engine-failed``.
    """
    if place.kind == OCI and place.path:
        yield OciLayout(Folder(place.path), place.name)
        return
    with store.workplace() as work:
        if place.engine is not None:
            path, name = work / "saved.tar", ""
            connect(place.engine).save(place.name, path)
        else:
            path, name = _plain(Path(str(place.path)), work), place.name
        with opened_archive(path, place.text, name) as source:
            yield source


def _plain(path: Path, work: Path) -> Path:
    """The archive, unpacked from its compression."""
    try:
        with path.open("rb") as file:
            kind, pieces = compression_of(iter(lambda: file.read(_CHUNK), b""), "")
            if not kind:
                return path
            plain = work / "plain.tar"
            with plain.open("xb") as out:
                for piece in decompress(pieces, kind):
                    out.write(piece)
            return plain
    except OSError as error:
        hint = f"check owner and permissions: ls -l {path}"
        raise InputError("cannot-read", f"cannot read {path}: {error.strerror}", hint) from error
