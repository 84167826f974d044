"""The corpus of hostile bundles through the real commands: refused, shortly, and nothing is left of it."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.hostile_bundles import CORPUS, HARMLESS, ONLY_IN_IMAGES
from tests.support.lab import Lab

COMMANDS = (("info",), ("verify",), ("build", "--no-load"))
SECONDS, BYTES = 20, 1 << 30
_RUN = """
import sys
from corebox.cli.main import main
for arguments in {commands}:
    status = main([*arguments, sys.argv[1]])
    print("\\x1f", status, file=sys.stderr, sep="")
# Not ru_maxrss, which begins with what its parent had, the tests (execve(2) keeps it).
(peak,) = (line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM:"))
print("\\x1f", peak, file=sys.stderr, sep="")
"""


def run(bundle: Path, home: Path) -> tuple[list[tuple[str, int]], int, str]:
    """Errors and status of each command, the most memory in KiB, and the output."""

    def bounded() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
        resource.setrlimit(resource.RLIMIT_FSIZE, (BYTES, BYTES))

    done = subprocess.run(
        [sys.executable, "-c", _RUN.format(commands=COMMANDS), str(bundle)],
        env={"COREBOX_HOME": str(home), "PATH": "/usr/bin:/bin", "HOME": str(home.parent)},
        cwd=bundle.parent,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=len(COMMANDS) * SECONDS,
        check=True,
        preexec_fn=bounded,
    )
    *told, rest = done.stderr.split("\x1f")
    errors = [told[0], *(each.split("\n", 1)[1] for each in told[1:])]
    statuses = [int(each.split("\n", 1)[0]) for each in told[1:]]
    return list(zip(errors, statuses, strict=False)), int(rest), done.stdout


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One store for all, with a toolbox in it, so that there is nothing to be built but the bundle."""
    lab = Lab(tmp_path_factory.mktemp("hostile") / "home")
    lab.done("toolbox", "build")
    return lab.home


def content(folder: Path) -> set[Path]:
    """Every file beneath it, but the locks."""
    return {path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"}


@pytest.mark.parametrize("name", CORPUS)
def test_refused_by_every_command(name: str, home: Path, tmp_path: Path) -> None:
    before = content(home)
    bundle = CORPUS[name](tmp_path / "x.corebox")
    told, memory, _ = run(bundle, home)
    assert memory < 400 << 10
    statuses = [status for _, status in told]
    assert statuses[0] in (0, 1, 3), told  # info reads the manifest alone
    assert statuses[1:] == [0 if name in ONLY_IN_IMAGES else 3, 3], told
    for errors, status in told:
        if status == 3:
            first, hint = errors.splitlines()
            assert first.startswith("error: ")
            assert hint.startswith("hint: ")
        assert all(char.isprintable() or char == "\n" for char in errors)
    assert content(home) == before
    assert list(tmp_path.iterdir()) == [bundle]


@pytest.mark.parametrize("name", HARMLESS)
def test_strange_but_harmless(name: str, home: Path, tmp_path: Path) -> None:
    told, _, output = run(HARMLESS[name](tmp_path / "x.corebox"), home)
    assert [status for _, status in told] == [0, 0, 0], told
    for text in (output, *(errors for errors, _ in told)):
        assert all(char.isprintable() or char == "\n" for char in text)
        assert not any(line.startswith("error: y") for line in text.splitlines())
    assert sum(line.startswith("result:") for line in output.splitlines()) == 1  # info's own


@pytest.mark.parametrize("name", HARMLESS)
def test_what_is_harmless_is_opened(name: str, home: Path, tmp_path: Path) -> None:
    bundle = HARMLESS[name](tmp_path / "x.corebox")
    result = Lab(home).corebox("shell", bundle, "--engine", "bubblewrap", "--", "-batch", "-ex", "info threads")
    assert result.status == 0, result.errors
    assert "LWP 42" in result.output
