"""Whose crash it is: a user with all groups, wherever the crash comes from."""

import grp
import os
import pwd
from pathlib import Path

import pytest

from corebox.coredump.core import open_core
from corebox.files.reader import Reader
from corebox.gather.job import given_core
from corebox.gather.options import make_parser
from corebox.gather.owner import reader_for, user_of

NOBODY = 65534
STRANGER = 3999999999  # a user that there is none of


@pytest.fixture
def user(monkeypatch: pytest.MonkeyPatch) -> pwd.struct_passwd:
    """A user of this machine who is a member of a further group."""
    known = pwd.getpwuid(1)
    member = grp.getgrgid(8).gr_gid
    monkeypatch.setattr(os, "getgrouplist", lambda _name, gid: [gid, member])
    return known


def test_a_user_has_all_groups(user: pwd.struct_passwd) -> None:
    assert user_of(1) == Reader(1, user.pw_gid, (user.pw_gid, 8))
    assert user_of(1, 4) == Reader(1, 4, (4, 8))


def test_one_whom_the_machine_does_not_know_has_the_given_group_or_none() -> None:
    assert user_of(STRANGER) == Reader(STRANGER, NOBODY, (NOBODY,))
    assert user_of(STRANGER, 7) == Reader(STRANGER, 7, (7,))


def test_the_user_of_a_stored_core_has_all_groups_even_if_its_attributes_are_lost(
    tmp_path: Path, user: pwd.struct_passwd
) -> None:
    core = tmp_path / "core.app.1.0123456789abcdef0123456789abcdef.777.1700000000000000"
    core.write_bytes(b"core")
    options = make_parser().parse_args(["--coredumpctl", "--coredump-dir", str(tmp_path)])
    assert given_core(options).owner == Reader(1, user.pw_gid, (user.pw_gid, 8))
    os.setxattr(core, "user.coredump.gid", b"4")
    assert given_core(options).owner == Reader(1, 4, (4, 8))


def test_the_group_of_a_core_file_is_the_folders(core_path: Path, tmp_path: Path, user: pwd.struct_passwd) -> None:
    core = tmp_path / "core"
    core.write_bytes(core_path.read_bytes())
    os.chown(core, 1, 42)
    with open_core(str(core)) as opened:
        assert reader_for(opened, str(core), "/", None) == Reader(1, user.pw_gid, (user.pw_gid, 8))
