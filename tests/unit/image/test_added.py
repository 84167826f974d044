"""COPY of files beside a company's template."""

import os
import tarfile
from pathlib import Path

import pytest

from corebox.errors import UsageError
from corebox.image.added import plan_step, replace_copies
from corebox.image.dockerfile import parse_dockerfile
from corebox.image.layers import PlannedLayer
from corebox.image.recipe import Step
from corebox.image.tar import Entry


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "scripts").mkdir()
    for name in ("a.py", "scripts/b.py", "scripts/c.py"):
        (tmp_path / name).write_text(name)
        (tmp_path / name).chmod(0o640)
        os.utime(tmp_path / name, (1700000000, 1700000000))
    return tmp_path


def files(step: Step, folder: Path, links: tuple[str, ...] = ()) -> list[Entry]:
    return [entry for entry in plan_step(step, folder, links).entries if entry.source is not None]


def test_a_file_to_a_name_keeps_mode_and_time(folder: Path) -> None:
    (entry,) = files(Step(1, ("a.py",), "/opt/x.py"), folder)
    assert (entry.path, entry.mode, entry.mtime, entry.source) == ("opt/x.py", 0o640, 1700000000, b"a.py")


def test_a_mode_can_be_given(folder: Path) -> None:
    (entry,) = files(Step(1, ("a.py",), "/opt/x.py", mode=0o755), folder)
    assert entry.mode == 0o755


def test_files_into_a_directory_and_a_directory_s_content(folder: Path) -> None:
    found = files(Step(1, ("a.py", "scripts"), "/opt/"), folder)
    assert [entry.path for entry in found] == ["opt/a.py", "opt/b.py", "opt/c.py"]


@pytest.mark.parametrize(
    ("sources", "target"),
    [
        (("nothing.py",), "/opt/"),
        (("../outside.py",), "/opt/"),
        (("/etc/passwd",), "/opt/"),
        (("a.py",), "opt/x"),
        (("a.py",), "/opt/../x"),
        (("a.py", "scripts"), "/opt"),
    ],
)
def test_what_cannot_be_copied_is_a_usage_error(folder: Path, sources: tuple[str, ...], target: str) -> None:
    with pytest.raises(UsageError) as caught:
        plan_step(Step(7, sources, target), folder, ())
    assert caught.value.code == "bad-dockerfile"
    assert "line 7" in caught.value.message


def test_a_link_of_the_image_is_not_replaced(folder: Path) -> None:
    with pytest.raises(UsageError) as caught:
        plan_step(Step(1, ("a.py",), "/lib/x/a.py"), folder, ("lib",))
    assert "/lib is a symbolic link" in caught.value.message


def test_an_archive_is_for_a_builder_that_unpacks_it(folder: Path) -> None:
    with tarfile.open(folder / "a.tar.gz", "w:gz") as archive:
        archive.add(folder / "a.py")
    with pytest.raises(UsageError) as caught:
        plan_step(Step(3, ("a.tar.gz",), "/opt/", unpacks=True), folder, ())
    assert caught.value.code == "not-native"
    assert files(Step(3, ("a.tar.gz",), "/opt/"), folder)[0].path == "opt/a.tar.gz"


def test_copies_become_layers_and_no_line_moves(folder: Path) -> None:
    built: list[PlannedLayer] = []

    def build(plan: PlannedLayer) -> str:
        built.append(plan)
        return f"added-{len(built)}.tar"

    text = "FROM scratch\nADD core.tar /\n{}ADD {} /\nCOPY no.py /\nCOPY --from=b a /\nUSER 1\n"
    before = text.format("COPY \\\n a.py \\\n /x/\n", "a.py")
    after = text.format("ADD added-1.tar /\n\n\n", "added-2.tar")
    made = replace_copies(parse_dockerfile(before), folder, (), ["core.tar"], build)
    assert made.text == after
    assert made.instructions == parse_dockerfile(after).instructions
    assert [plan.entries[-1].path for plan in built] == ["x/a.py", "a.py"]
