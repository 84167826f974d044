"""What holds a customer's memory is its owner's alone, whatever the umask under which corebox runs."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.crashes import build_program
from tests.support.lab import Lab

#: What the sandbox's user, who is not the owner, reads; nobody else gets there, for the folders above it are 0700.
UNPACKED = "tree"


@dataclass(frozen=True)
class Desk:
    """Commands with a umask, on the core of a small program."""

    lab: Lab
    core: Path
    folder: Path


@pytest.fixture(scope="module", params=["000", "022"])
def desk(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A desk with a bundle, and an image of it in the store."""
    folder = tmp_path_factory.mktemp("private")
    umask = ("sh", "-c", f'umask {request.param}; exec "$@"', "sh")
    lab = Lab(folder / "home", (*umask, sys.executable, "-m", "corebox"))
    core = build_program(folder / "app").crash()
    made = Desk(lab, core, folder)
    lab.done("gather", core, "-o", folder / "x.corebox", "--no-nice")
    lab.done("build", folder / "x.corebox", "--no-load", "-t", "crash")
    return made


def open_to_others(path: Path) -> list[str]:
    """What other users may look into or write, of a file or of a folder and all that is in it."""
    return [f"{each} {each.lstat().st_mode & 0o777:o}" for each in walk(path) if each.lstat().st_mode & 0o077]


def walk(path: Path) -> Iterator[Path]:
    """The path, and what is beneath it but for unpacked layers."""
    yield path
    for each in path.iterdir() if path.is_dir() else ():
        if each.name != UNPACKED:
            yield from walk(each)


@pytest.mark.parametrize(
    "command",
    [
        ("gather", "{core}", "-o", "{out}", "--no-nice"),
        ("gather", "{core}", "-o", "{out}", "--no-nice", "--slim", "--redact", "env"),
        ("gather", "{core}", "-o", "{out}", "--no-nice", "--encrypt-to", "{key}"),
        ("export", "crash", "--core", "{out}"),
        ("export", "crash", "--bundle", "{out}"),
        ("build", "{bundle}", "--no-load", "--context", "{out}"),
    ],
    ids=lambda words: " ".join(word for word in words if "{" not in word),
)
def test_what_a_command_writes(desk: Desk, tmp_path: Path, command: tuple[str, ...]) -> None:
    made = subprocess.run(["age-keygen", "-o", tmp_path / "age"], check=True, capture_output=True, text=True)
    words = {
        "core": desk.core,
        "bundle": desk.folder / "x.corebox",
        "key": made.stderr.split()[-1],
        "out": tmp_path / "out",
    }
    desk.lab.done(*(word.format(**words) for word in command))
    assert (tmp_path / "out").exists()
    assert open_to_others(tmp_path / "out") == []


def test_a_core_that_is_made_of_a_compact_one(desk: Desk, tmp_path: Path) -> None:
    """As after a pull: nothing is unpacked."""
    shutil.rmtree(desk.lab.home / "roots")
    desk.lab.done("export", "crash", "--core", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == desk.core.read_bytes()
    assert open_to_others(tmp_path / "out") == []


def test_the_store_with_all_that_commands_leave_in_it(desk: Desk) -> None:
    assert "fail" in desk.lab.gdb("crash", "bubblewrap", "bt").output
    assert list(desk.lab.home.glob("roots/*/tree/.corebox/gdbinit"))
    assert open_to_others(desk.lab.home) == []


@pytest.fixture(params=["it becomes a bundle", "it is no core", "there is no Python"])
def handled(request: pytest.FixtureRequest, desk: Desk, tmp_path: Path) -> Path:
    """The folder of the kernel's handler, after a crash."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("cat", "sh"):
        (programs / name).symlink_to(f"/bin/{name}")
    path = str(programs) if request.param == "there is no Python" else os.environ["PATH"]
    desk.lab.done("gather", "--install-handler", tmp_path / "dumps")
    core = Path("/bin/true") if request.param == "it is no core" else desk.core
    with core.open("rb") as source:
        started = [*desk.lab.command[:4], str(tmp_path / "dumps/corebox-handler"), "999999999", "1700000001", "app"]
        subprocess.run(started, stdin=source, env={"PATH": path}, check=False)
    return tmp_path / "dumps"


def test_what_the_handler_keeps(handled: Path) -> None:
    kept = [path for path in handled.iterdir() if "core" in path.suffix or path.name.startswith("core.")]
    assert len(kept) == 1
    assert open_to_others(kept[0]) == []
    assert handled.stat().st_mode & 0o777 == 0o700
