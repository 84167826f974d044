"""What a build, a push and a load cannot be faster than here: their parts, each alone, by the quickest tool at hand."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.images import Desk
from benchmarks.measure import Measured, median, quiet, run
from tests.support.registry import Registry, running

_GZIP = """
import sys
from isal import igzip
with open(sys.argv[1], "rb") as file:
    while block := file.read(1 << 20):
        igzip.compress(block, 1)
"""


@dataclass(frozen=True)
class Floor:
    """A part of a command, alone."""

    what: str
    measured: Measured

    def markdown(self) -> str:
        """One line of the table."""
        return f"| floor: {self.what} | {self.measured.seconds:.2f} s | | | | |"


def rows(work: Path) -> Iterator[Floor]:
    """Of the core of the first crash, whose layer is the largest blob of the store."""
    desk = Desk(work)
    desk.forget("first")
    desk.build("first")
    core = max((desk.home / "oci/blobs/sha256").iterdir(), key=lambda blob: blob.stat().st_size)
    out = work / "floor"
    commands: tuple[tuple[str, list[str | Path]], ...] = (
        ("corebox --version, which imports little", [sys.executable, "-m", "corebox", "--version"]),
        ("SHA-256 of the core", ["openssl", "dgst", "-sha256", core]),
        ("zstd -d of the bundle", ["zstd", "-q", "-d", "-c", desk.bundle("first")]),
        ("cp of the core", ["cp", "--reflink=never", core, out]),
        ("gzip of the core by isal on one processor", [sys.executable, "-c", _GZIP, core]),
    )
    for what, command in commands:
        yield Floor(what, median(3, partial(run, command), partial(out.unlink, missing_ok=True)))
    yield _registry(desk)
    yield _engine(desk, out)


def _registry(desk: Desk) -> Floor:
    """The second registry gets what was compressed for the first."""
    with running(Registry(desk.work / "registry-first")) as registry:
        desk.corebox("push", "first:1", f"{registry.host}/a/b:1")
    with running(Registry(desk.work / "registry-second")) as registry:
        sent = desk.corebox("push", "first:1", f"{registry.host}/a/b:1")
    return Floor("push of what is compressed already, which the registry takes", sent)


def _engine(desk: Desk, out: Path) -> Floor:
    archive = out.with_suffix(".tar")
    run(["skopeo", "copy", f"oci:{desk.home}/oci:first:1", f"docker-archive:{archive}:floor:1"])
    before = partial(quiet, "docker", "rmi", "-f", "floor:1", "first:1")
    loaded = median(3, partial(run, ["docker", "load", "-i", archive]), before)
    before()
    archive.unlink()
    return Floor("docker load of a ready archive", loaded)
