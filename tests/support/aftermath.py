"""What must hold after any fault, checked by one function: ``Desk.must_be_whole``."""

import contextlib
import ctypes
import hashlib
import json
import os
import re
import shutil
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from corebox.store.store import Store
from tests.support.lab import Lab, Result

_PR_SET_CHILD_SUBREAPER = 36  # prctl(2)
_GRACE = 10.0  # seconds for what loses its parent to notice
#: Names that a run may write anew: they say when, or for whom.
_REPLACED = ("index.json",)
_REPLACED_INDEX = re.compile(r"/locks/after-[0-9a-z]+$")
#: A store's place for temporary files, which each machine and each mounted disk has of its own.
_PLACE = re.compile(r"^home/tmp/[0-9a-f]{16}(?=$|/|\.json$)")


def tries(least: int) -> int:
    """How often to try: ``least`` in CI, COREBOX_FAULTS times as often with ``make faults``."""
    return least * int(os.environ.get("COREBOX_FAULTS", "1"))


@contextmanager
def adopting_orphans() -> Iterator[None]:
    """Become the parent of all that our children leave behind, so that nothing of it can hide."""
    library = ctypes.CDLL(None, use_errno=True)
    assert library.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
    yield
    library.prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


@dataclass(frozen=True)
class World:
    """What a command must not leave more of: our descendants, mounts, and containers of the engine at ``docker``."""

    children: frozenset[str]
    mounts: frozenset[str]
    containers: frozenset[str]

    @classmethod
    def now(cls, docker: str | None) -> "World":
        """How it is."""
        for child in _children():
            if Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                os.waitpid(int(child), os.WNOHANG)
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
        # Other tests of this machine run containers and make sites meanwhile; their mounts are not ours.
        others = ("/docker/", "/corebox-tests/", "/test_on_demand", "/served ")
        ours = frozenset(line for line in mounts if "corebox" in line and not any(each in line for each in others))
        return cls(frozenset(_children()), ours, frozenset(_containers(docker)))


def _children() -> list[str]:
    found: list[str] = []
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a thread that has ended meanwhile
            found += (task / "children").read_text().split()
    return [child for child in found if not _is_engine(child)]


