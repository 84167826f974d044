"""Opens the places that a user names: images of the store, of registries and engines, and all that ``locate`` knows."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from corebox.image.opened import open_image
from corebox.locate.folders import Folder
from corebox.locate.index import Index
from corebox.locate.places import Places, SymbolOptions, open_places
from corebox.locate.wantedfiles import Source
from corebox.store.store import Store


class OpenedPlaces(NamedTuple):
    """The places, and a list to which they add what the user should know of them."""

    places: Places
    notices: list[str]


def opened_places(
    store: Store, options: SymbolOptions, progress: Callable[[str], None] = lambda _: None
) -> OpenedPlaces:
    """The places of ``options``; of an image of the store its layers are unpacked, else nothing is read yet.

    Raises:
        InputError: ``no-such-file``, ``cannot-read``, ``not-a-crash`` for an image of the store.
        UsageError: ``bad-debuginfod``, ``bad-reference``.
    """

    def of_image(text: str) -> Source | None:
        if text.partition(":")[0] not in _TRANSPORTS:
            return None
        # What speaks to registries and engines takes long to import.
        from corebox.actions.imageplace import open_image_place  # noqa: PLC0415
        from corebox.registry.access import Access  # noqa: PLC0415

        return open_image_place(store, Access(options.ca_file, options.plain_http), progress, text)

    def of_store(text: str) -> Source | None:
        if not text or "://" in text or Path(text).exists():
            return None
        image = store.look_up(text)
        if image is None:
            return None
        index = Index(store.cached("symbols/index.sqlite3"))
        return Folder(open_image(store, image).root, index, name=text)

    notices: list[str] = []
    places = open_places(options, store, os.environ, notices.append, progress, (of_image, of_store))
    return OpenedPlaces(places, notices)


#: Skopeo's names (containers-transports(5)), of which some are refused with a hint.
_TRANSPORTS = ("docker", "docker-daemon", "docker-archive", "oci", "oci-archive", "containers-storage", "dir")
