"""A newer Docker, whose images are in containerd's store, as they are by default since Docker 29."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from corebox.store.store import Store
from tests.integration.test_image_sharing import CONFIGURATION, LOAD_SHORT, sizes
from tests.support.lab import Lab
from tests.support.ownengine import OwnEngine, own_engine
from tests.support.registry import Registry, running
from tests.support.site import cached_root


@pytest.fixture(scope="module")
def newer(tmp_path_factory: pytest.TempPathFactory, machine: None) -> Iterator[OwnEngine]:
    """Debian 13's, in a root of its own."""
    root = cached_root("trixie", ("docker.io", "ca-certificates"))
    folder = tmp_path_factory.mktemp("newer") / "engine"
    with own_engine(folder, root, ("containerd-snapshotter",)) as engine:
        assert "io.containerd.snapshotter.v1" in engine.call("info").stdout
        yield engine


@pytest.fixture(autouse=True)
def _ask_the_newer(newer: OwnEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", newer.address)


def done(engine: OwnEngine, *words: str) -> str:
    """What docker printed."""
    result = engine.call(*words)
    assert result.returncode == 0, result.stderr
    return result.stdout


def backtrace(engine: OwnEngine, name: str) -> str:
    """A gdb's in a container of the image."""
    safe = ("--rm", "--network=none", "--read-only", "--cap-drop=all")
    return done(engine, "run", *safe, name, "-batch", "-ex", "bt")


def test_loading_a_second_crash_moves_its_core_alone(
    newer: OwnEngine, fresh_lab: Lab, bundle: Path, second_bundle: Path
) -> None:
    """The image has the ID there that its manifest has with us, so that we know what the engine has."""
    fresh_lab.done("build", bundle, "--load", "-t", "first")
    image: Any = fresh_lab.build(second_bundle, "-t", "team/second:1")
    core = sizes(image, False, "core", "crash")
    moved = int(subprocess.check_output([sys.executable, "-c", LOAD_SHORT, fresh_lab.home, "team/second:1"]))
    assert core < moved < core + 2 * CONFIGURATION
    for tag in ("first:latest", "team/second:1"):
        shown = done(newer, "images", "--no-trunc", "--quiet", tag).strip()
        assert shown == Store(fresh_lab.home).find(tag.removesuffix(":latest")).manifest_digest
        assert "qsort" in backtrace(newer, tag)


def test_a_shell_sees_the_crash_and_copies_nothing(newer: OwnEngine, fresh_lab: Lab, bundle: Path) -> None:
    names = ("images", "--format={{.Repository}}")
    before = done(newer, *names).split()
    assert "qsort" in fresh_lab.gdb(bundle, "docker", "bt").output
    assert {name.rpartition("-")[0] for name in {*done(newer, *names).split()} - {*before}} <= {"corebox-mount-points"}
    assert newer.containers() == []


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_what_was_pushed_is_pulled_and_runs(
    newer: OwnEngine, lab: Lab, bundle: Path, tmp_path: Path, compression: str
) -> None:
    with running(Registry(tmp_path / "registry")) as registry:
        name = f"{registry.host}/{compression}/{bundle.parent.name}:1"
        lab.done("push", bundle, name, "--compression", compression)
        done(newer, "pull", "--quiet", name)
    assert "qsort" in backtrace(newer, name)
    done(newer, "rmi", "--force", name)


def test_what_docker_pushes_comes_back(newer: OwnEngine, fresh_lab: Lab, bundle: Path, tmp_path: Path) -> None:
    with running(Registry(tmp_path / "registry")) as registry:
        name = f"{registry.host}/by-docker/{bundle.parent.name}:1"
        fresh_lab.done("build", bundle, "--load", "-t", name)
        done(newer, "push", "--quiet", name)
        other = Lab(tmp_path / "other")
        assert "qsort" in other.gdb(name, "bubblewrap", "bt").output
