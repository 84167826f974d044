"""Which core is served: where it lies in what holds it, and the digests of its blocks."""

import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from corebox.bundle.blocks import BlockDigests, parse_digests
from corebox.bundle.corelayer import CORE_FILE
from corebox.files.boundedtar import BoundedTar
from corebox.files.extents import Extent
from corebox.ondemand.source import BlockError


class WantedCore(NamedTuple):
    """The core to serve; ``place`` is None for the core of a layer, whose tar says where it is."""

    place: Extent | None
    digests: Path

    def locate(self, begin: Callable[[], bytes]) -> tuple[Extent, BlockDigests]:
        """Its place and its digests; ``begin`` reads the beginning of what holds it.

        Raises:
            BlockError: that is not a layer with a core.
            InputError: ``bundle-damaged`` for digests of another core.
        """
        place = self.place or core_in_layer(begin())
        return place, parse_digests(self.digests.read_bytes(), place.size)


def core_in_layer(begin: bytes) -> Extent:
    """Where in a layer's tar the core lies, of which the beginning is given.

    Raises:
        BlockError: it is not a layer with a core.
    """
    try:
        with BoundedTar.open(fileobj=io.BytesIO(begin), mode="r:") as archive:
            for member in archive:
                if member.name == CORE_FILE and member.isreg():
                    return Extent(member.offset_data, member.size)
    except tarfile.TarError:
        pass
    raise BlockError("it is not a layer that holds a core", lasting=True)
