"""The commands of ``corebox fleet``, but for the work, on crashes whose facts are known."""

import csv
import io
import json
from pathlib import Path

import pytest

from corebox.cli.main import main
from corebox.fleet.arrival import Labels
from corebox.fleet.database import Fleet
from tests.support.documents import validate
from tests.unit.fleet.conftest import AddCrash


@pytest.fixture
def said(fleet: Fleet, add: AddCrash, capsys: pytest.CaptureFixture[str]) -> "Said":
    """Three crashes, and a way to ask for them."""
    add()
    add(Labels("other", "ordersd", "1.1", "CASE-7"))
    add(family="=cmd|'/c calc'!A0", signature="hostile", cause="\x1b[2Jcleared", functions=("\x1b[31mred",))
    return Said(capsys)


class Said:
    """What the commands print."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *words: str, status: int = 0) -> str:
        assert main(["fleet", *words]) == status
        return self._capsys.readouterr().out

    def error(self, *words: str) -> str:
        assert main(["fleet", *words]) in (2, 3, 4)
        return self._capsys.readouterr().err


def test_the_families(said: Said) -> None:
    lines = said("top").splitlines()
    assert lines[0].split() == ["FAMILY", "CRASHES", "CUSTOMERS", "RELEASES", "FIRST", "LAST", "TICKET", "WHAT"]
    assert lines[1].split()[:4] == ["1", "2", "2", "2"]
    assert lines[1].endswith("null-dereference in copy_order")
    validate(json.loads(said("top", "--json")), "fleet-top")
    assert "BUG-1" not in said("top")
    said("family", "ticket", "1", "BUG-1")
    said("family", "name", "1", "the order bug")
    assert said("top").splitlines()[1].split(maxsplit=9)[-2:] == ["BUG-1", "the order bug"]
    said("family", "merge", "2", "1")
    assert len(said("top").splitlines()) == 2
    said("family", "split", "2")
    assert len(said("top").splitlines()) == 3
    assert "no family 9" in said.error("family", "name", "9", "x")


def test_a_spreadsheet_computes_nothing(said: Said) -> None:
    rows = list(csv.reader(io.StringIO(said("top", "--csv"))))
    assert rows[0][:2] == ["id", "text"]
    assert rows[2][1] == "'=cmd|'/c calc'!A0"
    assert list(csv.reader(io.StringIO(said("find", "--csv", "--limit", "1"))))[1][6].startswith("'=")


def test_crashes_are_found_and_shown(said: Said) -> None:
    assert [line.split()[0] for line in said("find").splitlines()] == ["CRASH", "fleet:3", "fleet:2", "fleet:1"]
    assert len(said("find", "--customer", "other").splitlines()) == 2
    assert said("find", "--since", "1h") == ""
    assert len(said("find", "--since", "2023-01-01", "--until", "2023-12-31T00:00").splitlines()) == 4
    validate(json.loads(said("find", "--json")), "fleet-find")
    validate(json.loads(said("show", "2", "--json")), "fleet-show")
    text = said("show", "2")
    assert "CASE-7" in text
    assert "#1 copy_order" in text
    assert "\x1b" not in said("show", "3") + said("find", "--json")
    assert "2026-13-45 is no time" in said.error("find", "--since", "2026-13-45")
    assert "no crash 9" in said.error("show", "9")


def test_what_is_compared(said: Said) -> None:
    for by, first in (("day", "2023-11-14 3 3"), ("release", "ordersd 1.0 2 2"), ("customer", "acme 2 2")):
        assert said("count", "--by", by).splitlines()[1].split() == first.split()
        validate(json.loads(said("count", "--by", by, "--json")), "fleet-count")
    assert said("count", "--csv", "--family", "1").splitlines() == ["day,crashes,seen", "2023-11-14,2,2"]
    assert said("changes", "ordersd", "1.1").splitlines()[1].split()[:4] == ["gone", "2", "1", "0"]
    validate(json.loads(said("changes", "ordersd", "1.1", "--json")), "fleet-changes")
    assert list(csv.reader(io.StringIO(said("changes", "ordersd", "1.1", "--csv"))))[1][2].startswith("'=")
    assert "no release 7" in said.error("changes", "ordersd", "7")
    assert said("apart", "1") == ""
    validate(json.loads(said("apart", "1", "--json")), "fleet-apart")
    assert said("apart", "1", "--csv").startswith("kind,value,")


def test_how_it_stands_and_what_is_done_again(said: Said) -> None:
    assert said("status").startswith("3 crashes: 0 waiting, 3 reported, 0 failed; seen 3 times\n2 families;")
    assert "which crashes?" in said.error("again")
    assert said("again", "--family", "1").startswith("2 crashes to report")
    validate(json.loads(said("status", "--json")), "fleet-status")
    said("hold", "1")
    said("hold", "1", "--off")
    assert "what is to be removed?" in said.error("forget")
    assert said("forget", "--older-than", "0", "--dry-run") == "would remove 0 bundles, 0 B\n"
    assert said("forget", "--limit", "1k") == "removed 0 bundles, 0 B\n"  # the first and last three stay
    assert "--limit x is not a number" in said.error("forget", "--limit", "x")
    assert said("forget", "--customer", "other", "--dry-run").startswith("would remove 1 crash,")
    assert said("forget", "--customer", "other").startswith("removed 1 crash,")


def test_what_is_no_bundle_is_not_taken(said: Said, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no bundle")
    (tmp_path / "encrypted").write_text("age-encryption.org/v1\n-> X25519 x\n")
    assert said("add", str(tmp_path / "text"), str(tmp_path / "encrypted"), str(tmp_path / "none"), status=3) == (
        "0 new crashes, 0 counted again; report them: corebox fleet work\n"
    )


def test_another_database_is_chosen(said: Said, tmp_path: Path) -> None:
    chosen = said("init", f"sqlite:///{tmp_path}/other.db", "--folder", str(tmp_path / "shared"))
    assert str(tmp_path / "shared") in chosen
    assert said("find") == ""
    assert said("init").startswith(f"sqlite:///{tmp_path}/other.db")
    assert "names no database" in said.error("init", "nonsense")


def test_a_subject_of_the_fleet(said: Said, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "fleet:1"]) == 3  # its facts are made up, and no bundle is there
    assert "bundle of crash 1 was removed" in capsys.readouterr().err
    assert main(["info", "fleet:x"]) == 2
    assert "names no crash" in capsys.readouterr().err
