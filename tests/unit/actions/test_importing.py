"""Crashes as apport, ABRT, systemd and those who pack cores with files keep them."""

import base64
import gzip
import struct
import zipfile
from pathlib import Path

import pytest

from corebox.actions.imported import take_out
from corebox.errors import InputError
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


@pytest.mark.parametrize("size", [4, 20, 40, 60, 200])
def test_a_minidump_is_told_and_a_damaged_one_is_told_as_that(tmp_path: Path, size: int) -> None:
    """As Windows writes one with all of the memory; its counts may be forged."""
    system = struct.pack("<HHHBBIII", 9, 6, 0, 8, 1, 10, 0, 19041) + struct.pack("<I", 2)
    ranges = struct.pack("<QQQQ", 1, 0, 0x10000, 3_000_000)
    streams = struct.pack("<IIIIII", 7, len(system), 56, 9, len(ranges), 56 + len(system))
    data = struct.pack("<4sIIIIIQ", b"MDMP", 0xA793, 2, 32, 0, 0, 0) + streams + system + ranges
    path = tmp_path / "x.dmp"
    path.write_bytes(data[:size])
    with pytest.raises(InputError) as caught:
        take_out(path, tmp_path)
    assert caught.value.code == "minidump"
    words = "Windows on x86-64, 0 threads, 0 modules, 3.0 MB of memory; no files" if size == 200 else "it ends early"
    assert words in caught.value.message
    forged = data.replace(struct.pack("<Q", 1), struct.pack("<Q", 1 << 60))
    path.write_bytes(forged)
    with pytest.raises(InputError, match="it ends early"):
        take_out(path, tmp_path)
