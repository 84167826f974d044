"""What a place has of the files of a core, as ``recover`` looks for them."""

from pathlib import Path

import pytest

from corebox.coredump.core import CoreFile
from corebox.errors import CoreboxError
from corebox.locate.places import SymbolOptions, open_places
from corebox.locate.search import Recovered, search
from corebox.store.store import Store


def recover(core: CoreFile, tmp_path: Path, place: str, told: list[str] | None = None) -> Recovered:
    """What was found; the files are in ``root``, and ``told`` gets the warnings."""
    tell = (told if told is not None else []).append
    places = open_places(SymbolOptions((place,)), Store(tmp_path / "home"), {}, tell, lambda _: None)
    root = tmp_path / "root"
    root.mkdir(exist_ok=True)
    return search(core, core.modules, places.sources, root)


def fails(core: CoreFile, tmp_path: Path, place: str) -> CoreboxError:
    """The error with which that ends."""
    with pytest.raises(CoreboxError) as caught:
        recover(core, tmp_path, place)
    return caught.value