def _is_engine(child: str) -> bool:
    """Whether it is a daemon that a test has killed and started again, or what that left."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{child}/comm").read_text().startswith(("dockerd", "containerd"))
    return False


def _containers(docker: str | None) -> list[str]:
    if docker is None:
        return []
    command = ["docker", "--host", docker, "ps", "--all", "--quiet"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def digest(path: Path) -> str:
    """The content of a file."""
    status = path.stat()
    return _digest(path, status.st_ino, status.st_size, status.st_mtime_ns)


@lru_cache(None)
def _digest(path: Path, *_: int) -> str:
    with path.open("rb") as file:
        found = hashlib.sha256()
        while block := file.read(1 << 20):
            found.update(block)
        return found.hexdigest()


def content(*folders: Path) -> dict[str, str]:
    """Each file with its digest, each folder and link with what it is; unpacked trees are left to `_require_roots`.

    So are a store's notes of which indexes have been replaced, which go after ten minutes.
    """
    found = {}
    for folder in folders:
        for path in folder.rglob("*"):
            if "tree" in path.relative_to(folder).parts[2:] or _REPLACED_INDEX.search(str(path)):
                continue
            if path.is_symlink():
                found[str(path)] = str(path.readlink())
            else:
                found[str(path)] = digest(path) if path.is_file() else "folder"
    return found


def _require_store(home: Path) -> None:
    """No half-made file has a final name: each blob is what it is called, each image and each root is whole."""
    for blob in (home / "oci/blobs/sha256").iterdir():
        assert digest(blob) == blob.name
    store = Store(home)
    for image in store.images():
        assert all(store.has(layer.digest) for layer in image.layers), f"{image.tags} lacks a layer"
    for note in home.glob("records/*/*.json"):
        json.loads(note.read_bytes())
    for tree in home.glob("roots/*/tree"):
        for layer in (tree.parent / "layers").read_text().split("\n"):
            with tarfile.open(store.blob_path(layer)) as tar:
                for member in tar:
                    path = tree / member.name
                    assert path.is_symlink() or path.exists(), f"{path} is missing in an unpacked root"
                    same = not member.isreg() or member.name.endswith("/core") or path.stat().st_size == member.size
                    assert same, f"{path} is cut"


@dataclass(frozen=True)
class Verb:
    """A command, and what counts of what it did. ``{out}`` in a word is the folder that it may write into."""

    words: tuple[object, ...]
    essence: Callable[["Desk", Result], object]
    docker: str | None = None


@dataclass(frozen=True)
class Desk:
    """A user's desk before a fault: a store, a folder for files, and the command that meets the fault.

    Attributes:
        folder: all of it.
        before: the files at the beginning, and the images by name.
        world: what ran and was mounted then.
    """

    folder: Path
    verb: Verb
    before: Mapping[str, str]
    images: Mapping[str, str]
    world: World

    @classmethod
    def lay(cls, folder: Path, seed: Path, verb: Verb) -> "Desk":
        """A new desk in ``folder`` with a copy of the store ``seed``."""
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "out").mkdir(parents=True)
        # Hard links: what a command changes in place is changed in the seed too, and seen by all later tries.
        how = "--link" if seed.stat().st_dev == folder.stat().st_dev else "--reflink=auto"
        subprocess.run(["cp", "--archive", how, str(seed), str(folder / "home")], check=True)
        (folder / "out/older").write_text("a file of the user's")
        desk = cls(folder, verb, {}, {}, World.now(verb.docker))
        return replace(desk, before=content(folder), images=desk.image_ids())

    @property
    def lab(self) -> Lab:
        """Its store."""
        return Lab(self.folder / "home")

    @property
    def words(self) -> list[str]:
        """The command's words."""
        return [str(word).format(out=self.folder / "out") for word in self.verb.words]

    def run(self, env: Mapping[str, str] | None = None) -> Result:
        """The command, to its end."""
        return self.lab.corebox(*self.words, env=dict(env or {}))

    def undisturbed(self) -> "Outcome":
        """What the command does when nothing happens."""
        done = self.run()
        assert done.status == 0, done.errors
        return Outcome(self.verb.essence(self, done), self.names())

    def must_be_whole(self, expected: "Outcome", but: str = "/") -> None:
        """What holds after every fault.

        Nothing half-made under a final name; nothing lost or changed that was there; no process, mount or container
        left over; and the next run does what it would have done, leaving the same files: no temporary of before. Names
        that begin with ``but`` are not compared.
        """
        self.must_have_lost_nothing()
        outcome = self.undisturbed()
        assert outcome.essence == expected.essence, f"{outcome.essence} instead of {expected.essence}"
        # That a blob is whole is noted behind it, or by whoever reads it next: the moment between is nobody's loss.
        other = {name for name in outcome.names ^ expected.names if not name.startswith((but, "home/records/whole/"))}
        assert not other, f"more or fewer files: {sorted(other)}"
        self.must_have_lost_nothing()
        assert World.now(self.verb.docker).containers <= self.world.containers

    def must_have_lost_nothing(self) -> None:
        """The part before the next run; a container that lost its corebox goes with that only."""
        deadline = time.monotonic() + _GRACE
        while not (now := World.now(None)).children <= self.world.children and time.monotonic() < deadline:
            time.sleep(0.05)
        assert now.children <= self.world.children, [_command_line(each) for each in now.children - self.world.children]
        assert not now.mounts - self.world.mounts
        _require_store(self.lab.home)
        assert self.images.items() <= self.image_ids().items()
        after = content(self.folder)
        changed = {name for name, value in self.before.items() if after.get(name) != value}
        assert {name for name in changed if Path(name).name not in _REPLACED} == set(), changed

    def image_ids(self) -> dict[str, str]:
        """All images by name."""
        return {tag: image.image_id for image in Store(self.lab.home).images() for tag in image.tags}

    def names(self) -> frozenset[str]:
        """All that lies on the desk."""
        return frozenset(
            _PLACE.sub("home/tmp/place", str(Path(name).relative_to(self.folder))) for name in content(self.folder)
        )


@dataclass(frozen=True)
class Outcome:
    """What a command did: what counts of it, and the names of all files afterwards."""

    essence: object
    names: frozenset[str]


def _command_line(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return f"{pid}, gone meanwhile"
