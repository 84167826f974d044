"""What corebox's own files import and define: each file is parsed once, and expressions are not looked into."""

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from tests.support.programs import REPOSITORY

PACKAGE = REPOSITORY / "corebox"
#: What statements keep other statements in, or what has some: handlers, cases.
_INNER = ("body", "orelse", "finalbody", "handlers", "cases")
_Function = ast.FunctionDef | ast.AsyncFunctionDef


class Facts(NamedTuple):
    """Of one file.

    Attributes:
        modules: the first parts of the names of the modules that it imports.
        functions: the name of each function and method, and its lines.
        undocumented: public functions, methods and classes without a docstring.
    """

    modules: frozenset[str]
    functions: tuple[tuple[str, int], ...]
    undocumented: tuple[str, ...]


@cache
def facts(path: Path) -> Facts:
    """Of the file of this path."""
    tree = ast.parse(path.read_bytes())
    nodes = list(_statements(tree.body))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    lines = ((node.name, (node.end_lineno or 0) - node.lineno + 1) for node in nodes if isinstance(node, _Function))
    return Facts(frozenset(name.split(".")[0] for name in names), tuple(lines), tuple(_undocumented(tree, path.stem)))


def _statements(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    for node in nodes:
        yield node
        for name in _INNER:
            yield from _statements(getattr(node, name, ()))


def _undocumented(node: ast.Module | ast.ClassDef, place: str) -> Iterator[str]:
    for child in node.body:
        if isinstance(child, _Function | ast.ClassDef) and not child.name.startswith("_"):
            overload = any(isinstance(each, ast.Name) and each.id == "overload" for each in child.decorator_list)
            if ast.get_docstring(child) is None and not overload:
                yield f"{place}.{child.name}"
            if isinstance(child, ast.ClassDef):
                yield from _undocumented(child, f"{place}.{child.name}")
