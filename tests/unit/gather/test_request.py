"""The request script: read by people, run by a shell, answered with just what the core needs."""

import gzip
import subprocess
import tarfile
from pathlib import Path

import pytest

from corebox.actions.source import plain_bundle
from corebox.cli.main import main as corebox
from corebox.coredump.core import open_core
from corebox.gather.cli import main
from corebox.gather.request import request_script
from corebox.unbundle.verify import verify_bundle
from tests.unit.gather.sites import EXECUTABLE, LIBC, put


@pytest.fixture
def script(core_path: Path, tmp_path: Path) -> Path:
    path = tmp_path / "request.sh"
    with open_core(str(core_path)) as core:
        path.write_text(request_script(core))
    return path


def test_answer_makes_an_exact_bundle(
    script: Path, core_path: Path, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(root, "/etc/shadow", b"secret")
    answer = tmp_path / "libs.tar.gz"
    done = subprocess.run(
        ["sh", str(script), "-r", str(root), str(answer)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == f"files in {answer}: 6, missing: 0"
    with tarfile.open(answer) as archive:
        names = set(archive.getnames())
    assert {"." + EXECUTABLE, "." + LIBC, "./etc/os-release"} <= names
    assert "./etc/shadow" not in names
    assert main([str(core_path), "--root", str(answer), "-o", str(tmp_path / "x.corebox"), "--no-nice"]) == 0
    assert "3 verified" in capsys.readouterr().out


def test_missing_file_is_said_and_the_rest_is_packed(script: Path, root: Path, tmp_path: Path) -> None:
    Path(str(root) + LIBC).unlink()
    done = subprocess.run(
        ["sh", str(script), "-r", str(root), str(tmp_path / "a.tar.gz")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.splitlines() == [f"missing: {LIBC}"]
    assert (tmp_path / "a.tar.gz").stat().st_mode & 0o777 == 0o600


def test_a_compressed_core_is_taken_as_it_came(script: Path, core_path: Path, root: Path, tmp_path: Path) -> None:
    packed, asked, answer = tmp_path / "core.gz", tmp_path / "asked.sh", tmp_path / "libs.tar"
    packed.write_bytes(gzip.compress(core_path.read_bytes(), 1))
    assert corebox(["request", str(packed), "-o", str(asked)]) == 0
    assert asked.read_text() == script.read_text()
    subprocess.run(["tar", "-C", root, "-cf", answer, "."], check=True)
    assert verify_bundle(plain_bundle(packed, None, answer, tmp_path)).ok


def test_the_script_says_how_it_is_called(script: Path) -> None:
    done = subprocess.run(["sh", str(script), "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "usage: sh request.sh [-r ROOT] [ARCHIVE]" in done.stderr


def test_script_takes_no_command_from_a_hostile_name(core_path: Path, root: Path, tmp_path: Path) -> None:
    from corebox.gather.request import quote

    hostile = "/a'; touch " + str(tmp_path / "pwned") + "; '\n`id`$(id)"
    done = subprocess.run(["sh", "-c", "printf %s " + quote(hostile)], capture_output=True, text=True, check=True)
    assert done.stdout == hostile
    assert not (tmp_path / "pwned").exists()


def test_who_asks_for_the_files_of_a_core_is_told_how_to_go_on(
    capsys: pytest.CaptureFixture[str], core_path: Path, tmp_path: Path
) -> None:
    assert corebox(["request", str(core_path), "-o", str(tmp_path / "ask.sh")]) == 0
    told = capsys.readouterr().err
    assert "sh ask.sh" in told
    assert f"corebox build {core_path} libs.tar.gz" in told
