"""A CPython whose own tables are damaged: pystack dies of them, and all else is told."""

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


def test_the_report_has_all_but_the_python_frames(bundle: Path, lab: Lab, engine: str) -> None:
    report = lab.done("report", bundle, "--engine", engine, "--format", "json").json
    (missing,) = report["missing"]
    assert missing["part"] == "python"
    assert "gdb" in missing["reason"]
    crashed = report["threads"][0]
    assert "python" not in crashed
    assert "_PyEval_EvalFrameDefault" in [each["function"] for each in crashed["frames"]]
    assert report["why"]["kind"] == "abort"
    text = lab.done("report", bundle, "--engine", engine).output
    assert missing["reason"] in text
