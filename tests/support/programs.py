"""Programs that the tests use, and how to find them."""

import glob
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.shared import CACHE, locked

HOST_GDB = "/usr/bin/gdb"  # the distribution's, not the one of the toolbox in our environment
TOOLBOX_GDB = str(Path(sys.executable).with_name("gdb"))  # that one: of all processors
REPOSITORY = Path(__file__).parents[2]
LOCK = REPOSITORY / "requirements" / "run.txt"
FOLDER = Path(__file__).parents[1] / "programs"
#: How the program that dies in many ways is compiled.
FAULTS_FLAGS = ("-O1", "-fstack-protector-all", "-D_FORTIFY_SOURCE=2", "-D_GLIBCXX_ASSERTIONS")


def python36() -> str:
    """The oldest Python that a customer may have; COREBOX_PYTHON36 names it, else it is looked for."""
    return find_python("3.6")


def python27() -> str:
    """A Python 2, which cannot run corebox and must say so; COREBOX_PYTHON27 names it, else it is looked for."""
    roots = (os.environ.get("PYENV_ROOT", ""), str(Path.home() / ".pyenv"), "/root/.pyenv")
    found = [os.environ.get("COREBOX_PYTHON27", ""), "/usr/bin/python2.7"]
    found += [path for root in roots for path in sorted(glob.glob(f"{root}/versions/2.7.*/bin/python2.7"))]
    python = next((path for path in found if path and os.access(path, os.X_OK)), None)
    assert python, "the tests need a real Python 2.7: pyenv install 2.7, or set COREBOX_PYTHON27"
    return python


def find_python(version: str) -> str:
    """A Python of this version, e.g. ``3.13``: COREBOX_PYTHON313 names it, else it is looked for.

    Places are pyenv's and the PATH.
    """
    variable = "COREBOX_PYTHON" + version.replace(".", "")
    candidates = [os.environ.get(variable, "")]
    for root in (os.environ.get("PYENV_ROOT", ""), str(Path.home() / ".pyenv"), "/root/.pyenv"):
        candidates += sorted(glob.glob(f"{root}/versions/{version}.*/bin/python{version}"))
    candidates.append(shutil.which(f"python{version}") or "")  # last, because pyenv's shims stand for nothing
    found = next((path for path in candidates if path and os.access(path, os.X_OK)), None)
    assert found, f"the tests need a real Python {version}: pyenv install {version}, or set {variable}"
    return found


def python_with_packages(version: str) -> str:
    """A Python of this version in a virtual environment with all that corebox depends on, made once and kept."""
    inputs = (REPOSITORY / "pyproject.toml").read_bytes() + LOCK.read_bytes()
    folder = CACHE / f"python{version}-{hashlib.sha256(inputs).hexdigest()[:8]}"
    with locked(f"python{version}"):
        if not (folder / "done").exists():
            install(folder, REPOSITORY, find_python(version))
            (folder / "done").touch()
    return str(folder / "bin" / "python")


def install(folder: Path, source: Path, python: str = sys.executable) -> None:
    """Make a virtual environment with corebox of ``source``, and by digest all else that it says it needs."""
    subprocess.run([python, "-m", "venv", "--clear", folder], check=True)
    subprocess.run([REPOSITORY / "tools/install-locked", folder, LOCK, source], check=True)
    subprocess.run([folder / "bin" / "pip", "check"], check=True)
