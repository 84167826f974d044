"""A crash whose core is read where it lies, in a bundle or a registry: served through this machine's own FUSE."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from corebox.actions.served import try_serving
from corebox.engine.choose import connect
from corebox.engine.sandbox import Finished
from corebox.ondemand.mount import Unservable, why_no_fuse
from corebox.store.store import Store
from tests.support.distribution import Distribution, distribution
from tests.support.stubengine import TRIAL
from tests.support.vendor import Vendor

WHY_NOT = why_no_fuse() or (os.geteuid() and "containers of others would not see it") or ""
pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT),
]


@pytest.fixture
def registry() -> Iterator[Distribution]:
    with distribution() as started:
        yield started


@pytest.fixture
def colleague(desk: Vendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Another's store, with the same toolbox and nothing else."""
    desk.good("toolbox", "export", tmp_path / "toolbox.tar")
    monkeypatch.setenv("COREBOX_HOME", str(tmp_path / "colleague"))
    desk.good("toolbox", "import", tmp_path / "toolbox.tar")
    return Store.default()


def see_core(desk: Vendor) -> list[bytes]:
    """What a session's core begins with, whenever the engine starts one."""
    seen: list[bytes] = []

    def program(_command: list[str], _data: bytes) -> Finished:
        mounts = {each["Target"]: each["Source"] for each in desk.stub.created[-1]["HostConfig"]["Mounts"]}
        seen.append(Path(mounts["/.corebox/core"]).read_bytes()[:4])
        return Finished(0, b"", b"")

    desk.stub.program = program
    return seen


def test_of_a_bundle_nothing_is_unpacked_but_its_files(desk: Vendor, colleague: Store) -> None:
    seen = see_core(desk)
    desk.stub.write_client(reads=False)
    done = desk.good("shell", "--core", "on-demand", desk.bundle, "--", "-batch")
    desk.stub.write_client()
    assert seen == [b"\x7fELF"]
    assert colleague.images() == []
    assert "fetched" not in done.errors
    assert not [line for line in Path("/proc/self/mounts").read_text().splitlines() if str(colleague.home) in line]


def test_an_image_is_opened_where_it_is_and_pulled_when_all_is_wanted(
    desk: Vendor, registry: Distribution, tmp_path: Path, colleague: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"{registry.host}/crashes/app:7"
    monkeypatch.setenv("COREBOX_HOME", str(desk.folder / "home"))
    desk.good("push", desk.bundle, name)
    monkeypatch.setenv("COREBOX_HOME", str(colleague.home))
    seen = see_core(desk)
    desk.stub.write_client(reads=False)
    done = desk.good("shell", "--core", "on-demand", name, "--", "-batch")
    assert f"the core stays at {registry.host}" in done.errors
    (image,) = colleague.partial_images()
    assert (image.tags, colleague.images(), colleague.has(image.layers[-1].digest)) == ((name,), [], False)
    assert name in desk.good("images").output
    desk.good("shell", "--core", "whole", name, "--", "-batch")
    desk.stub.write_client()
    assert seen == [b"\x7fELF"] * 2
    (image,) = colleague.images()
    assert all(colleague.has(each.digest) for each in image.layers)


def test_who_insists_is_told_why_not(
    desk: Vendor, registry: Distribution, colleague: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("corebox.ondemand.mount._DEVICE", "/nowhere/fuse")
    says = "the core cannot be read where it lies: cores cannot be read where they lie: there is no /nowhere/fuse"
    desk.fails("shell", "--core", "on-demand", desk.bundle, status=4, says=says)
    monkeypatch.setattr("corebox.actions.framedbundle.WORTH", 0)
    desk.stub.write_client(reads=False)
    done = desk.good("shell", desk.bundle, "--", "-batch")
    desk.stub.write_client()
    assert "there is no /nowhere/fuse; so the whole core is fetched" in done.errors


def test_an_engine_that_does_not_see_our_mounts_is_known(desk: Vendor, colleague: Store) -> None:
    try_serving(colleague, None)
    engine = connect("docker")
    desk.stub.program = lambda *_: TRIAL
    try_serving(colleague, engine)
    desk.stub.refuses["/containers/create"] = "bind source path does not exist"
    with pytest.raises(Unservable, match=r"docker engine does not see what is mounted: .*does not exist"):
        try_serving(colleague, engine)
