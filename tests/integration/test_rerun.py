"""The customer's program is started by one command alone, in the sandbox; gdb's own commands that would are refused."""

import subprocess
from pathlib import Path

import pytest

from tests.support.lab import Lab, Result
from tests.support.programs import FOLDER

SOURCE = FOLDER / "again.c"
REFUSED = {
    "run": "would start",
    "r --option": "would start",
    "start": "would start",
    "starti": "would start",
    "continue": "not a running one",
    "n 3": "not a running one",
    "si": "not a running one",
    "fin": "not a running one",
    "until": "not a running one",
    "jump main": "not a running one",
    "signal 0": "not a running one",
    "rc": "not a running one",
    "attach 1": "only examines a core",
    "target native": "only examines a core",
    "target remote :1": "only examines a core",
    "target extended-remote | cat": "only examines a core",
}


@pytest.fixture(scope="module")
def again(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of a program with a library in a folder that no loader looks into by itself."""
    folder = tmp_path_factory.mktemp("again")
    library = folder / "lib/libanswer.so"
    library.parent.mkdir()
    subprocess.run(["gcc", "-DLIBRARY", "-shared", "-fPIC", "-o", library, SOURCE], check=True)
    subprocess.run(["gcc", "-o", folder / "again", SOURCE, library], check=True)
    subprocess.run([folder / "again", "crash"], cwd=folder, check=False, capture_output=True)
    (core,) = folder.glob("core*")
    lab.done("gather", core, "-o", folder / "x.corebox", "--no-nice")
    return folder / "x.corebox"


def rerun(lab: Lab, bundle: Path, engine: str, *words: str, env: dict[str, str] | None = None) -> Result:
    return lab.corebox("rerun", "--engine", engine, bundle, *words, env=env)


def test_the_program_runs_again(lab: Lab, again: Path, any_engine: str) -> None:
    done = rerun(lab, again, any_engine, "--", "exit", "--its-own", "a b")
    assert (done.status, done.output) == (7, "library 42, words [exit] [--its-own] [a b]\n"), done.errors
    assert f"in the sandbox ({any_engine})" in done.errors
    assert "crash" in done.errors, "how it had been called"
    done = rerun(lab, again, any_engine)
    assert (done.status, "it was killed by SIGSEGV" in done.errors) == (139, True)
    assert rerun(lab, again, any_engine, "fork").status == 5, "it may start others"
    assert rerun(lab, again, any_engine, "write").status == 0, "nothing but its scratch folder can be written"


def test_it_has_nothing_of_the_vendors_environment(lab: Lab, again: Path, any_engine: str) -> None:
    shown = rerun(lab, again, any_engine, "environment", env={"VENDORS": "secret", "LD_PRELOAD": ""}).output
    assert "VENDORS" not in shown
    assert "HOME=/.corebox/tmp" in shown


def test_it_reads_our_standard_input(lab: Lab, again: Path) -> None:
    command = [*lab.command, "rerun", "--engine", "bubblewrap", str(again), "echo"]
    done = subprocess.run(command, input="typed\n", env={"COREBOX_HOME": str(lab.home), "PATH": "/usr/bin"},
                          capture_output=True, text=True, check=True)  # fmt: skip
    assert done.stdout.endswith("typed\n")


def test_gdb_starts_takes_over_and_continues_nothing(lab: Lab, again: Path, any_engine: str) -> None:
    shown = lab.gdb(again, any_engine, *REFUSED, "info inferiors", "echo alive\\n")
    for reason in set(REFUSED.values()):
        count = sum(reason == each for each in REFUSED.values())
        assert shown.errors.count(reason) == count, shown.errors
    assert shown.output.endswith("alive\n")
    assert "library 42" not in shown.output


def test_a_bundle_without_a_program(lab: Lab, again: Path, tmp_path: Path) -> None:
    (core,) = again.parent.glob("core*")
    lab.done("gather", core, "-o", tmp_path / "y.corebox", "--no-nice", "--no-exe")
    done = rerun(lab, tmp_path / "y.corebox", "bubblewrap")
    assert done.status == 3
    assert "no executable" in done.errors
