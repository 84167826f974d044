"""The real cores that the unit tests read, without their programs: a report of each has what there is, and no less than
gdb alone shows."""

from pathlib import Path

import pytest

from tests.support.evidence import gdb_alone, must_be_sound, must_show_no_less
from tests.support.lab import Lab
from tests.support.programs import HOST_GDB, TOOLBOX_GDB
from tests.support.realcores import unpack_core

#: The program of each was called as its core is, but for one; and how many threads it had.
CORES = {
    "aarch64": 2, "dynamic": 2, "filter23": 2, "gcore": 2, "i386": 2, "nopie": 2, "patched": 2, "patchednopie": 2,
    "segments": 1, "static": 2, "staticpie": 2,
}  # fmt: skip


@pytest.mark.parametrize("name", CORES)
def test_a_core_without_its_program(name: str, tmp_path: Path, lab: Lab) -> None:
    core, bundle = unpack_core(name, tmp_path), tmp_path / "small.corebox"
    assert lab.corebox("gather", core, "-o", bundle).status == 1
    report = lab.done("report", bundle, "--engine", "bubblewrap", "--format", "json").json
    must_be_sound(report, core)
    must_show_no_less(report, core, gdb_alone(core, None, gdb=TOOLBOX_GDB if name == "aarch64" else HOST_GDB))
    assert sum(len(group["threads"]) for group in report["threads"]) == CORES[name]
    assert report["registers"]
    assert report["why"]["kind"] == {"gcore": "snapshot", "segments": "abort", "aarch64": "other"}.get(
        name, "bad-pointer"
    )
    assert report["manifest"]["process"]["signal_name"] == ({"gcore": None, "segments": "SIGABRT"}.get(name, "SIGSEGV"))
    assert report["manifest"]["process"]["name"] == {"gcore": "gcored"}.get(name, name)
