"""Where a file's code was."""

from pathlib import Path

import pytest

from corebox.coredump.values import Segment
from corebox.errors import InputError
from corebox.gdbside.memory.mapped import PF_R, PF_X
from corebox.gdbside.session.images import bias, places_of_code, quoted, read_image
from tests.unit.gdbside.standin import TEXT, core

SEGMENTS = [Segment(1, PF_R, 0, 0x1000, 0x500, 0x500), Segment(1, PF_R | PF_X, 0x1000, 0x3000, 0x800, 0x800)]


def test_the_running_python_is_an_image() -> None:
    header, segments = read_image("/proc/self/exe")
    assert header.entry
    assert any(each.flags & PF_X for each in segments)


@pytest.mark.parametrize("name", ["text", "none", "."])
def test_what_is_none(tmp_path: Path, name: str) -> None:
    (tmp_path / "text").write_text("no ELF file")
    with pytest.raises(InputError):
        read_image(str(tmp_path / name))


def test_how_far_it_was_moved_is_told_by_the_mapping_that_it_begins_with() -> None:
    mapped = core((TEXT, TEXT + 0x1000, PF_R, "/opt/acme/app"))
    assert bias(TEXT, mapped, SEGMENTS) == TEXT - 0x1000
    mapped.mappings[0].offset = 0x1000
    assert bias(TEXT, mapped, SEGMENTS) == TEXT - 0x3000
    mapped.mappings[0].offset = 0x8000
    assert bias(TEXT, mapped, SEGMENTS) == TEXT - 0x1000
    assert bias(0x10, mapped, []) == 0x10


def test_some_places_of_its_code() -> None:
    assert places_of_code(0x10000, SEGMENTS) == [0x13000, 0x13200, 0x13400, 0x13600]
    assert places_of_code(0, SEGMENTS[:1]) == []


def test_a_path_is_one_word_of_gdb_s() -> None:
    assert quoted("/opt/acme app/$(id)") == "/opt/acme\\ app/\\$\\(id\\)"
