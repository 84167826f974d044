"""Programs that the tests use, and how to find them."""

import glob
import os
import shutil
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "programs"


def python36() -> str:
    """The oldest Python that a customer may have; COREBOX_PYTHON36 names it, else it is looked for."""
    return find_python("3.6")


def find_python(version: str) -> str:
    """A Python of this version, e.g. ``3.13``: COREBOX_PYTHON313 names it, else it is looked for.

    Places are pyenv's and the PATH.
    """
    variable = "COREBOX_PYTHON" + version.replace(".", "")
    candidates = [os.environ.get(variable, "")]
    for root in (os.environ.get("PYENV_ROOT", ""), str(Path.home() / ".pyenv"), "/root/.pyenv"):
        candidates += sorted(glob.glob(f"{root}/versions/{version}.*/bin/python3"))
    candidates.append(shutil.which(f"python{version}") or "")  # last, because pyenv's shims stand for nothing
    found = next((path for path in candidates if path and os.access(path, os.X_OK)), None)
    assert found, f"the tests need a real Python {version}: pyenv install {version}, or set {variable}"
    return found
