"""The sizes that CONTRIBUTING.md names are kept."""

import ast
import re
import statistics
from collections.abc import Iterator
from pathlib import Path

from tests.support.programs import REPOSITORY

PACKAGE = REPOSITORY / "corebox"
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py")
Function = ast.FunctionDef | ast.AsyncFunctionDef


def limits(what: str) -> list[int]:
    """The numbers in the line of CONTRIBUTING.md that begins with these words."""
    (line,) = re.findall(rf"^- \*\*{what}\*\*(.*)$", (REPOSITORY / "CONTRIBUTING.md").read_text(), re.MULTILINE)
    return [int(number) for number in re.findall(r"\b\d+\b", line)]


def length(path: Path) -> int:
    return len(path.read_text().splitlines())


def functions() -> Iterator[tuple[str, int]]:
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, Function):
                yield f"{path.relative_to(PACKAGE)}:{node.name}", (node.end_lineno or 0) - node.lineno + 1


def undocumented(node: ast.AST, place: str) -> Iterator[str]:
    """Public functions, methods and classes without a docstring."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function | ast.ClassDef) and not child.name.startswith("_"):
            overload = any(isinstance(each, ast.Name) and each.id == "overload" for each in child.decorator_list)
            if ast.get_docstring(child) is None and not overload:
                yield f"{place}.{child.name}"
            if isinstance(child, ast.ClassDef):
                yield from undocumented(child, f"{place}.{child.name}")


def test_files_are_short() -> None:
    usual, most, command = limits("Files")
    assert [str(path) for path in FILES if length(path) > most] == []
    assert [path.name for path in (PACKAGE / "cli").rglob("*.py") if length(path) > command] == []
    assert statistics.median(map(length, FILES)) <= usual


def test_functions_are_short() -> None:
    usual, many, most = limits("Functions")
    found = dict(functions())
    assert {name: lines for name, lines in found.items() if lines > most} == {}
    assert statistics.median(found.values()) <= usual
    assert statistics.quantiles(found.values(), n=10)[-1] <= many


def test_what_is_public_says_what_it_is() -> None:
    assert [name for path in FILES for name in undocumented(ast.parse(path.read_text()), path.stem)] == []
