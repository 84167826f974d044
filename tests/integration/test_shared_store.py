"""Two machines with one store, on a file system that does not carry locks from one to the other: bindfs, twice."""

import json
import subprocess
import sys
import tempfile
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from corebox.errors import HostError
from corebox.gather.cli import main as gather
from corebox.store import locks
from corebox.store.store import Store
from tests.support.crashes import build_program
from tests.support.images import put_random_image
from tests.support.lab import Lab

BEGIN = """
import sys
from pathlib import Path
from corebox.store.store import Store
store = Store(Path(sys.argv[1]))
"""


class Share(NamedTuple):
    """One folder as each of two machines has it mounted."""

    here: Path
    there: Path


@pytest.fixture
def share() -> Iterator[Share]:
    with tempfile.TemporaryDirectory() as name:
        real, here, there = (Path(name, each) for each in ("real", "here", "there"))
        for folder in (real, here, there):
            folder.mkdir()
        try:
            for folder in (here, there):
                subprocess.run(["bindfs", real, folder], check=True)
            yield Share(here, there)
        finally:
            for folder in (here, there):
                subprocess.run(["umount", "--lazy", folder], check=False)


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "_PATIENCE", 0.3)


def start(code: str, home: Path) -> "subprocess.Popen[str]":
    """A process of the other machine; it has begun when this returns, and goes on until it is told."""
    words = [sys.executable, "-c", BEGIN + textwrap.dedent(code), str(home)]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "begun\n"
    return process


def test_what_both_build_at_once_is_all_there(machine: None, share: Share, tmp_path: Path) -> None:
    core = build_program(tmp_path / "app").crash()
    bundle = tmp_path / "app.corebox"
    assert gather([str(core), "--no-nice", "-o", str(bundle)]) == 0
    desks = [Lab(share.here), Lab(share.there)]
    desks[0].done("toolbox", "build")

    def work(number: int) -> None:
        for turn in range(4):
            desks[number].build(bundle, "-t", f"app:{number}-{turn}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    for desk in desks:
        (image,) = desk.done("images", "--json").json["images"]
        assert set(image["tags"]) == {f"app:{number}-{turn}" for number in range(2) for turn in range(4)}
        assert "fail" in desk.gdb("app:1-3", "bubblewrap", "bt 1").output
    assert list((share.here / "locks").glob("*.alone")) == []


def test_images_that_both_put_at_once_are_all_listed(share: Share) -> None:
    code = """
        from tests.support.images import put_random_image
        print("begun", flush=True)
        for number in range(10):
            put_random_image(store, 100, f"there:{number}")
    """
    other = start(code, share.there)
    store = Store(share.here)
    for number in range(10):
        put_random_image(store, 100, f"here:{number}")
    other.communicate(timeout=120)
    assert other.returncode == 0
    names = {tag for image in Store(share.here).images() for tag in image.tags}
    assert names == {f"{place}:{number}" for place in ("here", "there") for number in range(10)}
    assert all(store.find(name).tags == (name,) for name in names)


@pytest.mark.usefixtures("_impatient")
def test_what_the_other_machine_uses_is_not_removed(share: Share) -> None:
    code = """
        with store.adding(), store.writer() as writer:
            writer.write(bytes(5000))
            blob = writer.commit()
            print("begun", flush=True)
            input()
            print(store.has(blob.digest), flush=True)
            input()
        with store.writer() as writer:
            writer.write(bytes(1024))
            blob = writer.commit()
        from corebox.store.values import Layer
        tree = store.unpacked([Layer(blob.digest, blob.size, "core", blob.digest)])
        print("unpacked", flush=True)
        input()
        print(tree.exists(), flush=True)
        input()
    """
    other = start(code, share.there)
    assert other.stdin
    assert other.stdout

    def go_on() -> str:
        assert other.stdin
        assert other.stdout
        other.stdin.write("\n")
        other.stdin.flush()
        return other.stdout.readline().strip()

    store = Store(share.here)
    with pytest.raises(HostError) as caught:
        store.prune()
    assert caught.value.code == "store-in-use"
    assert f"process {other.pid}" in caught.value.message
    assert go_on() == "True"
    assert go_on() == "unpacked"
    assert store.prune().freed > 0, "the blob is of no image"
    assert go_on() == "True", "what is unpacked stays"
    other.communicate("\n")
    store.prune()
    assert not list((share.here / "roots").rglob("tree"))


@pytest.mark.usefixtures("_impatient")
def test_who_was_killed_on_the_other_mount_is_in_nobodys_way(share: Share) -> None:
    other = start("with store._locks.exclusive('index'):\n    print('begun', flush=True)\n    input()", share.there)
    with pytest.raises(HostError) as caught:
        put_random_image(Store(share.here), 100, "app:1")
    assert "remove" in caught.value.hint
    other.kill()
    other.communicate()
    put_random_image(Store(share.here), 100, "app:1")
    assert json.loads((share.there / "format.json").read_bytes()) == {"format": 2}
    assert Store(share.there).find("app:1").tags == ("app:1",)
