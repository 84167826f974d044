"""Opens the places that a user names, images among them."""

import os
from collections.abc import Callable
from typing import NamedTuple

from corebox.locate.places import Places, SymbolOptions, open_places
from corebox.store.store import Store


class OpenedPlaces(NamedTuple):
    """The places, and a list to which they add what the user should know of them."""

    places: Places
    notices: list[str]


def opened_places(
    store: Store, options: SymbolOptions, progress: Callable[[str], None] = lambda _: None
) -> OpenedPlaces:
    """The places of ``options``; nothing is read yet.

    Raises:
        InputError: ``no-such-file``, ``cannot-read``.
        UsageError: ``bad-debuginfod``.
    """
    notices: list[str] = []
    return OpenedPlaces(open_places(options, store, os.environ, notices.append, progress), notices)
