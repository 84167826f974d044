"""Run the parts of the benchmark that are named on the command line, or all."""

import compileall
import contextlib
import platform
import resource
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks import dying, floors, gather, images, ondemand
from benchmarks.measure import HEADER, Row
from tests.support.docker import running_engine

Line = Row | floors.Floor | gather.Gathering | ondemand.Opening | dying.Release
PARTS: dict[str, Callable[[Path], Iterator[Line]]] = {
    "crashes": gather.crash_rows,
    "sizes": gather.size_rows,
    "other": gather.other_rows,
    **images.PARTS,
    "floors": floors.rows,
    "ondemand": ondemand.rows,
    "encrypted": ondemand.encrypted_rows,
    "dying": dying.rows,
}
#: Those whose tables are not like the others.
HEADERS = {
    "crashes": gather.HEADER,
    "sizes": gather.HEADER,
    "ondemand": ondemand.HEADER,
    "encrypted": ondemand.HEADER,
    "dying": dying.HEADER,
}
GROUPS = {"gather": ("crashes", "sizes", "other"), "images": (*images.PARTS, "floors")}


def main(names: list[str]) -> None:
    """Print the table, a row as soon as it is measured."""
    parts = list(dict.fromkeys(part for name in names for part in GROUPS.get(name, (name,))))
    if unknown := set(parts) - set(PARTS):
        sys.exit(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join([*PARTS, *GROUPS])}")
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    # As every installer does: else, where PYTHONDONTWRITEBYTECODE is set, each start compiles what was edited.
    compileall.compile_dir("corebox", quiet=1)
    print(f"`python -m benchmarks {' '.join(names)}`, {platform.platform()}, Python {platform.python_version()}\n")
    with_engine = bool(set(parts) & set(GROUPS["images"]))
    with tempfile.TemporaryDirectory() as folder, running_engine() if with_engine else contextlib.nullcontext():
        work = Path(folder) / "work"
        work.mkdir()
        header = ""
        for part in parts:
            if HEADERS.get(part, HEADER) != header:
                header = HEADERS.get(part, HEADER)
                print(f"\n{header}", flush=True)
            for row in PARTS[part](work):
                print(row.markdown(), flush=True)
        if with_engine:
            images.clean()


main(sys.argv[1:] or list(PARTS))
