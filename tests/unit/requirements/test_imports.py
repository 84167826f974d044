"""What corebox imports is declared, and what is declared is used."""

import itertools
import re
import sys
from importlib.metadata import packages_distributions

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from tests.support.programs import REPOSITORY
from tests.support.sourcetree import PACKAGE, facts

#: Shipped as files in the toolbox, never imported (docs/explanation/dependencies.md).
FILES = {"gdb-for-pwndbg", "pystack"}
#: SQLAlchemy and Procrastinate load it by its name.
DRIVERS = {"psycopg"}
#: What gdb's Python finds in the toolbox, and nobody outside it.
INSIDE_GDB = {"gdb", "libstdcxx", "pystack"}


def imported() -> set[str]:
    """The distributions of all modules that corebox imports and Python does not bring."""
    names = {name for path in PACKAGE.rglob("*.py") for name in facts(path).modules}
    others = names - set(sys.stdlib_module_names) - {"corebox", "tomllib"} - INSIDE_GDB
    distributions = packages_distributions()
    return {canonicalize_name(distributions[name][0]) for name in others - {"tomli"}} | {"tomli"}


def test_imports_are_the_dependencies_that_are_declared() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    extras = (lines for name, lines in project["optional-dependencies"].items() if name != "dev")
    lines = itertools.chain(project["dependencies"], *extras)
    declared = {canonicalize_name(Requirement(line).name) for line in lines}
    assert imported() == declared - FILES - DRIVERS


def test_each_dependency_says_why_it_is_one() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    page = (REPOSITORY / "docs/explanation/dependencies.md").read_text()
    declared = {Requirement(line).name for line in project["dependencies"]}
    assert sorted(name for name in declared if not re.search(rf"^\| {re.escape(name)}\b", page, re.MULTILINE)) == []
