"""systemd's store of cores: names, attributes, what is meant by which."""

import os
from pathlib import Path

import pytest

from corebox.errors import InputError
from corebox.gather.systemd import find_crash, parse_name, read_store

BOOT = "0123456789abcdef0123456789abcdef"


def store(folder: Path, comm: str, pid: int, usec: int, suffix: str = ".zst") -> Path:
    path = folder / f"core.{comm}.1000.{BOOT}.{pid}.{usec}{suffix}"
    path.write_bytes(b"")
    return path


def test_name_is_unescaped() -> None:
    crash = parse_name(f"/x/core.my\\x2eprog\\x20a.33.{BOOT}.77.1700000000000000.lz4")
    assert crash is not None
    assert (crash.name, crash.uid, crash.pid, crash.time) == ("my.prog a", 33, 77, 1700000000000000)


def test_foreign_names_are_no_crashes() -> None:
    assert parse_name("/x/core.1234") is None
    assert parse_name("/x/.#core.app.1000.tmp") is None


def test_newest_of_each_kind_is_found(tmp_path: Path) -> None:
    store(tmp_path, "app", 10, 1000)
    newer = store(tmp_path, "app", 11, 3000)
    other = store(tmp_path, "other", 12, 2000, "")
    os.setxattr(other, "user.coredump.exe", b"/opt/bin/other-long-name")
    assert [crash.pid for crash in read_store(str(tmp_path))] == [11, 12, 10]
    assert find_crash(str(tmp_path), "newest").path == str(newer)
    assert find_crash(str(tmp_path), "app").pid == 11
    assert find_crash(str(tmp_path), "10").pid == 10
    assert find_crash(str(tmp_path), "/opt/bin/other-long-name").pid == 12
    assert find_crash(str(tmp_path), "other-long-name").pid == 12


def test_an_empty_store_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        find_crash(str(tmp_path), "newest")
    assert caught.value.message == f"{tmp_path} contains no crash"


def test_unknown_crash_names_the_newest(tmp_path: Path) -> None:
    store(tmp_path, "app", 10, 1000)
    with pytest.raises(InputError) as caught:
        find_crash(str(tmp_path), "nginx")
    assert caught.value.code == "no-such-crash"
    assert "10 (app)" in caught.value.hint
