"""What the doctor finds."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from corebox.actions.doctor import Diagnosis, Finding
from tests.support.documents import validate


def test_a_store_that_cannot_be_used_is_one_finding_among_others(tmp_path: Path) -> None:
    home = tmp_path / "a file"
    home.touch()
    # A process of its own: where no engine answers, Docker's SDK leaves its socket to the garbage collector.
    done = subprocess.run(
        [sys.executable, "-m", "corebox", "doctor"],
        env={**os.environ, "COREBOX_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    findings = [line for line in done.stdout.splitlines() if not line.startswith(" ")]
    auto = ["auto"] if "--engine auto takes" in done.stdout else []
    assert [line.split()[1] for line in findings] == ["bubblewrap", "docker", "podman", *auto, "store", "libzstd"]
    assert findings[-2].startswith("no ")
    assert f"cannot use the store {home}" in findings[-2]
    assert "COREBOX_HOME" in done.stdout
    assert done.returncode == 4


def test_the_document_for_machines() -> None:
    found = (Finding("docker", False, "no answer", "start it"), Finding("bubblewrap", True, "works"))
    document: Any = Diagnosis(found, True).to_json()
    validate(document, "doctor")
    assert document["findings"][1] == {"what": "bubblewrap", "ok": True, "detail": "works", "remedy": ""}
