"""The Python that runs inside gdb: which of corebox's own files it is, and where in the toolbox they lie."""

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

from corebox.resources import shipped

#: What ``corebox.gdbside`` stands on; a test compares it with what that imports.
_PARTS = ("__init__.py", "gdbside")


def python_inside_gdb() -> Iterator[tuple[str, Path]]:
    """Each file, with its name beneath the toolbox's ``share/corebox``, in an order that is always the same."""
    yield "session.py", shipped("images/toolbox") / "session.py"
    package = Path(str(files("corebox")))
    for part in _PARTS:
        for path in [package / part] if part.endswith(".py") else sorted((package / part).rglob("*.py")):
            yield f"python/corebox/{path.relative_to(package)}", path
