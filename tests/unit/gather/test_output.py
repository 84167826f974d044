"""Nobody loses a file by a slip, and what sudo has made belongs to who called it."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from corebox.gather.cli import main
from corebox.gather.output import give_to_caller
from corebox.unbundle.read import read_manifest
from tests.unit.gather.sites import EXECUTABLE


def run(core: Path, root: Path, *more: str) -> int:
    return main([str(core), "--root", str(root), "--no-nice", *more])


@pytest.fixture
def core(core_path: Path, tmp_path: Path) -> Path:
    """A core of which the user has one only."""
    return Path(shutil.copy(core_path, tmp_path / "core"))


def the_core(core: Path, root: Path) -> tuple[Path, tuple[str, ...]]:
    return core, ()


def a_link_to_the_core(core: Path, root: Path) -> tuple[Path, tuple[str, ...]]:
    link = core.with_name("link")
    link.symlink_to(core)
    return link, ()


def the_core_by_another_name(core: Path, root: Path) -> tuple[Path, tuple[str, ...]]:
    os.link(core, core.with_name("hard"))
    return core.with_name("hard"), ()


def the_executable(core: Path, root: Path) -> tuple[Path, tuple[str, ...]]:
    executable = Path(str(root) + EXECUTABLE)
    return executable, ("-e", str(executable))


@pytest.mark.parametrize("named", [the_core, a_link_to_the_core, the_core_by_another_name, the_executable])
@pytest.mark.parametrize("force", [(), ("--force",)], ids=["", "--force"])
def test_what_is_read_is_never_written(
    core: Path,
    root: Path,
    named: Callable[[Path, Path], tuple[Path, tuple[str, ...]]],
    force: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
) -> None:
    out, words = named(core, root)
    before = out.read_bytes()
    assert run(core, root, "-o", str(out), *words, *force) == 2
    assert f"{out} is an input and cannot be the output too" in capsys.readouterr().err
    assert out.read_bytes() == before


def test_what_is_no_bundle_is_replaced_by_force_only(
    core: Path, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "thesis.tar.gz"
    shutil.make_archive(str(tmp_path / "thesis"), "gztar", root)
    before = out.read_bytes()
    assert run(core, root, "-o", str(out)) == 2
    assert f"{out} exists and is not a bundle\nhint: " in capsys.readouterr().err
    assert run(core, root, "-o", str(out), "--dry-run") == 0
    assert out.read_bytes() == before
    assert run(core, root, "-o", str(out), "--force") == 0
    assert read_manifest(out)


def test_bundles_and_empty_files_may_be_replaced(core: Path, root: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.corebox"
    out.touch()  # mktemp
    assert run(core, root, "-o", str(out), "--no-core") == 0
    first = out.read_bytes()
    assert run(core, root, "-o", str(out)) == 0
    assert out.read_bytes() != first


def test_the_name_that_it_gives_itself_is_looked_at_too(
    core: Path, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(core, root) == 0
    (bundle,) = tmp_path.glob("*.corebox")
    bundle.write_text("notes on this crash")
    assert run(core, root) == 2
    assert bundle.read_text() == "notes on this crash"


def test_a_program_takes_the_place_of_a_program_only(tmp_path: Path) -> None:
    out = tmp_path / "corebox-gather.pyz"
    assert main(["--make-zipapp", str(out)]) == 0
    assert main(["--make-zipapp", str(out)]) == 0
    out.write_text("#!/bin/sh\necho mine\n")
    assert main(["--make-zipapp", str(out)]) == 2
    assert out.read_text().endswith("mine\n")
    assert main(["--make-zipapp", str(out), "--force"]) == 0


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """To whom files were given."""
    calls: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "fchown", lambda _, user, group: calls.append((user, group)))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("SUDO_UID", "1000")
    monkeypatch.setenv("SUDO_GID", "100")
    return calls


def test_a_file_made_under_sudo_belongs_to_the_caller(
    tmp_path: Path, given: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tmp_path / "x.corebox"
    made.touch()
    os.chown(made, os.getuid(), -1)
    mine = os.getuid() == 0  # only root's own files are given away
    give_to_caller(str(made))
    assert given == ([(1000, 100)] if mine else [])
    link = tmp_path / "link"
    link.symlink_to(made)
    give_to_caller(str(link))
    os.link(made, tmp_path / "other")
    give_to_caller(str(made))
    assert len(given) == mine
    monkeypatch.delenv("SUDO_UID")
    give_to_caller(str(made))
    assert len(given) == mine
