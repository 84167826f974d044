"""Building, loading, pushing and opening, against `docker build`, `docker push` and the bare gdb."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.cores import HALF, HUGE, MIX, crash
from benchmarks.gather import COREBOX
from benchmarks.measure import Measured, Row, median, run
from tests.support.registry import Registry, running

TAG = "corebox-benchmark"
# The gdb that corebox puts into images, started directly.
BARE_GDB = Path(sys.executable).with_name("gdb")


@dataclass(frozen=True)
class Desk:
    """A working folder and a store in it."""

    work: Path

    @property
    def home(self) -> dict[str, str]:
        """The environment that names the store."""
        return {"COREBOX_HOME": str(self.work / "home")}

    def corebox(self, *arguments: str | Path) -> Measured:
        """Measure one corebox command."""
        return run([*COREBOX, *arguments], env=self.home)

    def bundle(self, core: Path, name: str) -> Path:
        """Gather ``core``, and let it go."""
        out = self.work / f"{name}.corebox"
        self.corebox("gather", core, "-o", out)
        core.unlink()
        return out


def rows(work: Path) -> Iterator[Row]:
    """Two crashes of one program: built, loaded, pushed and opened; then a sparse giant."""
    desk = Desk(work)
    first = desk.bundle(crash(MIX, work / "first"), "first")
    second = desk.bundle(crash(MIX, work / "second", "b"), "second")
    desk.corebox("toolbox", "build")
    built = desk.corebox("build", first, "--no-load", "-t", "first:1")
    again = desk.corebox("build", second, "--no-load", "-t", "second:1")
    docker = _docker_build(_unpacked(first, work / "context"), "first")
    docker_again = _docker_build(_unpacked(second, work / "context-again"), "second")
    yield Row("build into the store", built, "`docker build` of the same files and core", docker)
    yield Row("build a second crash of the program", again, "`docker build` of it", docker_again)
    yield from _push(desk)
    loaded = desk.corebox("build", first, "--load", "-t", "first:1")
    both = Measured(built.seconds + loaded.seconds, max(built.memory, loaded.memory))
    yield Row("build, and load into the engine", both, "`docker build` of the same files and core", docker)
    yield from _open(first, desk)
    subprocess.run(
        ["docker", "rmi", "-f", "first:1", f"{TAG}:first", f"{TAG}:second"], capture_output=True, check=False
    )
    yield from _giant(desk)


def _push(desk: Desk) -> Iterator[Row]:
    """To an empty registry each; the second crash after the first."""
    for tag, what in (("first", "push"), ("second", "push a second crash of the program")):
        with running(Registry(desk.work / f"registry-{tag}")) as registry:
            if tag == "second":
                desk.corebox("push", "first:1", f"{registry.host}/ours:first")
            ours = desk.corebox("push", f"{tag}:1", f"{registry.host}/ours:{tag}")
            names = [f"{registry.host}/theirs:{each}" for each in ("first", tag)]
            for each, name in zip(("first", tag), names, strict=True):
                run(["docker", "tag", f"{TAG}:{each}", name])
            if tag == "second":
                run(["docker", "push", "-q", names[0]])
            theirs = run(["docker", "push", "-q", names[1]])
            subprocess.run(["docker", "rmi", *names], capture_output=True, check=False)
        yield Row(f"{what}, compression included", ours, "`docker push`", theirs)


def _open(bundle: Path, desk: Desk) -> Iterator[Row]:
    folder = desk.work / "context"
    manifest = json.loads((folder / "corebox.json").read_bytes())
    executable = folder / "rootfs" / manifest["process"]["executable"].lstrip("/")
    bare = [BARE_GDB, "-nx", "-batch", "-iex", f"set sysroot {folder}/rootfs", "-ex", "bt", executable, folder / "core"]
    alone = median(5, lambda: run(bare))
    for engine in ("bubblewrap", "docker"):
        desk.corebox("shell", bundle, "--engine", engine, "--", "-batch", "-ex", "bt")
        ours = median(5, lambda e=engine: desk.corebox("shell", bundle, "--engine", e, "--", "-batch", "-ex", "bt"))  # type: ignore[misc]
        yield Row(f"shell to the first backtrace, {engine}", ours, "the bare gdb 18", alone)


def _giant(desk: Desk) -> Iterator[Row]:
    bundle = desk.bundle(crash(HUGE, desk.work / "giant"), "giant")
    ours = desk.corebox("build", bundle, "--no-load", "-t", "giant:1")
    half = desk.bundle(crash(HALF, desk.work / "half"), "half")
    docker = _docker_build(_unpacked(half, desk.work / "context-half"), "half")
    subprocess.run(["docker", "rmi", "-f", f"{TAG}:half"], capture_output=True, check=False)
    yield Row(f"build, core of {HUGE.name}", ours, f"`docker build`, core of {HALF.name}", docker)


def _unpacked(bundle: Path, folder: Path) -> Path:
    folder.mkdir()
    subprocess.run(["tar", "--zstd", "-xf", bundle, "-C", folder], check=True)
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY rootfs /\nCOPY core /core\n")
    return folder


def _docker_build(context: Path, tag: str) -> Measured:
    # The classic builder: the other needs a plugin that Debian's package does not have.
    return run(["docker", "build", "--no-cache", "-q", "-t", f"{TAG}:{tag}", context], env={"DOCKER_BUILDKIT": "0"})
