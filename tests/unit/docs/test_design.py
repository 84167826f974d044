"""The page about the design is true: its picture is what import-linter checks, its packages and files exist."""

import re
import sys

from tests.support.programs import REPOSITORY

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PAGE = (REPOSITORY / "docs/explanation/design.md").read_text()


def section(heading: str) -> str:
    return PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def test_the_picture_is_the_layering_that_is_checked() -> None:
    contracts = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = (each["layers"] for each in contracts if each["type"] == "layers")
    picture = section("The layers").split("```")[1].strip().splitlines()
    assert [re.split(r"\s{2,}", line)[0] for line in picture] == layers


def test_each_package_has_a_row() -> None:
    rows = re.findall(r"^\| (`.*?) \|", section("The packages"), re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    there = {path.parent.name for path in (REPOSITORY / "corebox").glob("*/__init__.py")}
    there |= {path.stem for path in (REPOSITORY / "corebox").glob("*.py")} - {"__init__", "__main__"}
    assert named == there


def test_what_is_to_be_opened_exists() -> None:
    paths = re.findall(r"`([\w./-]*[/.][\w./-]*)`", section("To change something, open"))
    assert len(paths) > 20
    assert [path for path in paths if not (REPOSITORY / path).exists()] == []


def test_the_importer_of_each_dependency_is_the_one_that_the_page_names() -> None:
    page = (REPOSITORY / "docs/explanation/dependencies.md").read_text()
    contracts = (REPOSITORY / "pyproject.toml").read_text()
    only = dict(re.findall(r'name = "Only (\w+) imports (.*)"', contracts))
    modules = {"cyclonedx-python-lib": "cyclonedx", "packageurl-python": "packageurl", "libarchive-c": "libarchive"}
    rows = re.findall(r"^\| ([\w-]+)[^|]*\| `(\w+)` \|", page, re.MULTILINE)
    assert len(rows) > 10
    for name, package in rows:
        assert modules.get(name, name) in only[package], name
