"""Folders that are looked through for files by build ID: as far as need be, and not for ever."""

import os
from pathlib import Path

import pytest

from corebox.coredump.values import Module
from corebox.files.mounts import Mounts
from corebox.gather import also
from corebox.gather.also import FolderIndex
from corebox.gather.progress import ProgressLine
from tests.support.elfwriter import Format, module


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Libraries in folders a, b and c, and what is none of them."""
    for name, build_id in (("a/one.so", b"\x01\x01"), ("b/two.so", b"\x02\x02"), ("c/two.so", b"\x03\x03")):
        path = tmp_path / name
        path.parent.mkdir()
        path.write_bytes(module(Format(), build_id))
    (tmp_path / "a" / "text").write_text("not ELF")
    (tmp_path / "a" / "cut").write_bytes(module(Format(), b"\x02\x02")[:70])
    os.mkfifo(tmp_path / "a" / "fifo")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    return tmp_path


def wanted(build_id: str | None, name: str = "/opt/two.so") -> Module:
    return Module(name, (), 0x1000, 0x2000, build_id, False, False)


def names(index: FolderIndex, module: Module) -> list[str]:
    return ["/".join(path.split("/")[-2:]) for path in index.candidates(module)]


def test_it_is_looked_through_no_further_than_to_what_is_wanted(folder: Path) -> None:
    index = FolderIndex([str(folder)])
    assert next(index.candidates(wanted("0202"))).endswith("b/two.so")
    assert index._walk._waiting == [str(folder / "c")]
    assert next(index.candidates(wanted("0101"))).endswith("a/one.so")
    assert index._walk._waiting == [str(folder / "c")]
    assert names(index, wanted(None)) == ["b/two.so", "c/two.so"]
    assert names(index, wanted("ffff")) == []
    assert names(index, wanted("0303")) == ["c/two.so"]
    assert index.why_not_all is None


@pytest.mark.parametrize("bound", ["_MAX_ENTRIES", "_MAX_KEPT"])
def test_there_is_an_end_that_is_told(folder: Path, bound: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(also, bound, 1)
    index = FolderIndex([str(folder)])
    assert names(index, wanted("0303")) == []
    assert "not looked through to the end" in str(index.why_not_all)


def test_what_the_kernel_makes_and_what_may_not_answer_is_passed_over(folder: Path) -> None:
    index = FolderIndex([str(folder)])
    index._walk._mounts = Mounts(virtual=(str(folder / "a"),), slow=(str(folder / "b"),))
    assert names(index, wanted("0101")) == []
    assert names(index, wanted(None)) == ["c/two.so"]
    slow = FolderIndex([str(folder / "b")])  # asked for by its name
    slow._walk._mounts = Mounts(slow=(str(folder / "b"),))
    assert names(slow, wanted("0202")) == ["b/two.so"]


def test_a_line_tells_how_far_it_is(tmp_path: Path) -> None:
    for number in range(300):
        (tmp_path / str(number)).touch()
    seen: list[tuple[int, str]] = []
    index = FolderIndex([str(tmp_path)], lambda count, folder: seen.append((count, folder)))
    assert names(index, wanted("0202")) == []
    assert seen == [(256, str(tmp_path))]


class Terminal:
    """What a terminal was sent."""

    def __init__(self) -> None:
        self.text = ""

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None:
        pass


def test_the_line_is_short_and_moves_no_cursor(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr("corebox.gather.progress._INTERVAL", 0)
    line = ProgressLine(stream)  # type: ignore[arg-type]
    line.look(256, "/" + "x" * 200 + "/\x1b[2J")
    assert stream.text.count("\x1b") == 1
    assert stream.text.endswith("x/\\x1b[2J")
    assert len(stream.text) < 80
