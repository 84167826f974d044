"""How far a module's symbols are known: by what the gatherer noted, and by the files at hand."""

from pathlib import Path

import pytest

from corebox.bundle.manifest import BuildIds, ModuleEntry
from corebox.coredump.elffile import debug_path, read_elf
from corebox.coredump.values import FULL, MINIMAL, NONE
from corebox.locate.status import CrashFiles, ModuleSymbols, module_symbols
from tests.support.debugfiles import debug_file
from tests.unit.bundle.samples import manifest

BUILD_ID = "0a0b0c0d"
METADATA = '{"type":"rpm","name":"acme-app","version":"4.2-1","architecture":"x86_64"}'


def compiled(target: Path, level: str = FULL, package: str = "") -> Path:
    return debug_file(target, BUILD_ID, level, package=package)


def module(path: str = "/opt/app", **changes: object) -> ModuleEntry:
    entry = ModuleEntry(path, (), 0x1000, 0x2000, True, BuildIds(BUILD_ID, BUILD_ID), "verified", 1, None)
    return entry._replace(**changes)  # type: ignore[arg-type]


def status(entry: ModuleEntry, *files: Path | None) -> ModuleSymbols:
    (found,) = module_symbols(CrashFiles(manifest(modules=(entry,)), *files))
    return found


@pytest.mark.parametrize("level", [FULL, MINIMAL, NONE])
def test_the_file_tells_where_nobody_noted_it(tmp_path: Path, level: str) -> None:
    compiled(tmp_path / "opt/app", level)
    assert status(module(), tmp_path).symbols == level
    assert status(module(symbols=FULL), tmp_path).symbols == FULL


def test_debug_files_of_the_image_count(tmp_path: Path) -> None:
    compiled(tmp_path / "debug" / debug_path(BUILD_ID))
    assert status(module(symbols=NONE), tmp_path, tmp_path / "debug").symbols == FULL
    assert status(module(symbols=NONE), tmp_path).symbols == NONE


def test_another_executable_counts_instead(tmp_path: Path) -> None:
    twin = compiled(tmp_path / "twin", MINIMAL)
    assert status(module(symbols=FULL), None, None, twin).symbols == MINIMAL


def test_a_path_that_leads_out_of_the_root_is_not_followed(tmp_path: Path) -> None:
    compiled(tmp_path / "app")
    (tmp_path / "root").mkdir()
    assert status(module("/../app"), tmp_path / "root").symbols == NONE


def test_where_the_rest_would_come_from() -> None:
    known = status(module(symbols=NONE, package="acme-app 4.2-1"))
    assert known.wanted == f"build ID {BUILD_ID}, package acme-app 4.2-1"
    assert known.to_json()["debuginfod"] == f"/buildid/{BUILD_ID}/debuginfo"
    assert status(module(build_id=BuildIds(None, None))).to_json()["debuginfod"] is None
    assert status(module(symbols=FULL)).wanted is None


def test_a_file_says_of_which_package_it_is(tmp_path: Path) -> None:
    assert read_elf(str(compiled(tmp_path / "app", package=METADATA))).package == "acme-app 4.2-1"
    assert read_elf(str(compiled(tmp_path / "none"))).package is None
    assert read_elf(str(compiled(tmp_path / "odd", package="[]"))).package is None
