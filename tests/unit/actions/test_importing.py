"""Crashes as apport, ABRT, systemd and those who pack cores with files keep them."""

import base64
import gzip
import struct
import zipfile
from pathlib import Path

import pytest

from corebox.unbundle.read import read_manifest
from tests.support.packages import tar
from tests.support.vendor import Vendor
from tests.unit.gather.sites import EXECUTABLE

pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


def apport(core: bytes) -> bytes:
    """As problem_report.py writes it: a gzip file in pieces, each in base64."""
    data = gzip.compress(core)
    pieces = [data[at : at + 300] for at in range(0, len(data), 300)]
    lines = b"".join(b" " + base64.b64encode(each) + b"\n" for each in pieces)
    return b"ProblemType: Crash\nExecutablePath: /opt/app\nCoreDump: base64\n" + lines + b"Tags: x\n"


def journal(core: bytes) -> bytes:
    """As ``journalctl -o export`` writes it: fields that are not text have their size in front."""

    def field(name: bytes, value: bytes) -> bytes:
        return name + b"\n" + struct.pack("<Q", len(value)) + value + b"\n"

    return b"__CURSOR=s=1\n_PID=7\n" + field(b"COREDUMP_CMDLINE", b"a\nb") + field(b"COREDUMP", core) + b"\n"


def test_the_core_is_taken_out_whatever_keeps_it(desk: Vendor, tmp_path: Path) -> None:
    core, out = desk.core.read_bytes(), tmp_path / "x.corebox"
    problem = tmp_path / "ccpp-1"
    problem.mkdir()
    (problem / "coredump").write_bytes(core)
    kept = {
        "app.crash": apport(core),
        "app.export": journal(core),
        "core.app.0.zst": gzip.compress(core),  # known by content, not by name
        "problem.tar.gz": gzip.compress(tar({"ccpp-1/reason": b"killed", "ccpp-1/coredump": core})),
        "packed.tar": tar({"core.gz": gzip.compress(core)}),
    }
    for name, data in kept.items():
        (tmp_path / name).write_bytes(data)
    for name in (*kept, problem.name):
        desk.good("import", tmp_path / name, "--from", desk.site, "-o", out)
        assert {each.verdict for each in read_manifest(out).modules} == {"verified"}, name


def test_files_that_come_with_the_core_are_proved(desk: Vendor, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "core.zip", "w") as archive:
        archive.write(desk.core, "core.1")
        archive.write(f"{desk.site}{EXECUTABLE}", "somewhere/else")
    done = desk.corebox("import", tmp_path / "core.zip", "-o", tmp_path / "x.corebox")
    assert done.status == 1
    assert f"found:     {EXECUTABLE}: {tmp_path}/core.zip" in done.output
    verdicts = {each.path: each.verdict for each in read_manifest(tmp_path / "x.corebox").modules}
    assert {path for path, verdict in verdicts.items() if verdict == "verified"} == {EXECUTABLE}


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"ProblemType: Crash\nCoreDump: base64\n !!!\n", "is damaged"),
        (b"ProblemType: Crash\nTags: x\n", "there is no core in"),
        (b"ProblemType: Crash\nCoreDump: base64\n", "not a core file"),
        (b"__CURSOR=1\nX\n" + b"\xff" * 8, "there is no core in"),
        (b"__CURSOR=1\nCOREDUMP\n" + b"\xff" * 8 + b"short", "not a core file"),
        (tar({"notes": b"text"}), "there is no core in"),
        (b"plain text", "is not a core file"),
        (b"MDMP" + bytes(600), "a minidump"),
    ],
)
def test_what_has_no_core_is_told(desk: Vendor, tmp_path: Path, data: bytes, says: str) -> None:
    (tmp_path / "given").write_bytes(data)
    desk.fails("import", tmp_path / "given", "-o", tmp_path / "x.corebox", status=3, says=says)
    assert not (tmp_path / "x.corebox").exists()
    desk.fails("import", tmp_path / "absent", "-o", tmp_path / "x.corebox", status=3, says="cannot read")
