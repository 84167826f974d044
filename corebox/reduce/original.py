"""The layout of an original core beside its compact one, and the original made again from the two."""

import base64
import json
import os
from typing import Dict, NamedTuple, Tuple

from corebox.coredump import faults
from corebox.errors import HostError
from corebox.files.copying import copy_range, write_all
from corebox.files.extents import Extent, data_extents, open_regular
from corebox.reduce.rewrite import Run

VERSION = 1
MAX_TAIL_LENGTH = 64


class Layout(NamedTuple):
    """What the compact core lost: the original's size, its first bytes, and where the others were."""

    size: int
    head: bytes
    runs: Tuple[Run, ...]


def describe_layout(layout: Layout) -> Dict[str, object]:
    """The JSON object of a layout; ``runs`` is a flat list of numbers, three for each.

    Nothing is compressed, since compressors differ from machine to machine and images must not.
    """
    return {
        "version": VERSION,
        "size": layout.size,
        "head": base64.b64encode(layout.head).decode("ascii"),
        "runs": [number for run in layout.runs for number in run],
    }


def parse_layout(text: bytes) -> Layout:
    """The layout of the JSON of an object; raises InputError layout-damaged."""
    try:
        data = json.loads(text.decode("ascii"))
    except (ValueError, RecursionError) as error:
        raise faults.damaged_layout("it is not ASCII JSON") from error
    if not isinstance(data, dict) or data.get("version") != VERSION:
        raise faults.damaged_layout("it is not of version {}".format(VERSION))
    size, runs = data.get("size"), _parse_runs(data.get("runs"))
    if not isinstance(size, int) or not 0 <= size < 1 << 63:
        raise faults.damaged_layout("the size of the original is invalid")
    head = _parse_head(data.get("head"))
    if runs and not head and runs[0] != Run(0, 0, size):
        raise faults.damaged_layout("the original's headers are missing")
    position = len(head)
    for run in runs:
        if run.original < position or run.original + run.size > size:
            raise faults.damaged_layout("its runs overlap or leave the file")
        position = run.original + run.size
    return Layout(size, head, runs)


def restore(path: str, compact: Extent, layout: bytes, out_path: str) -> None:
    """Write the original core to ``out_path``, a new file: the same bytes, with holes for pages of zeros.

    The compact core is the ``compact`` part of the file at ``path``, ``layout`` its ``core.layout.json``.

    Raises:
        InputError: ``layout-damaged``, ``no-such-file``, ``not-a-file``, ``cannot-read``.
        HostError: ``cannot-write`` (also when ``out_path`` exists).
    """
    wanted = parse_layout(layout)
    source = open_regular(path)
    try:
        if compact.offset + compact.size > os.fstat(source).st_size:
            raise faults.damaged_layout("the compact core is truncated")
        _check_compact(wanted, compact.size)
        target = os.open(out_path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            _fill(source, compact.offset, wanted, target)
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


def _fill(source: int, shift: int, wanted: Layout, target: int) -> None:
    os.ftruncate(target, wanted.size)
    write_all(target, wanted.head)
    for run in wanted.runs:
        start = shift + run.compact
        for extent in data_extents(source, start + run.size, start):
            os.lseek(target, run.original + extent.offset - start, os.SEEK_SET)
            copy_range(source, extent.offset, extent.size, target)


def _check_compact(wanted: Layout, size: int) -> None:
    """The runs follow each other to the end of the compact core, or to the section header that counts segments."""
    end = wanted.runs[0].compact if wanted.runs else size
    for run in wanted.runs:
        if run.compact != end:
            raise faults.damaged_layout("its runs do not follow each other")
        end += run.size
    if not 0 <= size - end <= MAX_TAIL_LENGTH or (not wanted.runs and wanted.size > len(wanted.head)):
        raise faults.damaged_layout("its runs do not fit the compact core")


def _parse_runs(numbers: object) -> Tuple[Run, ...]:
    if not isinstance(numbers, list) or len(numbers) % 3:
        raise faults.damaged_layout("it has no list of runs")
    if not all(type(number) is int and number >= 0 for number in numbers):
        raise faults.damaged_layout("its runs are not numbers")
    return tuple(Run(*numbers[at : at + 3]) for at in range(0, len(numbers), 3))


def _parse_head(text: object) -> bytes:
    try:
        return base64.b64decode(text if isinstance(text, str) else "%", validate=True)
    except ValueError as error:
        raise faults.damaged_layout("the original's headers cannot be decoded") from error
