"""What of the files that hostile code has made comes to the user, and under which names."""

import os
from pathlib import Path

import pytest

from corebox.actions import output
from corebox.actions.output import lent_output


def test_plain_files_come_and_nothing_else(tmp_path: Path) -> None:
    told: list[str] = []
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/there").write_text("the user's")
    (tmp_path / "secret").write_text("secret")
    with lent_output(tmp_path / "mine", tmp_path, told.append) as lent:
        assert lent is not None
        (lent / "log.txt").write_text("logged")
        (lent / "a/b").mkdir(parents=True)
        (lent / "a/b/dump").write_bytes(b"\0" * 10)
        (lent / "there").write_text("theirs")
        (lent / ".bashrc").write_text("evil")
        (lent / ".git").mkdir()
        (lent / ".git/config").write_text("evil")
        (lent / "link").symlink_to(tmp_path / "secret")
        (lent / "folder").symlink_to("/etc")
        (lent / "hard").hardlink_to(tmp_path / "secret")
        os.mkfifo(lent / "pipe")
        (lent / "\x1b[31mred").write_text("x")
        (lent / "shut").mkdir()
        (lent / "shut/x").write_text("x")
        (lent / "shut").chmod(0)
    mine = tmp_path / "mine"
    assert sorted(str(path.relative_to(mine)) for path in mine.rglob("*") if path.is_file()) == [
        "a/b/dump",
        "log.txt",
        "shut/x",
        "there",
    ]
    assert (mine / "there").read_text() == "the user's"
    assert (mine / "log.txt").stat().st_mode & 0o777 == 0o600
    assert len(told) == 8, told


def test_very_many_files_and_very_deep_folders_have_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "MAX_FILES", 3)
    told: list[str] = []
    with lent_output(tmp_path / "mine", tmp_path, told.append) as lent:
        assert lent is not None
        deep = lent / "/".join(["z"] * 100)
        deep.mkdir(parents=True)
        for number in range(5):
            (lent / f"f{number}").touch()
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == ["f0", "f1", "f2"]
    assert told == ["more than 3 files: the rest is not copied"]
    told.clear()
    monkeypatch.setattr(output, "MAX_FILES", 100)
    (tmp_path / "second").mkdir()
    with lent_output(tmp_path / "mine2", tmp_path / "second", told.append) as lent:
        assert lent is not None
        (lent / "/".join(["z"] * 100)).mkdir(parents=True)
    assert len(told) == 1
    assert told[0].endswith("it is nested too deeply")


def test_without_a_folder_there_is_none(tmp_path: Path) -> None:
    with lent_output(None, tmp_path, print) as lent:
        assert lent is None
