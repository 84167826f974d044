"""Building, loading, pushing and opening, against `docker build`, `docker push` and the bare gdb.

Every part can be run alone: what it needs of the others (bundles, built images) is made when it is not there, untimed.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.cores import HALF, HUGE, MIX, SMALL, crash
from benchmarks.gather import COREBOX
from benchmarks.measure import Measured, Row, median, middle, quiet, require_disk, run
from tests.support.registry import Registry, running

TAG = "corebox-benchmark"
# The gdb that corebox puts into images, started directly.
BARE_GDB = Path(sys.executable).with_name("gdb")
_FILES = "`docker build` of the same files and core"
_PUSHED = {"first": "push", "second": "push a second crash of the program"}
_CRASHES = {"first": (MIX, "a"), "second": (MIX, "b"), "giant": (HUGE, "a"), "half": (HALF, "a"), "small": (SMALL, "a")}


@dataclass(frozen=True)
class Desk:
    """A working folder and a store in it."""

    work: Path

    @property
    def home(self) -> Path:
        """The store."""
        return self.work / "home"

    def corebox(self, *arguments: str | Path, disk: Path | None = None) -> Measured:
        """Measure one corebox command."""
        return run([*COREBOX, *arguments], env=self.environment, disk=disk)

    @property
    def environment(self) -> dict[str, str]:
        """What names the store."""
        return {"COREBOX_HOME": str(self.home)}

    def bundle(self, name: str) -> Path:
        """The bundle of one of the crashes."""
        out = self.work / f"{name}.corebox"
        if not out.exists():
            shape, mark = _CRASHES[name]
            core = crash(shape, self.work / name, mark)
            self.corebox("gather", core, "-o", out)
            core.rename(self.core(name))
        return out

    def core(self, name: str) -> Path:
        """The core of the crash, as the kernel wrote it; there when its bundle is."""
        return self.work / f"core-{name}"

    def context(self, name: str) -> Path:
        """What `docker build` is given: the bundle's files and the core as the kernel wrote it, with a Dockerfile."""
        folder = self.work / f"context-{name}"
        if not folder.exists():
            folder.mkdir()
            subprocess.run(["tar", "--zstd", "-xf", self.bundle(name), "-C", folder], check=True)
            (folder / "core").unlink()
            (folder / "core").hardlink_to(self.core(name))
            (folder / "Dockerfile").write_text("FROM scratch\nCOPY rootfs /\nCOPY core /core\n")
        return folder

    def build(self, name: str, *options: str) -> Measured:
        """Build the bundle into the store, where it is not yet; the toolbox is there, and so is what others left."""
        return self.corebox("build", self.bundle(name), "-t", f"{name}:1", *(options or ("--no-load",)))

    def forget(self, name: str) -> None:
        """Take the image, and the layers that no other image has, out of the store; the toolbox stays."""
        self.corebox("toolbox", "build")
        listing = [*COREBOX, "images", "--json"]
        listed = subprocess.run(listing, env={**os.environ, **self.environment}, capture_output=True, check=True)
        for image in json.loads(listed.stdout)["images"]:
            if f"{name}:1" in image["tags"]:
                self.corebox("rm", image["image_id"])

    def docker_build(self, name: str, disk: Path | None = None) -> Measured:
        """The same by Docker; its cache may help it, as it would anybody, but not with the same build again."""
        quiet("docker", "rmi", "-f", f"{TAG}:{name}")
        # The classic builder: the other needs a plugin that Debian's package does not have.
        command = f"docker build -q -t {TAG}:{name} {self.context(name)}"
        return run(command.split(), env={"DOCKER_BUILDKIT": "0"}, disk=disk)


def _build(work: Path) -> Iterator[Row]:
    """A crash, into a store that has the toolbox only; then a second crash of the same program."""
    desk = Desk(work)
    for name, what, instead in (
        ("first", "build into the store", _FILES),
        ("second", "build a second crash of the program", "`docker build` of it, the files from its cache"),
    ):
        desk.bundle(name)
        ours = median(5, partial(desk.build, name), partial(desk.forget, name))
        desk.context(name)
        yield Row(what, ours, instead, median(3, partial(desk.docker_build, name)))


