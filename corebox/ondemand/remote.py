"""A core out of a blob in a registry: ranges of it are fetched, and kept for the next session and for a later pull."""

from pathlib import Path

from corebox.errors import CoreboxError
from corebox.files.seekable import Frame, read_table
from corebox.ondemand.framed import FramedCore, first_content
from corebox.ondemand.source import BlockError
from corebox.ondemand.wanted import WantedCore
from corebox.registry.access import Access
from corebox.registry.client import Client
from corebox.registry.ranges import BlobRanges, RangesRefused
from corebox.registry.reference import Reference
from corebox.store.partial import PartialBlob
from corebox.store.values import Descriptor

#: Seconds for a part: less than who reads waits for a block.
_TIME_LIMIT, _READ = 45.0, 15.0
_AT_ONCE, _AHEAD = 6, 8


class RemoteCore:
    """The compact core in a blob; what has been fetched of it is in ``kept``."""

    at_once, ahead = _AT_ONCE, _AHEAD

    def __init__(self, blob: "KeptBlob", size: int, wanted: WantedCore) -> None:
        table = read_table(blob.read_at, size)
        if table is None:
            raise BlockError("the blob has no table of its frames: another program has compressed it", lasting=True)
        place, digests = wanted.locate(lambda: first_content(table, lambda frame: blob.read_at(*frame[2:])))
        self.size = place.size
        self._near = FramedCore(table, place, digests, blob.near)
        self._far = FramedCore(table, place, digests, blob.fetch)

    def read_block(self, index: int) -> bytes:
        """See ``BlockSource``: what is kept is looked at as anything else, and fetched again if it is not right."""
        try:
            return self._near.read_block(index)
        except BlockError:
            return self._far.read_block(index)


class KeptBlob:
    """A blob that is fetched in parts, which are kept."""

    def __init__(self, ranges: BlobRanges, kept: PartialBlob) -> None:
        self._ranges = ranges
        self._kept = kept

    def read_at(self, offset: int, size: int) -> bytes:
        """Some bytes of the blob, fetched if they are not kept."""
        held = self._kept.read(offset, size)
        if held is None:
            held = self._ranges.read_at(offset, size)
            self._kept.write(offset, held)
        return held

    def near(self, frame: Frame) -> bytes:
        """A frame that is kept."""
        held = self._kept.read(frame.stored_offset, frame.stored_size)
        if held is None:
            raise BlockError("it is not kept", lasting=False)
        return held

    def fetch(self, frame: Frame) -> bytes:
        """A frame from the registry."""
        try:
            data = self._ranges.read_at(frame.stored_offset, frame.stored_size)
        except RangesRefused as error:
            raise BlockError(str(error), lasting=False) from error
        except CoreboxError as error:
            raise BlockError(error.message, lasting=False) from error
        self._kept.write(frame.stored_offset, data)
        return data


def open_remote(reference: Reference, access: Access, blob: Descriptor, kept: Path, wanted: WantedCore) -> RemoteCore:
    """The core in a blob of the repository of ``reference``.

    Raises:
        BlockError: the blob has no table of its frames, or one of another core.
        RangesRefused: parts of it are not to be had.
        HostError: ``registry-unreachable``, ``registry-untrusted``, ``registry-refused``, ``registry-failed``.
        InputError: ``bundle-damaged``.
    """
    client = Client(reference, access, "pull", read_timeout=_READ)
    ranges = BlobRanges(client, blob, _TIME_LIMIT)
    return RemoteCore(KeptBlob(ranges, PartialBlob(kept)), blob.size, wanted)
