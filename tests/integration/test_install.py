"""corebox works away from the checkout, from a wheel and from the source tree."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.lab import Lab
from tests.support.programs import install

CHECKOUT = Path(__file__).parents[2]


def copy_of_checkout(folder: Path) -> Path:
    """What git knows of the tree, so that nothing lying about is installed by accident."""
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=CHECKOUT,
        capture_output=True,
        check=True,
    ).stdout
    folder.mkdir()
    tar = subprocess.run(
        ["tar", "-c", "--null", "-T", "-", "--ignore-failed-read"],
        cwd=CHECKOUT,
        input=names,
        capture_output=True,
        check=False,
    )
    subprocess.run(["tar", "-x", "-C", folder], input=tar.stdout, check=True)
    return folder


@pytest.mark.parametrize("how", ["wheel", "source"])
def test_installed_corebox_does_the_main_job(bundle: Path, tmp_path: Path, how: str) -> None:
    source = copy_of_checkout(tmp_path / "source")
    if how == "wheel":
        build = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "-o", str(tmp_path), str(source)]
        subprocess.run(build, check=True, capture_output=True)
        source = next(tmp_path.glob("*.whl"))
    venv = tmp_path / "venv"
    install(venv, source)
    lab = Lab(tmp_path / "home", (str(venv / "bin" / "corebox"),))
    assert "compare (left=" in lab.gdb(bundle, "bubblewrap", "bt").output
    lab.done("gather", "--make-zipapp", tmp_path / "gather.pyz")
    helped = subprocess.run(
        [sys.executable, tmp_path / "gather.pyz", "--help"], capture_output=True, text=True, check=True
    )
    assert "exit status" in helped.stdout
