"""Locks between processes, and between machines whose locks do not meet; many of them for one descriptor."""

import json
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from corebox.errors import HostError
from corebox.store import locks, version
from corebox.store.locks import Locks, Owner, RangeLocks, this_process
from corebox.store.store import Store
from tests.support.images import put_random_image

NAME = "index"
Change = Callable[[Owner], Owner]
Machines = Callable[[str], Store]


@pytest.fixture
def us(tmp_path: Path) -> Owner:
    return this_process(tmp_path)


@pytest.fixture
def other(us: Owner) -> Owner:
    """A process on another machine."""
    return us._replace(place="elsewhere", machine="another", boot="another", host="desk-7", pid=4711)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "_PATIENCE", 0.2)


def locks_of(home: Path, owner: Owner) -> Locks:
    """The locks as the machine of ``owner`` has them: of flock(2) it sees nothing of the others'."""
    scratch = home / f"scratch-{owner.place}"
    scratch.mkdir(exist_ok=True)
    made = Locks(home, owner, scratch)
    made._home = scratch  # its flocks
    return made


def test_an_exclusive_lock_elsewhere_is_waited_for_then_told(tmp_path: Path, us: Owner, other: Owner) -> None:
    here, there = locks_of(tmp_path, us), locks_of(tmp_path, other)
    with there.exclusive(NAME), pytest.raises(HostError) as caught, here.exclusive(NAME):
        raise AssertionError
    assert caught.value.code == "store-in-use"
    assert "process 4711 on desk-7" in caught.value.message
    assert str(tmp_path / "locks" / "index.alone") in caught.value.hint
    with locks_of(tmp_path, us).exclusive(NAME):
        pass


def test_shared_and_exclusive_exclude_each_other_between_machines(tmp_path: Path, us: Owner, other: Owner) -> None:
    here, there = locks_of(tmp_path, us), locks_of(tmp_path, other)
    with there.shared(NAME):
        with here.shared(NAME):
            pass
        with pytest.raises(HostError), here.exclusive(NAME):
            raise AssertionError
    with there.exclusive(NAME), pytest.raises(HostError), here.shared(NAME):
        raise AssertionError
    with here.exclusive(NAME):
        pass
    assert list((tmp_path / "locks").iterdir()) == []


def test_who_waits_long_enough_gets_it(
    tmp_path: Path, us: Owner, other: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "_PATIENCE", 60)
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with locks_of(tmp_path, other).exclusive(NAME):
            held.set()
            release.wait(60)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(60)
    threading.Timer(0.2, release.set).start()
    with locks_of(tmp_path, us).shared(NAME):
        assert release.is_set()
    holder.join()


def note(folder: Path, owner: Owner) -> Path:
    """What a killed process left."""
    path = folder / "locks" / f"{NAME}.alone"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(owner))
    return path


@pytest.mark.parametrize(
    "change",
    [
        lambda us: us,
        lambda us: us._replace(place="another mount", pid=2**22 + 1),
        lambda us: us._replace(place="another mount", started="1"),
        lambda us: us._replace(place="before", boot="before", machine="id name"),
    ],
    ids=["our own machine", "a process that is gone", "its number has another one now", "before the machine started"],
)
def test_what_a_dead_process_left_is_in_nobodys_way(tmp_path: Path, us: Owner, change: Change) -> None:
    us = us._replace(machine="id name")
    left = note(tmp_path, change(us))
    with locks_of(tmp_path, us).exclusive(NAME):
        assert json.loads(left.read_text())[0] == us.place
    left = note(tmp_path, change(us))
    with locks_of(tmp_path, us).shared(NAME):
        pass
    assert not left.exists()


@pytest.mark.parametrize(
    "change",
    [
        lambda us: us._replace(place="another mount"),
        lambda us: us._replace(place="elsewhere", boot="another", machine="id other"),
        lambda us: us._replace(place="elsewhere", boot="another", machine=""),
        lambda us: us._replace(place="a container", pids="pid:[1]", pid=2**22 + 1),
    ],
    ids=["another mount, alive", "another machine", "a machine without an ID", "a process that we do not see"],
)
def test_what_may_be_in_use_is_not_taken(tmp_path: Path, us: Owner, change: Change) -> None:
    us = us._replace(machine="id name")
    left = note(tmp_path, change(us))
    with pytest.raises(HostError), locks_of(tmp_path, us).exclusive(NAME):
        raise AssertionError
    assert left.exists()


def test_a_note_of_nonsense_is_told(tmp_path: Path, us: Owner) -> None:
    note(tmp_path, us).write_text("[")
    with pytest.raises(HostError) as caught, locks_of(tmp_path, us).exclusive(NAME):
        raise AssertionError
    assert "an unknown machine" in caught.value.message


