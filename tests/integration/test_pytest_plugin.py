"""The pytest plugin with real crashes: of a test's child, of a worker of pytest-xdist, of the interpreter itself."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from corebox import api

CHILD = """
    import subprocess, sys

    def test_of_a_child(tmp_path):
        subprocess.run([sys.executable, "-c", "import os; os.abort()"], cwd=tmp_path)

    def test_that_is_well(tmp_path):
        (tmp_path / "core").write_text("a file of this name")
"""
ITSELF = """
    import ctypes

    def test_of_the_interpreter():
        ctypes.string_at(0)

    def test_that_is_well():
        pass
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The plugin is named, so that it is this one, whatever is installed."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("API_TOKEN", "tok-4f9d2c71b8e64aa0")
    return tmp_path


def run(folder: Path, source: str, *words: str) -> "subprocess.CompletedProcess[str]":
    lines = source.strip("\n").splitlines()
    (folder / "test_it.py").write_text("\n".join(line[4:] for line in lines))
    command = [sys.executable, "-m", "pytest", "-p", "corebox.pytestplugin", f"--basetemp={folder}/tmp", *words]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def the_bundle(folder: Path) -> Path:
    (bundle,) = (folder / "crashes").glob("*.corebox")
    return bundle


def test_a_child_of_a_test(folder: Path) -> None:
    done = run(folder, CHILD, "--crashes", "crashes")
    bundle = the_bundle(folder)
    assert bundle.name.startswith("test_it.py-test_of_a_child-")
    assert f"corebox report {bundle}" in done.stdout
    assert "2 passed" in done.stdout
    assert api.read_bundle(bundle).process.signal_name == "SIGABRT"
    content = subprocess.run(["tar", "--zstd", "-xOf", bundle], check=True, capture_output=True).stdout
    assert b"API_TOKEN=" in content
    assert b"tok-4f9d2c71b8e64aa0" not in content


def test_a_worker_of_xdist(folder: Path) -> None:
    """As in pytest-xdist's issues "worker gw0 crashed": all that is said there is the name of the test."""
    done = run(folder, ITSELF, "-p", "xdist", "-n", "1", "--crashes", "crashes")
    assert "1 failed, 1 passed" in done.stdout
    assert api.read_bundle(the_bundle(folder)).process.signal_name == "SIGSEGV"
    assert f"corebox report {the_bundle(folder)}" in done.stdout


def test_the_interpreter_itself_by_the_setting(folder: Path) -> None:
    """Pytest's faulthandler has its handler first."""
    (folder / "pytest.ini").write_text("[pytest]\ncrashes = crashes\n")
    done = run(folder, ITSELF)
    assert done.returncode < 0
    assert "Fatal Python error: Segmentation fault" in done.stderr
    assert f"corebox report {the_bundle(folder)}" in done.stderr  # what watched it has the same standard error
    assert api.read_bundle(the_bundle(folder)).process.signal_name == "SIGSEGV"


def test_without_the_option_it_does_nothing(folder: Path) -> None:
    done = run(folder, CHILD)
    assert "2 passed" in done.stdout
    assert "crash" not in done.stdout
    assert not list(folder.glob("**/*.corebox"))
