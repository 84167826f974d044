"""Each mistake gives one clear message with a hint and the right exit status, and leaves nothing half-made."""

import lzma
import os
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.support.disks import small_disk
from tests.support.lab import Lab, Result
from tests.support.site import Crash, Site

CORES = Path(__file__).parents[1] / "cores"


def assert_one_message(result: Result, status: int, *words: str) -> None:
    """One error line that has all ``words``, one hint, nothing else but progress, no traceback."""
    lines = result.errors.strip().splitlines()
    assert result.status == status, result.errors
    assert len(lines) == 2, result.errors
    assert lines[0].startswith("error: "), result.errors
    assert lines[1].startswith("hint: "), result.errors
    for word in words:
        assert word in lines[0] + lines[1], result.errors


def content(folder: Path) -> list[Path]:
    """Every file beneath a folder, but for a store's locks and the note whose temporary files lie beside it."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"]
    return [path for path in files if not re.fullmatch(r"tmp/[0-9a-f]{16}\.json", "/".join(path.parts[-2:]))]


def unpack_core(name: str, folder: Path) -> Path:
    core = folder / f"{name}.core"
    core.write_bytes(lzma.decompress((CORES / f"{name}.core.xz").read_bytes()))
    return core


@pytest.mark.parametrize("verb", ["gather", "info", "verify"])
def test_not_a_core(empty_lab: Lab, tmp_path: Path, verb: str) -> None:
    text = tmp_path / "app.log"
    text.write_text("a log file\n")
    assert_one_message(empty_lab.corebox(verb, text), 3, "app.log", "not a core")
    assert content(empty_lab.home) == []


def test_a_core_of_another_architecture_than_the_executable(empty_lab: Lab, tmp_path: Path) -> None:
    core, out = unpack_core("aarch64", tmp_path), tmp_path / "out.corebox"
    result = empty_lab.corebox("gather", core, "-e", "/bin/true", "-o", out)
    assert_one_message(result, 3, "/bin/true is for x86_64", "aarch64")
    assert not out.exists()


def test_another_core_must_be_of_the_same_architecture(lab: Lab, bundle: Path, tmp_path: Path) -> None:
    core = unpack_core("aarch64", tmp_path)
    result = lab.corebox("shell", bundle, "--engine", "bubblewrap", "-c", core, "--", "-batch")
    assert_one_message(result, 3, "x86_64", "aarch64")


@pytest.mark.parametrize("verb", ["gather", "info", "verify", "build", "shell"])
def test_a_missing_file(empty_lab: Lab, tmp_path: Path, verb: str) -> None:
    missing = tmp_path / "nothing.corebox"
    assert_one_message(empty_lab.corebox(verb, missing), 3, "nothing.corebox")
    assert content(empty_lab.home) == []


def test_an_unreadable_directory(open_folder: Path, zipapp: Path) -> None:
    """Root may read everything, so this is an ordinary user."""
    secret = open_folder / "secret"
    secret.mkdir(mode=0o700)
    shutil.copy(unpack_core("dynamic", open_folder), secret / "core")
    program = open_folder / "gather.pyz"
    shutil.copy(zipapp, program)
    finished = subprocess.run(
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/python3", program, secret / "core"],
        capture_output=True,
        text=True,
        check=False,
        cwd="/tmp",
    )
    result = Result(finished.returncode, finished.stdout, finished.stderr)
    assert_one_message(result, 3, str(secret), "ermission")


def test_no_engine(lab: Lab, bundle: Path, tmp_path: Path) -> None:
    lab.build(bundle)
    nowhere = {"DOCKER_HOST": f"unix://{tmp_path}/no.sock", "PATH": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}
    assert_one_message(
        lab.corebox("shell", bundle, "--", "-batch", env=nowhere), 4, "bubblewrap is not installed", "apt-get install"
    )
    assert_one_message(lab.corebox("shell", bundle, "--engine", "docker", env=nowhere), 4, "no docker engine answers")


def test_no_space_for_the_bundle(empty_lab: Lab, crash: Crash, site: Site, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "1m") as disk:
        result = empty_lab.corebox("gather", crash.core, "--root", site.root, "-o", disk / "out.corebox")
        assert_one_message(result, 4, "space")
        assert list(disk.iterdir()) == []


def test_no_space_for_the_image(bundle: Path, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "60m") as disk:
        result = Lab(disk / "home").corebox("build", bundle, "--no-load")
        assert_one_message(result, 4, "COREBOX_HOME")
        assert content(disk) == []
        assert Lab(disk / "home").done("images").output.startswith("no images")


@pytest.mark.parametrize("verb", ["verify", "build", "shell"])
def test_a_truncated_bundle(fresh_lab: Lab, bundle: Path, tmp_path: Path, verb: str) -> None:
    cut = tmp_path / "cut.corebox"
    cut.write_bytes(bundle.read_bytes()[: bundle.stat().st_size // 2])
    assert_one_message(fresh_lab.corebox(verb, cut), 3, "damaged")
    assert fresh_lab.done("images").output.startswith("no images")


@pytest.mark.parametrize("verb", ["verify", "build"])
def test_an_altered_bundle(fresh_lab: Lab, bundle: Path, tmp_path: Path, verb: str) -> None:
    """One byte of a library is another: the archive is whole, the digest does not match."""
    plain, altered = tmp_path / "plain.tar", tmp_path / "altered.corebox"
    plain.write_bytes(subprocess.run(["zstd", "-dc", bundle], capture_output=True, check=True).stdout)
    with tarfile.open(plain) as archive:
        member = next(member for member in archive if member.name.endswith("/libstages.so"))
    with plain.open("r+b") as stream:
        stream.seek(member.offset_data + member.size // 2)
        byte = stream.read(1)
        stream.seek(-1, os.SEEK_CUR)
        stream.write(bytes([byte[0] ^ 1]))
    subprocess.run(["zstd", "-q", plain, "-o", altered], check=True)
    assert_one_message(fresh_lab.corebox(verb, altered), 3, "damaged", "libstages.so")
    assert fresh_lab.done("images").output.startswith("no images")


def test_a_member_that_leaves_the_root(empty_lab: Lab, bundle: Path, tmp_path: Path) -> None:
    plain, hostile = tmp_path / "plain.tar", tmp_path / "hostile.corebox"
    plain.write_bytes(subprocess.run(["zstd", "-dc", bundle], capture_output=True, check=True).stdout)
    data = plain.read_bytes().replace(b"rootfs/etc/os-release", b"rootfs/../os-release")
    plain.write_bytes(data.replace(b"rootfs/usr/lib/os-release", b"rootfs/../../os-releasex"))
    subprocess.run(["zstd", "-q", plain, "-o", hostile], check=True)
    before = sorted(tmp_path.rglob("*"))
    result = empty_lab.corebox("build", hostile, "--no-load")
    assert_one_message(result, 3, "damaged")
    assert [path for path in sorted(tmp_path.rglob("*")) if empty_lab.home not in (path, *path.parents)] == before


def test_wrong_usage(empty_lab: Lab) -> None:
    assert empty_lab.corebox("shell").status == 2
    assert empty_lab.corebox("build", "--builder", "kaniko", "x").status == 2
    assert empty_lab.corebox("gather", "--no-such-option").status == 2


def test_an_unknown_image(empty_lab: Lab) -> None:
    assert_one_message(empty_lab.corebox("shell", "no-such-image"), 3, "no-such-image", "corebox images")