def test_thousands_of_locks_take_one_descriptor(tmp_path: Path) -> None:
    mine, another = RangeLocks(tmp_path / "locks"), RangeLocks(tmp_path / "locks")
    before = len(list(Path("/proc/self/fd").iterdir()))
    keys = [f"{number:064x}"[::-1] for number in range(5000)]
    assert all(map(mine.try_shared, keys))
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert another.try_shared(keys[0])
    assert not another.try_exclusive(keys[1])
    mine.release(keys[1])
    assert another.try_exclusive(keys[1])
    assert not mine.try_shared(keys[1])


# Two machines: two stores in one folder that take themselves for two, and whose flocks do not meet.


@pytest.fixture
def machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machines:
    def store_of(name: str) -> Store:
        def there(folder: Path) -> Owner:
            return this_process(folder)._replace(place=name, machine=name, boot=name, host=name)

        monkeypatch.setattr("corebox.store.store.this_process", there)
        store = Store(tmp_path / "home")
        (tmp_path / name).mkdir(exist_ok=True)
        store._locks._home = tmp_path / name
        return store

    return store_of


def test_a_prune_does_not_take_what_another_machine_builds(machines: Machines) -> None:
    here, there = machines("here"), machines("there")
    with there.adding():
        image = put_random_image(there, 1000, "app:1")
        there.remove(image)  # now its blobs are of no image, as those of a build that is under way
        with pytest.raises(HostError) as caught:
            here.prune()
        assert caught.value.code == "store-in-use"
    assert here.prune().freed >= 1000


def test_a_prune_leaves_the_roots_that_another_machine_uses(machines: Machines) -> None:
    here, there = machines("here"), machines("there")
    image = put_random_image(there, 1000, "app:1")
    with there.writer() as writer:
        writer.write(bytes(1024))
        blob = writer.commit()
    tree = there.unpacked([image.layers[0]._replace(digest=blob.digest)])
    here.prune()
    assert tree.exists()
    del there._roots  # as when the process ends
    here.prune()
    assert not tree.exists()


def test_what_another_machine_has_half_written_is_left_alone(machines: Machines) -> None:
    here, there = machines("here"), machines("there")
    with there.writer() as writer:
        writer.write(b"half")
        machines("here").prune()
        blob = writer.commit()
    assert here.has(blob.digest)


def test_images_that_two_machines_put_at_once_are_all_listed(
    machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "_PATIENCE", 300)
    stores = [machines(name) for name in ("here", "there")]

    def put(store: Store, name: str) -> None:
        for number in range(8):
            put_random_image(store, 10, f"{name}:{number}")

    threads = [threading.Thread(target=put, args=(store, f"app{number}")) for number, store in enumerate(stores)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(stores[0].images()) == 16


# The format's version


def test_a_store_of_a_newer_corebox_is_refused_and_not_touched(tmp_path: Path) -> None:
    Store(tmp_path)
    (tmp_path / "format.json").write_text(json.dumps({"format": version.FORMAT + 1}))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(HostError) as caught:
        Store(tmp_path)
    assert caught.value.code == "store-too-new"
    assert sorted(tmp_path.rglob("*")) == before


def test_a_version_that_is_nonsense_is_told(tmp_path: Path) -> None:
    Store(tmp_path)
    (tmp_path / "format.json").write_text("[")
    with pytest.raises(HostError) as caught:
        Store(tmp_path)
    assert caught.value.code == "store-unusable"
    assert "format.json" in caught.value.hint


def test_what_the_machine_left_before_it_was_started_again_goes(tmp_path: Path, us: Owner) -> None:
    Store(tmp_path)
    place = tmp_path / "tmp"
    mine = next(place.glob("*.json"))
    others = {
        "before": us._replace(place="before", boot="before"),
        "there": us._replace(place="there", boot="x", machine="x"),
    }
    for name, owner in others.items():
        (place / name / "half").mkdir(parents=True)
        (place / f"{name}.json").write_text(json.dumps(owner))
    mine.unlink()  # as when it is here for the first time
    Store(tmp_path)
    assert [(place / name).exists() for name in ("before", "there")] == [not us.machine, True]


def test_a_killed_process_leaves_a_store_that_works(tmp_path: Path) -> None:
    code = """
        import os, sys
        from pathlib import Path
        from corebox.store.store import Store
        with Store(Path(sys.argv[1]))._locks.exclusive("index"):
            os.kill(os.getpid(), 9)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code), tmp_path], check=False, timeout=60)
    assert (tmp_path / "locks" / "index.alone").exists()
    put_random_image(Store(tmp_path), 10, "app:1")
    assert not list((tmp_path / "locks").glob("index.*"))


def test_the_note_of_a_killed_process_goes_when_the_next_one_leaves_its_own(tmp_path: Path, us: Owner) -> None:
    killed = us._replace(pid=2**22 + 1)  # above the kernel's highest, PID_MAX_LIMIT
    living = locks_of(tmp_path, us)
    left = tmp_path / "locks" / "roots.with-0"
    left.write_text(json.dumps(killed))
    with living.noted("roots") as note, living.noted("roots") as another:
        assert set((tmp_path / "locks").iterdir()) == {note, another}
    assert list((tmp_path / "locks").iterdir()) == []
