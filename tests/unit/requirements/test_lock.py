"""The lock files are what pyproject.toml asks for, on every Python that it allows, and nothing without a digest."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from build import ProjectBuilder
from build.util import project_wheel_metadata
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.programs import REPOSITORY

PYTHONS = ("3.10", "3.11", "3.12", "3.13")
EXTRAS = {"run.txt": ("",), "dev.txt": ("", "dev")}
REPAIR = "requirements/ does not agree with pyproject.toml; repair: make lock"
DIGEST = re.compile(r"--hash=sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Pin:
    """One requirement of a lock file, how many digests it has, and whether nobody but corebox asks for it."""

    requirement: Requirement
    digests: int
    direct: bool


def read_lock(text: str) -> Iterator[Pin]:
    """The pins; a line that is none, as an index's address or a folder of this machine, is an error."""
    lines = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE)
    for block in re.split(r"^(?=\S)", lines, flags=re.MULTILINE)[1:]:
        words, _, origin = block.partition("    # via")
        first, *digests = words.split("\\\n")
        for digest in digests:
            assert DIGEST.fullmatch(digest.strip()), digest
        # What comes from the build system is not from a file, so that uv has no origin for it.
        origins = {each.strip(" #") for each in origin.splitlines()} - {"", "-c requirements/dev.txt"}
        yield Pin(Requirement(first.strip()), len(digests), origins <= {"corebox (pyproject.toml)"})


def holds(requirement: Requirement, python: str, extras: tuple[str, ...]) -> bool:
    """Whether a requirement is one on this machine with that Python."""
    versions = {"python_version": python, "python_full_version": f"{python}.9"}
    return not requirement.marker or any(requirement.marker.evaluate({**versions, "extra": each}) for each in extras)


def disagreements(wanted: list[Requirement], lock: str, python: str, extras: tuple[str, ...]) -> Iterator[str]:
    """What is wrong with a lock file for what is wanted."""
    pins = [pin for pin in read_lock(lock) if holds(pin.requirement, python, extras)]
    by_name = {canonicalize_name(pin.requirement.name): pin for pin in pins}
    assert len(by_name) == len(pins)
    names = set()
    for each in (each for each in wanted if holds(each, python, extras)):
        names.add(name := canonicalize_name(each.name))
        version = str(by_name[name].requirement.specifier).removeprefix("==") if name in by_name else "nothing"
        if name not in by_name or not each.specifier.contains(version):
            yield f"{each}: {version}"
    for name, pin in by_name.items():
        if not pin.digests or not str(pin.requirement.specifier).startswith("==") or pin.requirement.url:
            yield f"not pinned: {pin.requirement}"
        if pin.direct and name not in names:
            yield f"not wanted: {pin.requirement}"


@pytest.fixture(scope="module")
def wanted() -> list[Requirement]:
    """What pyproject.toml asks for, to run, to develop and to build."""
    project = ProjectBuilder(REPOSITORY)
    metadata = project_wheel_metadata(REPOSITORY, isolated=False)
    requires = [*metadata.get_all("Requires-Dist", []), *project.build_system_requires]
    return [Requirement(each) for each in (*requires, *project.get_requires_for_build("editable"))]


@pytest.fixture(params=EXTRAS)
def lock(request: pytest.FixtureRequest) -> Path:
    """Each lock file."""
    return Path(REPOSITORY / "requirements" / request.param)


@pytest.mark.parametrize("python", PYTHONS)
def test_lock_file_is_what_the_project_asks_for(lock: Path, wanted: list[Requirement], python: str) -> None:
    assert list(disagreements(wanted, lock.read_text(), python, EXTRAS[lock.name])) == [], REPAIR


HASH = f"    --hash=sha256:{'0' * 64}\n"
CLICK = f"click==8.2 \\\n{HASH}    # via\n    #   corebox (pyproject.toml)\n"


@pytest.mark.parametrize(
    ("wanted", "lock", "found"),
    [
        ("click>=8.1", CLICK, []),
        ("click>=8.3", CLICK, ["click>=8.3: 8.2"]),
        ("isal>=1.7", "", ["isal>=1.7: nothing"]),
        ("click>=8.1", CLICK.replace("==", ">="), ["click>=8.1: >=8.2", "not pinned: click>=8.2"]),
        ("click>=8.1", "click==8.2\n", ["not pinned: click==8.2"]),
        ("click>=8.1", f"{CLICK}isal==1.7 \\\n{HASH}", ["not wanted: isal==1.7"]),
        ("click>=8.1; python_version < '3.11'", CLICK, ["not wanted: click==8.2"]),
    ],
    ids=["agrees", "too old", "missing", "a range", "no digest", "left over", "for another Python"],
)
def test_disagreement_is_found(wanted: str, lock: str, found: list[str]) -> None:
    assert list(disagreements([Requirement(wanted)], lock, "3.11", ("",))) == found


@pytest.mark.parametrize("line", ["--extra-index-url https://pypi.example/simple", "-e /srv/app", "./wheels/x.whl"])
def test_places_are_not_locked(line: str) -> None:
    with pytest.raises(ValueError, match="Expected"):
        list(read_lock(f"{CLICK}{line}\n"))
