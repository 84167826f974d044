"""Finds the error codes in the source: the first argument wherever one of our exceptions is made."""

import ast
from collections import defaultdict
from functools import cache
from pathlib import Path

import corebox

SOURCE = Path(corebox.__file__).parent
_CLASSES = ("CoreboxError", "HostError", "InputError", "UsageError")


@cache
def codes_in_source() -> dict[str, set[str]]:
    """Each code with the classes that it is raised as."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for path in SOURCE.rglob("*.py"):
        text = path.read_bytes()
        if b"Error(" not in text:
            continue
        for call in ast.walk(ast.parse(text)):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in _CLASSES:
                assert call.args, f"{path}:{call.lineno}: an error without a code"
                for code in _constants(call.args[0], f"{path}:{call.lineno}"):
                    found[code].add(call.func.id)
    return dict(found)


def _constants(node: ast.expr, where: str) -> list[str]:
    match node:
        case ast.Constant(str(code)):
            return [code]
        case ast.IfExp(body=body, orelse=orelse):
            return _constants(body, where) + _constants(orelse, where)
    raise AssertionError(f"{where}: a code must be written where the error is made")
