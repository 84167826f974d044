"""Run the benchmarks named on the command line, or all."""

import platform
import resource
import sys
import tempfile
from pathlib import Path

from benchmarks import gather, images
from benchmarks.measure import HEADER
from tests.support.docker import running_engine

ALL = {"gather": gather.rows, "images": images.rows}


def main(names: list[str]) -> None:
    """Print the table, a row as soon as it is measured."""
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    print(f"`python -m benchmarks {' '.join(names)}`, {platform.platform()}, Python {platform.python_version()}\n")
    print(HEADER, flush=True)
    with tempfile.TemporaryDirectory() as folder, running_engine(Path(folder) / "dockerd.log"):
        for name in names:
            work = Path(folder) / name
            work.mkdir()
            for row in ALL[name](work):
                print(row.markdown(), flush=True)


main(sys.argv[1:] or list(ALL))
