"""Locks between processes, and what a process that dies leaves behind."""

import errno
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from corebox.errors import HostError
from corebox.files.temporary import is_abandoned
from corebox.store.files import explained, locked, try_lock, write_atomically
from corebox.store.store import Store

REPOSITORY = Path(__file__).parents[3]


def run_python(code: str, *arguments: object) -> "subprocess.Popen[str]":
    """Another process that uses corebox; it prints a line when it has come to the point."""
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    )


def read_line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def finish(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.communicate()


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    for content in (b"old", b"new"):
        write_atomically(tmp_path / "file", content, tmp_path / "scratch")
    assert list((tmp_path / "scratch").iterdir()) == []
    assert (tmp_path / "file").read_bytes() == b"new"


def test_shared_locks_go_together_and_exclude_an_exclusive_one(tmp_path: Path) -> None:
    with locked(tmp_path / "lock", shared=True):
        shared = try_lock(tmp_path / "lock", shared=True)
        assert shared is not None
        os.close(shared)
        assert try_lock(tmp_path / "lock") is None


def test_no_space_is_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(HostError) as caught, explained(tmp_path), Path("/dev/full").open("wb", buffering=0) as full:
        full.write(b"x")
    assert caught.value.code == "no-space"
    assert "corebox prune" in caught.value.hint


def test_the_next_process_cleans_what_a_killed_one_left(tmp_path: Path) -> None:
    home = tmp_path / "home"
    code = """
        import sys, time
        from pathlib import Path
        from corebox.store.store import Store
        store = Store(Path(sys.argv[1]))
        with store.writer() as writer:
            writer.write(b"half a blob")
            print("written", flush=True)
            time.sleep(60)
    """
    process = run_python(code, home)
    assert read_line(process) == "written"
    Store(home)
    assert len(list(home.glob("tmp/*/*"))) == 1, "the files of a running process are left alone"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    Store(home)
    assert list(home.glob("tmp/*/*")) == []
    assert list((home / "oci" / "blobs" / "sha256").iterdir()) == []


def test_prune_waits_for_a_build_of_another_process(tmp_path: Path) -> None:
    store = Store(tmp_path / "home")
    code = """
        import sys
        from pathlib import Path
        from corebox.store.store import Store
        store = Store(Path(sys.argv[1]))
        print("pruning", flush=True)
        store.prune()
        print("pruned", flush=True)
    """
    with store.adding():
        with store.writer() as writer:
            writer.write(b"a layer that no image refers to yet")
            blob = writer.commit()
        process = run_python(code, store.home)
        assert read_line(process) == "pruning"
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.3)
        assert store.has(blob.digest)
    assert read_line(process) == "pruned"
    finish(process)
    assert not store.has(blob.digest)


def test_prune_leaves_a_root_that_another_process_uses(tmp_path: Path) -> None:
    store = Store(tmp_path / "home")
    code = """
        import io, sys, tarfile, time
        from pathlib import Path
        from corebox.store.store import Store
        from corebox.store.values import Layer
        store = Store(Path(sys.argv[1]))
        with store.writer() as writer:
            writer.write(tarfile.TarInfo("file").tobuf() + bytes(1024))
            blob = writer.commit()
        print(store.unpacked([Layer(blob.digest, blob.size, "core", blob.digest)]), flush=True)
        time.sleep(60)
    """
    process = run_python(code, store.home)
    tree = Path(read_line(process))
    store.prune()
    assert (tree / "file").exists()
    finish(process)
    store.prune()
    assert not tree.exists()


def test_two_processes_add_images_at_once(tmp_path: Path) -> None:
    code = """
        import sys
        from pathlib import Path
        from corebox.store.store import Store
        store = Store(Path(sys.argv[1]))
        for number in range(20):
            config = {"number": number, "who": sys.argv[2], "rootfs": {"diff_ids": []}}
            store.put_image({"schemaVersion": 2, "layers": []}, config, [f"{sys.argv[2]}:{number}"])
    """
    processes = [run_python(code, tmp_path / "home", who) for who in ("one", "two")]
    for process in processes:
        process.communicate()
        assert process.returncode == 0
    names = {tag for image in Store(tmp_path / "home").images() for tag in image.tags}
    assert names == {f"{who}:{number}" for who in ("one", "two") for number in range(20)}


def test_a_folder_is_abandoned_when_its_process_has_died(tmp_path: Path) -> None:
    code = """
        import sys, time
        from corebox.files.temporary import temporary_directory
        with temporary_directory(sys.argv[1]) as folder:
            print(folder, flush=True)
            time.sleep(600)
    """
    process = run_python(code, tmp_path)
    folder = read_line(process).strip()
    assert not is_abandoned(folder)
    process.kill()
    process.communicate()
    assert Path(folder).is_dir()
    assert is_abandoned(folder)
    assert is_abandoned(f"{folder}/gone")


@pytest.mark.parametrize("way", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_locks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: int) -> None:
    """As ComparativeGenomicsToolkit/cactus#1299 asks for, whose users read "No locks available" and no more."""

    def without_locks(_descriptor: int, _operation: int) -> None:
        raise OSError(way, os.strerror(way))

    monkeypatch.setattr("fcntl.flock", without_locks)
    with pytest.raises(HostError) as caught, explained(tmp_path), locked(tmp_path / "lock"):
        pass
    assert (caught.value.code, "has locks (flock)" in str(caught.value.hint)) == ("store-unusable", True)
