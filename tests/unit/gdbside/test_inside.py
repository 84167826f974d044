"""What is laid out for gdb's Python is whole, and needs nothing but the standard library."""

import ast
import sys
from pathlib import Path

from corebox.image.inside import holds_our_python, lay_out_our_python, python_inside_gdb

TOP = "python/"
#: gdb's own, and what the toolbox has beside it.
THERE = {"gdb", "libstdcxx", "pystack"}


def modules() -> dict[str, Path]:
    """Name and source of each module of ours that gdb's Python finds."""
    files = {name.removeprefix(TOP): path for name, path in python_inside_gdb() if name.startswith(TOP)}
    return {name.removesuffix(".py").removesuffix("/__init__").replace("/", "."): each for name, each in files.items()}


def imported(path: Path, known: dict[str, Path]) -> set[str]:
    """The modules that a file imports: of ``from package import name`` the module of that name, if it is one."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{each.name}" for each in node.names}
            found.update({*(names & known.keys()), node.module})
    return found


def test_all_that_it_imports_is_there() -> None:
    known = modules()
    wanted = {name for path in known.values() for name in imported(path, known)}
    assert {name for name in wanted if name.startswith("corebox")} <= known.keys()


def test_it_needs_the_standard_library_and_gdb_alone() -> None:
    known = modules()
    tops = {name.partition(".")[0] for path in known.values() for name in imported(path, known)}
    assert tops - set(sys.stdlib_module_names) <= {"corebox", *THERE}


def test_gdb_learns_one_name_of_ours() -> None:
    tops = {name.removeprefix(TOP).partition("/")[0] for name, _ in python_inside_gdb() if name.startswith(TOP)}
    assert tops == {"corebox"}
    assert [name for name, _ in python_inside_gdb() if not name.startswith(TOP)] == ["session.py"]


def test_a_toolbox_that_has_the_same_is_used_as_it_is(tmp_path: Path) -> None:
    lay_out_our_python(tmp_path / "share/corebox")
    assert holds_our_python(tmp_path)
    changed = tmp_path / "share/corebox/python/corebox/errors.py"
    changed.write_text(changed.read_text() + "\n")
    assert not holds_our_python(tmp_path)
    changed.unlink()
    assert not holds_our_python(tmp_path)


def test_whoever_runs_gdb_may_read_it(tmp_path: Path) -> None:
    lay_out_our_python(tmp_path / "ours")
    assert all(path.stat().st_mode & 0o004 for path in (tmp_path / "ours").rglob("*"))
