"""What is compressed here is read by zstd, gzip and tar, and what these compress is read here."""

import subprocess
from pathlib import Path

import pytest

from corebox.files.seekable import GZIP, ZSTD
from tests.unit.bundle import samples
from tests.unit.files import test_seekable as seekable
from tests.unit.files import test_zstd as frames

TOOLS = {ZSTD: ["zstd", "-dc"], GZIP: ["gzip", "-dc"]}


def read_by(command: list[str], data: bytes) -> bytes:
    done = subprocess.run(command, input=data, capture_output=True, check=True)
    assert done.stderr == b""
    return done.stdout


def test_each_part_is_a_frame_that_the_program_reads() -> None:
    for part in frames.PARTS:
        assert read_by(TOOLS[ZSTD], frames.compress([part])) == part


@pytest.mark.parametrize("compression", [ZSTD, GZIP])
def test_programs_pass_over_a_table_of_frames(compression: str) -> None:
    assert read_by(TOOLS[compression], seekable.write(compression, seekable.PARTS)) == b"".join(seekable.PARTS)


def test_tar_unpacks_a_bundle_of_zstd(tmp_path: Path) -> None:
    written = samples.write_sample(tmp_path / "site")
    out = tmp_path / "out"
    out.mkdir()
    subprocess.run(["tar", "--zstd", "-xf", written.path, "-C", str(out)], check=True)
    checked = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=out, check=True, capture_output=True, text=True)
    assert {line.rpartition(": ")[2] for line in checked.stdout.splitlines()} == {"OK"}
