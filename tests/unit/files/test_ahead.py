"""The search for zeros in a child gives what the search here gives, whatever becomes of the child or the file."""

import os
import signal
from pathlib import Path

import pytest

from corebox.files import ahead
from corebox.files.ahead import Ahead, looking_ahead
from corebox.files.extents import PAGE, data_extents


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with zeros in between and behind."""
    monkeypatch.setattr(ahead, "MIN_SIZE", PAGE)
    monkeypatch.setattr(ahead, "_STEP", 64 * PAGE)
    path = tmp_path / "core"
    with path.open("wb") as out:
        for number in range(600):
            out.write(bytes([number % 3]) * PAGE)
        out.truncate(1 << 30)
    return path


def extents(path: Path, found: Ahead | None) -> tuple[list[tuple[int, int]], int]:
    counts: list[int] = []
    with path.open("rb") as opened:
        size = path.stat().st_size
        look = found.extents(opened.fileno(), size, counts.append) if found else data_extents(opened.fileno(), size)
        return [(each.offset, each.size) for each in look], sum(counts)


def test_it_finds_the_same(file: Path) -> None:
    with looking_ahead(str(file), 0) as found:
        assert found
        assert extents(file, found) == (extents(file, None)[0], 600 * PAGE)
        assert extents(file, found)[0] == extents(file, None)[0]  # a second time


@pytest.mark.parametrize("size", [0, 8, 16, 160, 1000])
def test_a_child_that_is_killed_costs_nothing(size: int, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After any record, and within one."""
    whole = extents(file, None)[0]
    real = ahead._look

    def cut(descriptor: int, writing: int) -> None:
        reading, inner = os.pipe()
        real(descriptor, inner)
        os.write(writing, os.read(reading, 1 << 16)[:size])
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(ahead, "_look", cut)
    with looking_ahead(str(file), 0) as found:
        assert extents(file, found)[0] == whole


def test_a_file_that_has_changed_is_looked_through_here(file: Path) -> None:
    with looking_ahead(str(file), 0) as found:
        with file.open("r+b") as opened:
            opened.write(b"\1" * 9 * PAGE)
        assert extents(file, found)[0] == extents(file, None)[0]


def test_who_breaks_off_leaves_no_child(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    children: list[int] = []
    real = os.fork

    def fork() -> int:
        children.append(real())
        return children[-1]

    monkeypatch.setattr("corebox.files.ahead.os.fork", fork)
    with pytest.raises(KeyboardInterrupt), looking_ahead(str(file), 0):
        raise KeyboardInterrupt
    assert [Path(f"/proc/{child}").exists() for child in children] == [False]


def test_only_large_files_are_worth_it(tmp_path: Path) -> None:
    (tmp_path / "small").write_bytes(b"x")
    (tmp_path / "sparse").touch()
    os.truncate(tmp_path / "sparse", 1 << 40)
    os.mkfifo(tmp_path / "pipe")
    for name in ("small", "sparse", "pipe", "none", "."):
        with looking_ahead(str(tmp_path / name), 0) as found:
            assert found is None
