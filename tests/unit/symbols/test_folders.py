"""Debug files in folders: the build ID alone decides."""

import subprocess
from pathlib import Path

import pytest

from corebox.coredump import debug_path, read_elf
from corebox.errors import InputError
from corebox.symbols import find_symbols


def compiled(target: Path, *options: str) -> str:
    """A program with debug information at ``target``; its build ID, empty if it has none."""
    target.parent.mkdir(parents=True, exist_ok=True)
    source = b"int main(void) { return 0; }\n"
    subprocess.run(["gcc", "-g", "-x", "c", "-", "-o", str(target), *options], input=source, check=True)
    return read_elf(str(target)).build_id or ""


def test_found_under_any_name_and_in_a_build_id_tree(tmp_path: Path) -> None:
    named = compiled(tmp_path / "deep" / "any name", "-Wl,--build-id=0x01020304")
    path = tmp_path / debug_path("05060708")
    in_tree = compiled(path, "-Wl,--build-id=0x05060708")
    found = find_symbols([tmp_path], [named, in_tree, "99"])
    assert found == {named: tmp_path / "deep" / "any name", in_tree: path}


def test_a_file_without_build_id_is_never_taken(tmp_path: Path) -> None:
    assert compiled(tmp_path / "program", "-Wl,--build-id=none") == ""
    assert find_symbols([tmp_path], [""]) == {}


def test_debug_information_wins_over_a_symbol_table(tmp_path: Path) -> None:
    build_id = compiled(tmp_path / "b" / "full", "-Wl,--build-id=0x01020304")
    compiled(tmp_path / "a" / "names only", "-Wl,--build-id=0x01020304", "-g0")
    assert find_symbols([tmp_path / "a", tmp_path / "b"], [build_id]) == {build_id: tmp_path / "b" / "full"}


def test_what_is_no_elf_file_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no ELF file")
    (tmp_path / "damaged").write_bytes(b"\x7fELF" + bytes(3))
    (tmp_path / "dangling").symlink_to("nowhere")
    assert find_symbols([tmp_path], ["01020304"]) == {}


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a folder"):
        find_symbols([tmp_path / "nowhere"], ["01020304"])
