"""Programs that crash under another name than their file's: the names are those by which they were started."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from corebox.coredump.core import open_core
from corebox.describe.program import program_of
from corebox.files.diskroot import DiskRoot
from corebox.gather.collect import GatherOptions, collect

ABORT = "import os; os.abort()\n"
# As the kernel starts a file of which only a descriptor is left.
BY_DESCRIPTOR = "import os; os.execve(os.open('{0}', os.O_RDONLY), ['worker', '-c', 'import os; os.abort()'], dict())"


def alias(folder: Path, python: Path) -> tuple[list[str], str]:
    (folder / "calculator").symlink_to(python)
    return [str(folder / "calculator"), "-c", ABORT], f"calculator ({python})"


def script(folder: Path, python: Path) -> tuple[list[str], str]:
    path = folder / "app.py"
    path.write_text(f"#!{python}\n{ABORT}")
    path.chmod(0o755)
    return [str(path), "--verbose"], f"app.py ({python})"


def module(folder: Path, python: Path) -> tuple[list[str], str]:
    (folder / "billing.py").write_text(ABORT)
    return [str(python), "-W", "ignore", "-m", "billing"], f"billing ({python})"


def descriptor(folder: Path, python: Path) -> tuple[list[str], str]:
    return [str(python), "-c", BY_DESCRIPTOR.format(python)], f"worker ({python})"


@pytest.mark.parametrize("start", [alias, script, module, descriptor])
def test_a_program_is_named_as_it_was_started(
    tmp_path: Path, start: Callable[[Path, Path], tuple[list[str], str]]
) -> None:
    python = Path("/usr/bin/python3").resolve()
    command, name = start(tmp_path, python)
    subprocess.run(command, cwd=tmp_path, check=False, stderr=sys.stderr)
    with open_core(str(tmp_path / "core")) as core, DiskRoot("/") as root:
        assert str(program_of(collect(core, root, GatherOptions()).manifest)) == name
