"""The contracts of import-linter hold for packages and libraries that do not exist yet."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.programs import REPOSITORY
from tests.support.sourcetree import PACKAGE, facts
from tests.unit.requirements.test_imports import INSIDE_GDB

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CONTRACTS = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
PACKAGES = sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))
MODULES = sorted(path.stem for path in PACKAGE.glob("[a-z]*.py"))


def test_each_library_has_a_contract_and_one_importing_package() -> None:
    importers: dict[str, set[str]] = {}
    for path in PACKAGE.rglob("*.py"):
        package = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        for name in facts(path).modules - set(sys.stdlib_module_names) - {"corebox", "tomllib", "libstdcxx"}:
            importers.setdefault(name, set()).add(package)
    assert {name: packages for name, packages in importers.items() if len(packages) > 1} == {}
    only = [each for each in CONTRACTS if each["name"].startswith("Only ")]
    assert all(each["source_modules"] == ["corebox.*"] for each in only), "a new package is among these"
    named = {name: each["name"].split()[1] for each in only for name in each["forbidden_modules"]}
    assert named == {name: next(iter(packages)) for name, packages in importers.items()}
    assert INSIDE_GDB - {"libstdcxx"} <= set(named)


def checked(folder: Path, files: Mapping[str, str]) -> str:
    """What import-linter says about a tree of all our packages, each empty but for these files."""
    names = [*(f"{name}/__init__.py" for name in PACKAGES), *(f"{name}.py" for name in MODULES), "__init__.py"]
    for name in [*names, *files]:
        path = folder / "corebox" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(files.get(name, ""))
    program = (
        "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(sys.argv[1], no_cache=True))"
    )
    words = [sys.executable, "-c", program, str(REPOSITORY / "pyproject.toml")]
    done = subprocess.run(words, cwd=folder, env={"PYTHONPATH": "."}, capture_output=True, text=True, check=False)
    assert done.returncode == ("BROKEN" in done.stdout), done.stdout + done.stderr
    return done.stdout


def broken(said: str) -> list[str]:
    """The names of the broken contracts."""
    return sorted(line.removesuffix(" BROKEN") for line in said.splitlines() if line.endswith(" BROKEN"))


def test_the_empty_tree_breaks_nothing(tmp_path: Path) -> None:
    assert broken(checked(tmp_path, {"cli/main.py": "import click", "engine/docker.py": "import docker"})) == []


@pytest.mark.parametrize(
    ("files", "contract"),
    [
        ({"fresh/__init__.py": ""}, "Data flows one way"),
        ({"fresh/__init__.py": "", "fresh/x.py": "import docker"}, "Only engine imports docker and requests"),
        ({"fresh.py": "import click"}, "Only cli imports click"),
        ({"store/fresh.py": "import corebox.actions"}, "Data flows one way"),
        ({"gather/fresh.py": "import urllib3"}, "Only web imports urllib3"),
        (
            {"bundle/fresh.py": "import click"},
            "What runs at the customer site imports nothing that has to be installed there",
        ),
    ],
    ids=["no place", "a library", "a module", "upwards", "a module of a package", "the customer's side"],
)
def test_what_is_new_is_checked_too(files: Mapping[str, str], contract: str, tmp_path: Path) -> None:
    assert contract in broken(checked(tmp_path, files))
