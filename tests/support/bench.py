"""What the tests of faults disturb: the commands, each with what counts of what it does, on a store with an image."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from corebox.unbundle.verify import verify_bundle
from tests.support.aftermath import Desk, Outcome, Verb, adopting_orphans
from tests.support.crashes import build_program
from tests.support.lab import Lab, Result
from tests.support.registry import Registry, running

COMMANDS = ("gather", "gather --slim", "build", "push", "pull", "shell")


@dataclass(frozen=True)
class Bench:
    """What all tries share: a store with a toolbox and an image, two crashes, a registry with one of them."""

    folder: Path
    seed: Path
    core: Path
    bundle: Path
    registry: Registry
    known: dict[str, Outcome] = field(default_factory=dict)

    def verb(self, name: str) -> Verb:
        """The commands, and what counts of what they do."""
        sent, there = f"{self.registry.host}/a/sent:1", f"{self.registry.host}/a/there:1"
        return {
            "gather": Verb(("gather", self.core, "-o", "{out}/x.corebox", "--no-nice"), _identity),
            "gather --slim": Verb(("gather", self.core, "-o", "{out}/x.corebox", "--no-nice", "--slim"), _identity),
            "build": Verb(("build", self.bundle, "--no-load", "--json"), lambda _, done: done.json["image_id"]),
            "push": Verb(("push", "old", sent), lambda *_: self.pushed()),
            "pull": Verb(("pull", there), lambda desk, _: desk.image_ids()[there]),
            "shell": Verb(
                ("shell", self.bundle, "--engine", "bubblewrap", "--", "-batch", "-ex", "bt"),
                lambda _, done: [line for line in done.output.splitlines() if line.startswith("#")],
            ),
        }[name]

    def lay(self, name: str, folder: Path | None = None) -> Desk:
        """A new desk for the command, in a folder of the bench if none is given."""
        self.forget_pushed()
        return Desk.lay(folder or self.folder / "desk", self.seed, self.verb(name))

    def outcome(self, name: str) -> Outcome:
        """What the command does when nothing happens."""
        if name not in self.known:
            self.known[name] = self.lay(name).undisturbed()
        return self.known[name]

    def pushed(self) -> str:
        """The manifest that was pushed, as the registry has it: where two differ, it says in which layer."""
        data = self.registry.folder / "data/docker/registry/v2"
        digest = (data / "repositories/a/sent/_manifests/tags/1/current/link").read_text().partition(":")[2]
        return (data / "blobs/sha256" / digest[:2] / digest / "data").read_text()

    def forget_pushed(self) -> None:
        """Empty the registry's repository that is pushed to; a blob that no repository names is sent again."""
        repositories = self.registry.folder / "data/docker/registry/v2/repositories/a"
        shutil.rmtree(repositories / "sent", ignore_errors=True)


def _identity(desk: Desk, _: Result) -> object:
    verification = verify_bundle(desk.folder / "out/x.corebox")
    assert verification.ok
    return verification.identity


@contextmanager
def made_bench(folder: Path) -> Iterator[Bench]:
    """A bench in the new ``folder``."""
    lab, far = Lab(folder / "seed"), Lab(folder / "far")
    cores = [build_program(folder / name, f"lib{name}.so").crash() for name in ("old", "there", "new")]
    bundles = [core.parent / "x.corebox" for core in cores]
    for core, bundle in zip(cores, bundles, strict=True):
        lab.done("gather", core, "-o", bundle, "--no-nice")
    lab.build(bundles[0], "-t", "old")
    shutil.copytree(lab.home, far.home, symlinks=True)
    far.build(bundles[1], "-t", "there")
    with adopting_orphans(), running(Registry(folder / "registry")) as registry:
        far.done("push", "there", f"{registry.host}/a/there:1")
        yield Bench(folder, lab.home, cores[2], bundles[2], registry)
