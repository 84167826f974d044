"""SIGKILL and Ctrl-C at any moment: what was there is there, and the next run does it all."""

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from corebox.bundle import verify_bundle
from tests.support.aftermath import Desk, Outcome, Verb, adopting_orphans, tries
from tests.support.crashes import build_program
from tests.support.lab import Lab, Result
from tests.support.registry import Registry, running


@dataclass(frozen=True)
class Bench:
    """What all tries share: a store with a toolbox and an image, two crashes, a registry with one of them."""

    folder: Path
    seed: Path
    core: Path
    bundle: Path
    registry: Registry

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

    def pushed(self) -> str:
        """The digest of what was pushed, as the registry has it."""
        tag = "data/docker/registry/v2/repositories/a/sent/_manifests/tags/1/current/link"
        return (self.registry.folder / tag).read_text()

    def forget_pushed(self) -> None:
        """Empty the registry's repository that is pushed to; a blob that no repository names is sent again."""
        repositories = self.registry.folder / "data/docker/registry/v2/repositories/a"
        shutil.rmtree(repositories / "sent", ignore_errors=True)


def _identity(desk: Desk, _: Result) -> object:
    verification = verify_bundle(desk.folder / "out/x.corebox")
    assert verification.ok
    return verification.identity


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("bench")
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


@pytest.fixture(scope="module")
def undisturbed(bench: Bench) -> dict[str, tuple[Outcome, float]]:
    return {}


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGINT], ids=lambda sign: sign.name)
@pytest.mark.parametrize("command", ["gather", "gather --slim", "build", "push", "pull", "shell"])
def test_killed_at_any_moment(
    bench: Bench, undisturbed: dict[str, tuple[Outcome, float]], command: str, sign: signal.Signals
) -> None:
    verb = bench.verb(command)
    if command not in undisturbed:
        bench.forget_pushed()
        desk = Desk.lay(bench.folder / "desk", bench.seed, verb)
        began = time.monotonic()
        undisturbed[command] = desk.undisturbed(), time.monotonic() - began
    expected, duration = undisturbed[command]
    chance = random.Random(f"{command} {sign.name}")
    for _ in range(tries(4)):
        bench.forget_pushed()
        desk = Desk.lay(bench.folder / "desk", bench.seed, verb)
        moment = chance.uniform(0.1, 1) * duration
        status = _interrupted(desk, sign, moment)
        assert status in (0, -sign, 128 + sign), f"{command}, {sign.name} after {moment:.3f} s: {status}"
        desk.must_be_whole(expected)


def _interrupted(desk: Desk, sign: signal.Signals, moment: float) -> int:
    """Run the desk's command, and send it the signal after so many seconds."""
    process = subprocess.Popen(
        [*desk.lab.command, *desk.words],
        env={**os.environ, "COREBOX_HOME": str(desk.lab.home)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        return process.wait(moment)
    except subprocess.TimeoutExpired:
        process.send_signal(sign)
        return process.wait(60)
