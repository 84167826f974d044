"""A CPython whose own tables are damaged: what is sound of them is shown, and where they are not is told."""

import subprocess
from pathlib import Path

import pytest

from tests.support.lab import Lab
from tests.support.programs import FOLDER, find_python


@pytest.fixture(scope="module")
def bundle(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A crash with a stack of Python frames that never ends."""
    folder = tmp_path_factory.mktemp("circle")
    subprocess.run([find_python("3.11"), FOLDER / "circle.py"], cwd=folder, check=False, capture_output=True)
    (core,) = folder.glob("core*")
    lab.done("gather", core, "-o", folder / "circle.corebox")
    return folder / "circle.corebox"


def test_the_report_has_the_frames_up_to_the_circle(bundle: Path, lab: Lab, engine: str) -> None:
    report = lab.done("report", bundle, "--engine", engine, "--format", "json").json
    assert report["missing"] == []
    crashed = report["threads"][0]
    assert [(each["function"], each["native"] is None) for each in crashed["python"]] == [("inner", False)]
    assert "inner" in [each["function"] for each in crashed["frames"]]
    assert report["family"] == "abort in circle.py:inner"
    text = lab.done("report", bundle, "--engine", engine).output
    assert "the Python stack of thread 1 is damaged further out than 1 function" in text
