"""One image ID is one image, whichever way it came and whatever it is called."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from corebox.gather.cli import main as gather
from tests.support.crashes import build_program
from tests.support.lab import Lab
from tests.support.registry import Registry, running
from tests.support.typist import Typist, environment_of

ORDERS = ("build push pull mail", "push mail pull build", "mail pull push build")


@pytest.fixture(scope="module")
def crashed(machine: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle."""
    folder = tmp_path_factory.mktemp("crashed")
    core = build_program(folder / "app").crash()
    assert gather([str(core), "--no-nice", "-o", str(folder / "app.corebox")]) == 0
    return folder / "app.corebox"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with running(Registry(tmp_path_factory.mktemp("registry") / "registry")) as started:
        yield started


@pytest.mark.parametrize("order", ORDERS)
def test_in_any_order_all_names_lead_to_one_image(
    order: str, crashed: Path, registry: Registry, lab: Lab, fresh_lab: Lab, tmp_path: Path
) -> None:
    theirs, ours = f"{registry.host}/theirs/crash:1", f"{registry.host}/ours/crash:1"
    lab.done("push", crashed, theirs)  # a colleague's
    mailed = Path(shutil.copy(crashed, tmp_path / "mailed.corebox"))
    steps: dict[str, tuple[object, ...]] = {
        "build": ("build", crashed, "--no-load", "-t", "app:mine"),
        "push": ("push", crashed, ours),
        "pull": ("pull", theirs),
        "mail": ("info", mailed),
    }
    for step in order.split():
        fresh_lab.done(*steps[step])
    fresh_lab.done("build", mailed, "--no-load")
    assert "corebox shell app:new" in fresh_lab.done("build", mailed, "--no-load", "-t", "app:new").output
    (image,) = fresh_lab.done("images", "--json").json["images"]
    assert {theirs, ours, "app:mine"} <= set(image["tags"])
    bundle = image["labels"]["io.corebox.bundle"]
    named = [crashed, mailed, *image["tags"], image["image_id"], image["image_id"][7:19], bundle]
    told = {fresh_lab.done("info", each).output.partition("\n")[2] for each in named[2:]}
    assert len(told) == 1, "all but the name"
    for each in (mailed, image["image_id"][7:19]):
        assert "fail" in fresh_lab.gdb(each, "bubblewrap", "bt 1").output, each
    for each in (bundle, theirs):
        fresh_lab.done("export", each, "--bundle", tmp_path / "back.corebox")
        fresh_lab.done("push", each, f"{registry.host}/again/crash:2")
    assert len(fresh_lab.done("images", "--json").json["images"]) == 1
    fresh_lab.done("rm", image["image_id"])
    assert fresh_lab.done("images", "--json").json["images"] == []


def test_prune_asks_at_a_terminal_before_it_removes_images(crashed: Path, fresh_lab: Lab) -> None:
    fresh_lab.build(crashed, "-t", "app:1")
    for answer, words, left in (
        (b"n\r", ("prune", "--limit", "1M"), 1),
        (b"", ("prune", "--limit", "1G"), 1),
        (b"y\r", ("prune", "--limit", "1M"), 0),
    ):
        user = Typist([*fresh_lab.command, *words], environment_of(fresh_lab))
        if answer:
            assert b"app:1" in user.wait_for(b"Remove 1 image?")
        assert user.leave(answer) == 0
        assert len(fresh_lab.done("images", "--json").json["images"]) == left
    fresh_lab.build(crashed, "-t", "app:1")
    user = Typist([*fresh_lab.command, "prune", "--limit", "1M", "--yes"], environment_of(fresh_lab))
    assert b"removed app:1" in user.wait_for(b"freed")
    assert user.leave(b"") == 0


def test_prune_removes_what_sessions_left_in_an_engine(crashed: Path, fresh_lab: Lab, docker: None) -> None:
    def left() -> str:
        words = ["docker", "images", "--format", "{{.Repository}}", "--filter", f"reference={mount_points}"]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()

    mount_points = "corebox-mount-points-*"
    assert "fail" in fresh_lab.gdb(crashed, "docker", "bt 1").output
    ours = left()
    assert ours
    assert f"would remove {ours.splitlines()[0]}" in fresh_lab.done("prune", "--dry-run").output
    assert left() == ours
    fresh_lab.done("prune")
    # Another test may have a session right now.
    assert "fail" in fresh_lab.gdb(crashed, "docker", "bt 1").output
