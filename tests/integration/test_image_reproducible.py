"""The same bundle and the same toolbox give the same image, wherever, whenever and by whomever it is built."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.disks import small_disk
from tests.support.lab import Lab
from tests.support.programs import REPOSITORY, python_with_packages


@pytest.fixture(scope="module")
def toolbox(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toolbox of one machine, to be imported on others."""
    path = tmp_path_factory.mktemp("toolbox") / "toolbox.tar"
    lab.done("toolbox", "export", path)
    path.chmod(0o644)
    return path


@pytest.fixture(scope="module")
def image_id(lab: Lab, bundle: Path) -> str:
    """The image as this machine builds it."""
    built: str = lab.build(bundle)["image_id"]
    return built


def build_elsewhere(lab: Lab, toolbox: Path, bundle: Path) -> str:
    """Build with an imported toolbox."""
    lab.done("toolbox", "import", toolbox)
    built: str = lab.build(bundle, "-t", "another:name")["image_id"]
    return built


@pytest.mark.parametrize("version", ["3.10", "3.13"])
def test_on_another_python(tmp_path: Path, toolbox: Path, bundle: Path, image_id: str, version: str) -> None:
    lab = Lab(tmp_path / "home", ("env", f"PYTHONPATH={REPOSITORY}", python_with_packages(version), "-m", "corebox"))
    assert build_elsewhere(lab, toolbox, bundle) == image_id


@pytest.mark.parametrize(
    "around",
    [
        ("env", "LC_ALL=C", "LANG=tr_TR.UTF-8", "TZ=Pacific/Kiritimati"),
        ("env", "PYTHONHASHSEED=7", "SOURCE_DATE_EPOCH=1"),
        ("sh", "-c", 'umask 077; exec "$@"', "sh"),
        ("sh", "-c", 'umask 000; cd /; exec "$@"', "sh"),
        ("unshare", "--time", "--boottime", "99999999"),
        ("faketime", "2001-02-03 04:05:06"),
    ],
    ids=["locale-and-zone", "hash-seed", "private-umask", "open-umask-elsewhere", "boot-clock", "wall-clock"],
)
def test_around_other_circumstances(
    tmp_path: Path, toolbox: Path, bundle: Path, image_id: str, around: Sequence[str]
) -> None:
    lab = Lab(tmp_path / "another" / "folder", (*around, sys.executable, "-m", "corebox"))
    assert build_elsewhere(lab, toolbox, bundle) == image_id


def test_by_another_user(open_folder: Path, toolbox: Path, bundle: Path, image_id: str) -> None:
    copies = [Path(shutil.copy(path, open_folder)) for path in (toolbox, bundle)]
    for copy in copies:
        os.chown(copy, 1000, 1000)
    # May read what Python needs even beneath root's home; is an ordinary user in all else.
    read = "+dac_read_search"
    user = ("setpriv", "--reuid=1000", "--regid=1000", "--clear-groups", f"--inh-caps={read}", f"--ambient-caps={read}")
    lab = Lab(open_folder / "home", (*user, "env", "HOME=/nonexistent", sys.executable, "-m", "corebox"))
    assert build_elsewhere(lab, *copies) == image_id


def test_on_another_file_system(tmp_path: Path, toolbox: Path, bundle: Path, image_id: str) -> None:
    """Of another kind, with holes of another granularity."""
    with small_disk(tmp_path / "disk", "50%") as disk:
        assert build_elsewhere(Lab(disk / "home"), toolbox, bundle) == image_id


@pytest.mark.parametrize("version", ["3.10", "3.13"])
def test_another_python_makes_a_toolbox_that_works(tmp_path: Path, bundle: Path, version: str) -> None:
    lab = Lab(tmp_path / "home", ("env", f"PYTHONPATH={REPOSITORY}", python_with_packages(version), "-m", "corebox"))
    commands = ("bt", "python import ctypes, decimal, hashlib, json, lzma; print(sys.version)", 'print L"\u00e9"')
    shown = lab.gdb(bundle, "bubblewrap", *commands).output
    assert "compare (left=" in shown
    assert f"\n{version}." in shown
    assert '= L"\u00e9"' in shown


def test_the_toolbox_itself_is_made_the_same_twice(lab: Lab, tmp_path: Path) -> None:
    around = ("sh", "-c", 'umask 077; cd /; exec env LC_ALL=C TZ=Asia/Tokyo PYTHONHASHSEED=3 "$@"', "sh")
    other = Lab(tmp_path / "home", (*around, sys.executable, "-m", "corebox"))
    assert other.done("toolbox", "build").output == lab.done("toolbox", "build").output


def test_the_host_s_gdb_makes_a_toolbox_that_works(tmp_path: Path, bundle: Path) -> None:
    lab = Lab(tmp_path / "home")
    lab.done("toolbox", "build", "--gdb", "/usr/bin/gdb")
    ask = ["/usr/bin/gdb", "-batch", "-ex", "python print(gdb.VERSION)"]
    version = subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip()
    shown = lab.gdb(bundle, "bubblewrap", "bt", "python import json, lzma; print(gdb.VERSION)").output
    assert "compare (left=" in shown
    assert f"\n{version}\n" in shown


def test_check_builds_again_and_compares(lab: Lab, bundle: Path, image_id: str) -> None:
    result = lab.done("build", bundle, "--no-load", "--check")
    assert f"rebuilt: {image_id}, identical" in result.errors
