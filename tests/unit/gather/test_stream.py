"""A bundle to standard output, for a site without room for it."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from corebox.gather.cli import main
from corebox.unbundle.verify import verify_bundle
from tests.unit.gather.sites import EXECUTABLE


def command(core: Path, root: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "corebox.gather", str(core), "--root", str(root), "--no-nice", "-o", "-", *more]


def test_it_is_the_bundle_that_a_file_would_be(core_path: Path, root: Path, tmp_path: Path) -> None:
    place = tmp_path / "empty"
    place.mkdir()
    environment = {"PYTHONPATH": str(Path(__file__).parents[3])}
    done = subprocess.run(command(core_path, root), cwd=place, env=environment, capture_output=True, check=True)
    streamed, file = tmp_path / "streamed.corebox", tmp_path / "file.corebox"
    streamed.write_bytes(done.stdout)
    assert main([str(core_path), "--root", str(root), "--no-nice", "-o", str(file)]) == 0
    assert file.read_bytes() == done.stdout
    assert verify_bundle(streamed).ok
    told = done.stderr.decode()
    assert f"bundle:    to standard output, {len(done.stdout) / 1e3:.1f} kB, " in told or "MB, " in told
    assert "identity:  sha256:" in told
    assert list(place.iterdir()) == []


def test_a_pipe_that_does_not_wait_gets_all_of_it(core_path: Path, root: Path, tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    child = subprocess.Popen(command(core_path, root), stdout=writing, stderr=subprocess.DEVNULL)
    os.close(writing)
    out = tmp_path / "x.corebox"
    with os.fdopen(reading, "rb") as pipe:
        out.write_bytes(pipe.read())
    assert child.wait() == 0
    assert verify_bundle(out).ok


def test_a_reader_that_ends_is_told(core_path: Path, root: Path) -> None:
    words = command(core_path, root)
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout
        assert child.stderr
        child.stdout.close()
        said = child.stderr.read()
    assert child.returncode == 4
    assert "error: whoever reads standard output has ended\n" in said


def test_a_terminal_and_a_closed_output_are_refused(core_path: Path, root: Path) -> None:
    ours, terminal = pty.openpty()
    done = subprocess.run(command(core_path, root), stdout=terminal, stderr=subprocess.PIPE, text=True, check=False)
    os.close(ours)
    os.close(terminal)
    assert (done.returncode, "standard output is a terminal" in done.stderr) == (2, True)
    closed = subprocess.run(["sh", "-c", 'exec "$@" >&-', "sh", *command(core_path, root)],
                            stderr=subprocess.PIPE, text=True, check=False)  # fmt: skip
    assert (closed.returncode, "standard output is closed" in closed.stderr) == (4, True)


def test_a_document_and_a_bundle_do_not_fit_into_one_stream(
    core_path: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(core_path), "--root", str(root), "-o", "-", "--json"]) == 2
    assert "-o - and --json cannot be given together" in capsys.readouterr().err


def test_a_look_is_a_look(core_path: Path, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(core_path), "--root", str(root), "-o", "-", "--list"]) == 0
    assert EXECUTABLE in capsys.readouterr().out
