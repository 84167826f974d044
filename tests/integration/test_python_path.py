"""Pretty-printers that a company has in a Python package of its own."""

from pathlib import Path

from tests.support.lab import Lab

PACKAGE = """
import gdb
from .pointers import Pointer


def look(value):
    return Pointer() if str(value.type) == "const void *" else None


gdb.pretty_printers.insert(0, look)
"""
PRINTER = """
class Pointer:
    def to_string(self):
        return "ACME POINTER"
"""


#: Of modules of ours, in and out of packages: a company may have all of them.
COMMON_NAMES = ("session", "report", "memory", "why", "faults", "cfi", "heap", "values", "frames", "bounded", "gdbside")


def packages(folder: Path) -> Path:
    """A folder with one that works, one that fails, and one that has the name of Python's own."""
    for name, text in (("acme/__init__.py", PACKAGE), ("acme/pointers.py", PRINTER), ("broken.py", "1 / 0\n")):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / "json.py").touch()
    for name in COMMON_NAMES:
        (folder / f"{name}.py").write_text("ours = True\n")
    return folder


def test_its_printers_work_in_every_command(lab: Lab, bundle: Path, engine: str, tmp_path: Path) -> None:
    image = lab.build(bundle)["image_id"]
    folder = packages(tmp_path / "printers")
    shown = lab.gdb(image, engine, "print left", options=["--python-path", folder])
    assert "ACME POINTER" in shown.output
    assert "cannot import broken: division by zero" in shown.errors
    assert "cannot import json: Python, gdb or corebox has a module of this name" in shown.errors
    assert shown.errors.count("cannot import") == 2
    script = tmp_path / "show.py"
    known = " and ".join(f"__import__('{name}').ours" for name in COMMON_NAMES)
    show = "print(gdb.parse_and_eval('left').format_string())"
    script.write_text(f"import gdb\nimport acme\nassert {known}\nsession = report = why = gdbside = None\n{show}\n")
    settings = tmp_path / "config.toml"
    settings.write_text('python-path = "printers"\n')
    configured = {"COREBOX_CONFIG": str(settings)}
    assert "ACME POINTER" in lab.done("run", image, script, "--engine", engine, env=configured).output
    assert "ACME POINTER" in lab.done("report", image, "--format", "json", "--engine", engine, env=configured).output
    assert lab.done("similar", image, "--engine", engine, env=configured).status == 0


def test_a_folder_that_is_not_there_is_told(lab: Lab, bundle: Path, tmp_path: Path) -> None:
    done = lab.corebox("report", bundle, "--engine", "bubblewrap", "--python-path", tmp_path / "none")
    assert done.status == 3
    assert "is not a folder" in done.errors
