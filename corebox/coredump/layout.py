"""The layout of an original core beside its compact one, and the original made again from the two."""

import base64
import binascii
import os
import zlib
from typing import Dict, List, NamedTuple, Sequence, Tuple

from corebox.coredump import faults
from corebox.coredump.disk import open_regular
from corebox.coredump.sending import copy_range, write_all
from corebox.coredump.values import Extent
from corebox.errors import HostError

VERSION = 1
LONGEST_HEAD = 256 << 20


class Run(NamedTuple):
    """``size`` bytes that are at ``original`` in the original core and at ``compact`` in the compact one."""

    original: int
    compact: int
    size: int


class Layout(NamedTuple):
    """What the compact core lost: the original's first bytes, its size, and where its bytes were stored."""

    size: int
    head: bytes
    extents: Tuple[Extent, ...]
    runs: Tuple[Run, ...]


def describe_layout(layout: Layout) -> Dict[str, object]:
    """The JSON object of a layout; extents and runs are flat lists of numbers."""
    return {
        "version": VERSION,
        "size": layout.size,
        "head": base64.b64encode(zlib.compress(layout.head, 6)).decode("ascii"),
        "extents": [number for extent in layout.extents for number in extent],
        "runs": [number for run in layout.runs for number in run],
    }


def parse_layout(data: Dict[str, object]) -> Layout:
    """The layout of a JSON object; raises InputError layout-damaged."""
    if data.get("version") != VERSION:
        raise faults.damaged_layout("its version is {!r}".format(data.get("version")))
    extents = _rows(data, "extents", 2)
    runs = [Run(*row) for row in _rows(data, "runs", 3)]
    size = data.get("size")
    if not isinstance(size, int) or not 0 <= size < 1 << 63:
        raise faults.damaged_layout("the size of the original makes no sense")
    layout = Layout(size, _head(data.get("head")), tuple(Extent(*row) for row in extents), tuple(runs))
    _check_order([(e.offset, e.size) for e in layout.extents], size)
    _check_order([(r.original, r.size) for r in layout.runs], size)
    return layout


def restore(compact_path: str, layout: Dict[str, object], out_path: str) -> None:
    """Write the original core to ``out_path``, a new file: the same bytes, and holes where the original had them.

    Raises:
        InputError: ``layout-damaged``, ``no-such-file``, ``not-a-file``.
        HostError: ``cannot-read``, ``cannot-write`` (also when ``out_path`` exists).
    """
    wanted = parse_layout(layout)
    source = open_regular(compact_path)
    try:
        if any(run.compact + run.size > os.fstat(source).st_size for run in wanted.runs):
            raise faults.damaged_layout("the compact core is too short")
        target = os.open(out_path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            _fill(source, wanted, target)
        except BaseException:
            os.unlink(out_path)
            raise
        finally:
            os.close(target)
    except OSError as error:
        hint = "choose a new file on a disk with enough space: df -h, ls -l"
        raise HostError("cannot-write", "cannot write {}: {}".format(out_path, error.strerror), hint) from error
    finally:
        os.close(source)


def _fill(source: int, wanted: Layout, target: int) -> None:
    os.ftruncate(target, wanted.size)
    runs = iter(wanted.runs)
    run = next(runs, None)
    for extent in wanted.extents:
        position, end = extent.offset, extent.offset + extent.size
        while position < end:
            os.lseek(target, position, os.SEEK_SET)
            if position < len(wanted.head):
                stop = min(end, len(wanted.head))
                write_all(target, wanted.head[position:stop])
                position = stop
                continue
            while run is not None and run.original + run.size <= position:
                run = next(runs, None)
            if run is None or run.original > position:
                raise faults.damaged_layout("byte {} of the original is nowhere".format(position))
            stop = min(end, run.original + run.size)
            copy_range(source, run.compact + position - run.original, stop - position, target)
            position = stop


def _rows(data: Dict[str, object], key: str, width: int) -> List[Sequence[int]]:
    numbers = data.get(key)
    if not isinstance(numbers, list) or len(numbers) % width:
        raise faults.damaged_layout("{} is no list of rows".format(key))
    if not all(type(number) is int and number >= 0 for number in numbers):
        raise faults.damaged_layout("{} holds something else than numbers".format(key))
    return [numbers[at : at + width] for at in range(0, len(numbers), width)]


def _head(text: object) -> bytes:
    try:
        packed = base64.b64decode(text if isinstance(text, str) else "", validate=True)
        unpacker = zlib.decompressobj()
        head = unpacker.decompress(packed, LONGEST_HEAD)
    except (binascii.Error, zlib.error, ValueError) as error:
        raise faults.damaged_layout("the original's headers cannot be unpacked") from error
    if not unpacker.eof:
        raise faults.damaged_layout("the original's headers are cut or too long")
    return head


def _check_order(ranges: Sequence[Tuple[int, int]], size: int) -> None:
    end = 0
    for start, length in ranges:
        if start < end or start + length > size:
            raise faults.damaged_layout("its ranges overlap or leave the file")
        end = start + length
