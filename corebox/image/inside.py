"""The Python that runs inside gdb: which of corebox's own files it is, and where in the toolbox they lie."""

import shutil
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

from corebox.resources import shipped
from corebox.store.within import file_within

#: What ``corebox.gdbside`` stands on; a test compares it with what that imports.
_PARTS = ("__init__.py", "errors.py", "printable.py", "files", "coredump", "gdbside")


def python_inside_gdb() -> Iterator[tuple[str, Path]]:
    """Each file, with its name beneath the toolbox's ``share/corebox``, in an order that is always the same."""
    yield "session.py", shipped("images/toolbox") / "session.py"
    package = Path(str(files("corebox")))
    for part in _PARTS:
        for path in [package / part] if part.endswith(".py") else sorted((package / part).rglob("*.py")):
            yield f"python/corebox/{path.relative_to(package)}", path


def holds_our_python(toolbox: Path) -> bool:
    """Whether an unpacked toolbox has these very files: then it has them compiled, too."""
    for name, path in python_inside_gdb():
        there = file_within(toolbox, f"share/corebox/{name}")
        if there is None or there.stat().st_size != path.stat().st_size or there.read_bytes() != path.read_bytes():
            return False
    return True


def lay_out_our_python(top: Path) -> None:
    """Copies of these files below ``top``, which everybody may read."""
    for name, path in python_inside_gdb():
        copy = top / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
        copy.chmod(0o644)
    for folder in (top, *(each for each in top.rglob("*") if each.is_dir())):
        folder.chmod(0o755)
