"""A core as a file of this machine's kernel, if it has FUSE; and what is known of that without it."""

import errno
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from corebox.bundle.blocks import BLOCK_SIZE
from corebox.files.extents import Extent
from corebox.ondemand import filesystem, mount
from corebox.ondemand.cache import BlockCache
from corebox.ondemand.filesystem import FILE, _Core
from corebox.ondemand.mount import Unservable, remove_dead_mounts, served, why_no_fuse
from corebox.ondemand.request import Request
from corebox.ondemand.source import BlockError
from tests.unit.ondemand.test_blocks import CORE, HEAD, Blocks, block, wanted

#: One can be seen to be lacking only by trying, in a container for example.
FUSE = why_no_fuse() is None and os.geteuid() == 0


def plain_request(folder: Path) -> Request:
    (folder / "file").write_bytes(bytes(HEAD) + CORE)
    (folder / "served").mkdir()
    return Request(folder / "served", Extent(HEAD, len(CORE)), wanted(folder).digests, folder / "file")


@pytest.mark.skipif(not FUSE, reason="this machine has no FUSE, or this user may not use it")
def test_a_core_is_a_file_until_the_end(tmp_path: Path) -> None:
    request = plain_request(tmp_path)
    with served(request) as serving:
        path = serving.path()
        assert path.read_bytes() == CORE
        with path.open("rb") as file:
            assert os.pread(file.fileno(), 100, 2 * BLOCK_SIZE - 50) == CORE[2 * BLOCK_SIZE - 50 :][:100]
        assert [each.name for each in request.folder.iterdir()] == [FILE]
        assert not (request.folder / "other").exists()
    assert not request.folder.is_mount()
    assert list(request.folder.iterdir()) == []


@pytest.mark.skipif(not FUSE, reason="this machine has no FUSE, or this user may not use it")
def test_what_a_killed_process_left_mounted_is_taken_away(tmp_path: Path) -> None:
    request = plain_request(tmp_path)
    with served(request) as serving:
        assert serving.path().stat().st_size == len(CORE)
        os.kill(serving.process_id, 9)
    assert not mount._is_mounted(request.folder)
    remove_dead_mounts(tmp_path)
    assert list(request.folder.iterdir()) == []


def test_a_process_that_answers_nothing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "corebox").mkdir()
    (tmp_path / "corebox/__init__.py").write_text("")
    (tmp_path / "corebox/ondemand.py").write_text("raise SystemExit(1)")
    request = plain_request(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    with served(request) as serving, pytest.raises(Unservable, match="ended"):
        serving.path()


def test_a_process_that_does_not_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mount, "_END", 0.1)
    with subprocess.Popen(["sleep", "1000"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        mount._end(process, tmp_path)
        assert process.returncode == -9


@pytest.mark.parametrize(
    ("device", "library", "why"),
    [
        ("/nowhere/fuse", "libfuse3.so.3", "there is no /nowhere/fuse"),
        ("/dev/null", None, "libfuse 3 is not installed"),
        ("/dev/null", "libfuse3.so.3", None),
    ],
)
def test_why_there_is_no_fuse(
    monkeypatch: pytest.MonkeyPatch, device: str, library: str | None, why: str | None
) -> None:
    monkeypatch.setattr(mount, "_DEVICE", device)
    monkeypatch.setattr(filesystem, "find_library", lambda: library)
    assert why_no_fuse() == why


def operations(cache: BlockCache, interrupted: bool = False) -> _Core:
    """What libfuse calls, with errors as mfusepy has them."""
    library = SimpleNamespace(FuseOSError=OSError, _libfuse=SimpleNamespace(fuse_interrupted=lambda: interrupted))
    return _Core(cache, lambda: None, library)


def test_the_folder_has_one_file_that_nobody_can_write() -> None:
    core = operations(BlockCache(Blocks(block), print))
    assert core.readdir("/", 0) == [".", "..", FILE]
    assert (oct(core.getattr("/")["st_mode"]), oct(core.getattr(f"/{FILE}")["st_mode"])) == ("0o40555", "0o100555")
    assert core.getattr(f"/{FILE}")["st_size"] == len(CORE)
    with pytest.raises(OSError, match=str(errno.ENOENT)):
        core.getattr("/other")
    assert core.read(f"/{FILE}", 20, BLOCK_SIZE - 10, 0) == CORE[BLOCK_SIZE - 10 :][:20]


def test_a_block_that_cannot_be_had_is_an_error_of_reading() -> None:
    def act(index: int) -> bytes:
        raise BlockError(f"block {index} is wrong", lasting=True)

    with pytest.raises(OSError, match=str(errno.EIO)):
        operations(BlockCache(Blocks(act), lambda _: None)).read(f"/{FILE}", 1, 0, 0)
