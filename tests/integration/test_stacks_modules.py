"""gdb has all modules, also those that it does not find by itself: its stacks are whole, and corebox's are."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.support.evidence import gdb_alone, sound_report
from tests.support.lab import Lab
from tests.support.stacks import Crash, compile_library, compile_stacks, crash

LOADER = "/lib64/ld-linux-x86-64.so.2"


@pytest.fixture
def shared_memory() -> Iterator[Path]:
    """A folder in /dev/shm, which every sandbox has of its own."""
    folder = Path("/dev/shm") / f"corebox-test-{uuid4().hex}"
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


def stack(lab: Lab, made: Crash, engine: str = "bubblewrap") -> str:
    """The stack that gdb shows in the sandbox."""
    bundle = made.core.with_suffix(".corebox")
    gathered = lab.corebox("gather", made.core, "-o", bundle)
    assert gathered.status == 0, gathered.errors
    sound_report(lab, bundle, made.core, gdb_alone(made.core, made.executable))
    shown = lab.gdb(bundle, engine, "echo answer:\\n", "bt", "info symbol main").output.partition("answer:")[2]
    assert "?? ()" not in shown, shown
    assert "main in section .text" in shown, shown
    return shown


@pytest.mark.parametrize("flags", [("-pie",), ("-no-pie",)], ids=" ".join)
def test_a_program_started_through_the_dynamic_linker(flags: tuple[str, ...], tmp_path: Path, lab: Lab) -> None:
    program = compile_stacks(tmp_path / "stacks", *flags)
    library = compile_library(tmp_path / "library.so")
    made = crash(tmp_path / "work", LOADER, program, "library", library)
    shown = stack(lab, Crash(program, made.core))
    for number, name in enumerate(("crash", "enter", "call", "main")):
        assert f"#{number} " in shown
        assert f"{name} (" in shown


def test_a_program_whose_list_of_modules_is_gone(tmp_path: Path, lab: Lab) -> None:
    program = compile_stacks(tmp_path / "stacks", "-Wl,-z,norelro")
    library = compile_library(tmp_path / "library.so")
    shown = stack(lab, crash(tmp_path / "work", program, "library", library, "unlisted"))
    assert "enter (" in shown


def test_a_program_in_memory_that_all_programs_share(
    engine: str, shared_memory: Path, tmp_path: Path, lab: Lab
) -> None:
    program = compile_stacks(shared_memory / "stacks")
    library = compile_library(shared_memory / "library.so")
    shown = stack(lab, crash(tmp_path / "work", program, "library", library), engine)
    assert f"from {library}" in shown or "enter (called=" in shown
