"""The program that an engine is tried with."""

import platform
import subprocess
from pathlib import Path

import pytest

from corebox.coredump.elffile import read_elf
from corebox.engine.trial import smallest_program


def test_the_smallest_program_runs_where_it_is_for(tmp_path: Path) -> None:
    program = tmp_path / "trial"
    program.write_bytes(smallest_program(platform.machine()))
    program.chmod(0o755)
    assert subprocess.run([program], check=False).returncode == 42


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_it_is_a_program_of_its_machine(tmp_path: Path, machine: str) -> None:
    program = tmp_path / "trial"
    program.write_bytes(smallest_program(machine))
    assert len(program.read_bytes()) < 200
    assert read_elf(str(program)).build_id is None
