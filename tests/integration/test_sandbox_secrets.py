"""Nothing of the vendor's is in the sandbox: all that can be read there is read, each process's /proc included."""

import json
import re
from pathlib import Path

import pytest

from tests.support.crashes import build_program
from tests.support.lab import Lab
from tests.support.podman import SECRET_OF_PROXY
from tests.support.programs import FOLDER

# In two halves: the script that looks for it must not hold it.
FIRST, SECOND = SECRET_OF_PROXY[:12], SECRET_OF_PROXY[12:]
SECRET = FIRST + SECOND


@pytest.fixture
def looking(tmp_path: Path) -> Path:
    """The script."""
    script = tmp_path / "find.py"
    script.write_text(f"FIRST, SECOND = {FIRST!r}, {SECOND!r}\n" + (FOLDER / "find_secrets.py").read_text())
    return script


@pytest.fixture(scope="module")
def innocent(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of a program that had none of the secrets in its environment."""
    folder = tmp_path_factory.mktemp("innocent")
    lab.done("gather", build_program(folder / "app").crash(), "-o", folder / "x.corebox", "--no-nice")
    return folder / "x.corebox"


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A vendor's home with secrets wherever tools keep them, and an environment full of them."""
    home = tmp_path / "home"
    docker = {"proxies": {"default": {"httpProxy": f"http://{SECRET}-proxy@proxy.example:3128"}}}
    for name, text in {
        ".docker/config.json": json.dumps(docker),
        ".netrc": f"password {SECRET}-netrc",
        ".gdbinit": f"echo {SECRET}-gdbinit",
        ".config/corebox/x": SECRET,
        ".bash_history": SECRET,
    }.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)
    for name in ("AWS_SECRET_ACCESS_KEY", "CI_JOB_TOKEN", "HTTP_PROXY", "https_proxy", "LD_DEBUG_OUTPUT", "PS1"):
        monkeypatch.setenv(name, f"{SECRET}-{name}")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("DOCKER_CONFIG", str(home / ".docker"))
    return home


def test_nothing_of_the_vendors_can_be_read(
    innocent: Path, desk: Path, looking: Path, lab: Lab, any_engine: str
) -> None:
    shown = lab.done("run", innocent, looking, "--engine", any_engine).output
    assert "FOUND" not in shown
    counted = re.search(r"processes (\d+) files (\d+)", shown)
    assert counted, shown
    assert int(counted[2]) > 1000, "it has really looked around"
    bwrap = any_engine == "bubblewrap"
    assert int(counted[1]) == (2 if bwrap else 1), "the first process of a sandbox is bubblewrap itself"


#: What others found that bubblewrap shows of the machine: containers/bubblewrap, issues 725 (the environment, whatever
#: --clearenv says), 631 (its own arguments, with paths) and 264 (the scheduler's list of all processes).
FOUND_BY_OTHERS = """
import os
for path in ("/proc/1/environ", "/proc/1/cmdline", "/proc/sched_debug", "/sys/kernel/debug/sched/debug"):
    try:
        print(path, open(path, "rb").read())
    except OSError as error:
        print(path, os.strerror(error.errno))
"""


def test_what_others_found_that_bubblewrap_shows(innocent: Path, desk: Path, tmp_path: Path, lab: Lab) -> None:
    script = tmp_path / "look.py"
    script.write_text(FOUND_BY_OTHERS)
    shown = dict(
        line.split(" ", 1) for line in lab.done("run", innocent, script, "--engine", "bubblewrap").output.splitlines()
    )
    assert shown["/proc/1/environ"] == "b''"
    assert "bwrap" in shown["/proc/1/cmdline"]
    assert str(lab.home) not in shown["/proc/1/cmdline"]
    assert str(tmp_path) not in shown["/proc/1/cmdline"]
    assert all(shown[path] == "No such file or directory" for path in shown if "sched" in path)
