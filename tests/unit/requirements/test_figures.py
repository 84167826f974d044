"""The sizes that CONTRIBUTING.md names are kept."""

import re
import statistics
from pathlib import Path

from tests.support.programs import REPOSITORY
from tests.support.sourcetree import PACKAGE, facts

FILES = sorted(path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py")


def limits(what: str) -> list[int]:
    """The numbers in the line of CONTRIBUTING.md that begins with these words."""
    (line,) = re.findall(rf"^- \*\*{what}\*\*(.*)$", (REPOSITORY / "CONTRIBUTING.md").read_text(), re.MULTILINE)
    return [int(number) for number in re.findall(r"\b\d+\b", line)]


def length(path: Path) -> int:
    return len(path.read_text().splitlines())


def test_files_are_short() -> None:
    usual, most, command = limits("Files")
    assert [str(path) for path in FILES if length(path) > most] == []
    assert [path.name for path in (PACKAGE / "cli").rglob("*.py") if length(path) > command] == []
    assert statistics.median(map(length, FILES)) <= usual


def test_functions_are_short() -> None:
    usual, many, most = limits("Functions")
    found = {f"{path.relative_to(PACKAGE)}:{name}": lines for path in FILES for name, lines in facts(path).functions}
    assert {name: lines for name, lines in found.items() if lines > most} == {}
    assert statistics.median(found.values()) <= usual
    assert statistics.quantiles(found.values(), n=10)[-1] <= many


def test_what_is_public_says_what_it_is() -> None:
    assert [name for path in FILES for name in facts(path).undocumented] == []