def _load(work: Path) -> Iterator[Row]:
    """Build and load in one command; the engine has the toolbox of an earlier image, or has never seen one."""
    desk = Desk(work)
    desk.forget("first")
    theirs = median(3, partial(desk.docker_build, "first"))
    for earlier in (False, True):
        what = "build, and load into the engine" + ("" if earlier else ", the first image ever")

        def prepare(earlier: bool = earlier) -> None:
            quiet("docker", "rmi", "-f", "first:1", "small:1")
            if earlier:
                desk.build("small", "--load")
            desk.forget("first")

        yield Row(what, median(3, partial(desk.build, "first", "--load"), prepare), _FILES, theirs)


def _push(work: Path) -> Iterator[Row]:
    """To an empty registry each; the second crash after the first. Compression is in the time, of Docker's too."""
    desk = Desk(work)
    for name in _PUSHED:
        desk.docker_build(name)

    def push_theirs(name: str, host: str) -> Measured:
        tag = f"{host}/theirs:{name}"
        quiet("docker", "tag", f"{TAG}:{name}", tag)
        measured = run(["docker", "push", "-q", tag])
        quiet("docker", "rmi", tag)
        return measured

    def push_ours(name: str, host: str, compression: str) -> Measured:
        return desk.corebox("push", f"{name}:1", f"{host}/ours:{name}", "--compression", compression)

    theirs = _pushes(work, push_theirs)
    for compression, which in (("gzip", ""), ("zstd", ", `--compression zstd`")):
        ours = _pushes(work, partial(push_ours, compression=compression), partial(_build_anew, desk))
        for name, what in _PUSHED.items():
            yield Row(f"{what}{which}", ours[name], "`docker push`", theirs[name])


def _pushes(
    work: Path, push: Callable[[str, str], Measured], before: Callable[[], object] = lambda: None
) -> dict[str, Measured]:
    """The middle of three, of each."""
    results: dict[str, list[Measured]] = {name: [] for name in _PUSHED}
    for _ in range(3):
        before()
        with TemporaryDirectory(dir=work) as folder, running(Registry(Path(folder))) as registry:
            for name in _PUSHED:
                results[name].append(push(name, registry.host))
    return {name: middle(measured) for name, measured in results.items()}


def _build_anew(desk: Desk) -> None:
    """What an earlier push compressed goes with the images."""
    for name in _PUSHED:
        desk.forget(name)
    for name in _PUSHED:
        desk.build(name)


def _shell(work: Path) -> Iterator[Row]:
    """To the first backtrace and out again, of an image that is built; the median of five."""
    desk = Desk(work)
    desk.build("first")
    folder = desk.context("first")
    manifest = json.loads((folder / "corebox.json").read_bytes())
    executable = folder / "rootfs" / manifest["process"]["executable"].lstrip("/")
    bare = [BARE_GDB, "-nx", "-batch", "-iex", f"set sysroot {folder}/rootfs", "-ex", "bt", executable, folder / "core"]
    alone = median(5, lambda: run(bare))
    for engine in ("bubblewrap", "docker"):
        show = partial(desk.corebox, "shell", "first:1", "--engine", engine, "--", "-batch", "-ex", "bt")
        show()
        yield Row(f"shell to the first backtrace, {engine}", median(5, show), "the bare gdb 18", alone)


def _giant(work: Path) -> Iterator[Row]:
    """A core of 16 GiB against one of half its size, with the disk that each takes at its peak."""
    desk = Desk(work)
    desk.bundle("giant")
    desk.forget("giant")
    ours = desk.corebox("build", desk.bundle("giant"), "--no-load", "-t", "giant:1", disk=work)
    for name in ("first", "second"):
        _drop(desk, name)
    require_disk(work, 32)
    desk.context("half")
    theirs = desk.docker_build("half", disk=work)
    _drop(desk, "half")
    yield Row(f"build, core of {HUGE.name}", ours, f"`docker build`, core of {HALF.name}", theirs)


def _drop(desk: Desk, name: str) -> None:
    """Free what a part needed; another part makes it again."""
    quiet("docker", "rmi", "-f", f"{TAG}:{name}")
    shutil.rmtree(desk.work / f"context-{name}", ignore_errors=True)


def clean() -> None:
    """Take our images out of the engine."""
    quiet("docker", "rmi", "-f", "first:1", "small:1", *(f"{TAG}:{name}" for name in _CRASHES))


PARTS: dict[str, Callable[[Path], Iterator[Row]]] = {
    "build": _build,
    "push": _push,
    "load": _load,
    "shell": _shell,
    "giant": _giant,
}
