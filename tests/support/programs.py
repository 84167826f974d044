"""Programs that the tests use, and how to find them."""

import glob
import os
import shutil
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "programs"


def python36() -> str:
    """The oldest Python that a customer may have.

    COREBOX_PYTHON36 names it, else it is looked for under pyenv and on the PATH.
    """
    candidates = [os.environ.get("COREBOX_PYTHON36", "")]
    for root in (os.environ.get("PYENV_ROOT", ""), str(Path.home() / ".pyenv"), "/root/.pyenv"):
        candidates += sorted(glob.glob(f"{root}/versions/3.6*/bin/python3"))
    candidates.append(shutil.which("python3.6") or "")  # last, because pyenv's shims stand for nothing
    found = next((path for path in candidates if path and os.access(path, os.X_OK)), None)
    assert found, "the customer's side is tested on a real Python 3.6: pyenv install 3.6, or set COREBOX_PYTHON36"
    return found
