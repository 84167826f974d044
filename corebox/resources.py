"""Where the files that are layered into images lie: inside the wheel, or at the top of a checkout."""

from importlib.resources import files
from pathlib import Path


def shipped(name: str) -> Path:
    """Return the path of a shipped file or folder, e.g. ``Dockerfile.template`` or ``images/toolbox``.

    The wheel carries them under ``corebox/_shipped``; an editable install has them beside the package.
    """
    package = Path(str(files("corebox")))
    packaged = package / "_shipped" / name
    return packaged if packaged.exists() else package.parent / name
