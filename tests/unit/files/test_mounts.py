"""What the mount table tells of names beneath a root."""

import os
from pathlib import Path

import pytest

from corebox.files.mounts import Mounts, answering_devices, parse_mounts, read_mounts

TABLE = """\
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
28 27 0:40 / /home/u/a\\040b rw shared:1 - fuse.sshfs u@host rw
29 27 0:41 / /mnt/m\u00a0n rw shared:2 master:3 - nfs4 server:/x rw
30 27 0:42 / /srv/root/net rw - cifs //server/share rw
31 27 0:43 / /srv/root/proc rw - proc proc rw
"""


def test_slow_and_virtual_mounts_are_told_from_others() -> None:
    mounts = parse_mounts(TABLE.splitlines(keepends=True))
    assert mounts.slow == ("/home/u/a b", "/mnt/m\u00a0n", "/srv/root/net")
    assert mounts.virtual_at("/proc/self/exe") == "/proc"
    assert mounts.virtual_at("/srv/root/proc/1/environ") == "/srv/root/proc"
    assert mounts.slow_at("/mnt/m\u00a0n/lib.so") == "/mnt/m\u00a0n"
    assert mounts.slow_at("/mnt/m\u00a0nn/lib.so") is None


def test_names_are_those_beneath_the_root() -> None:
    mounts = parse_mounts(TABLE.splitlines(keepends=True), "/srv/root")
    assert mounts.slow == ("/net",)
    assert mounts.virtual == (*Mounts().virtual, *(() if "/proc" in Mounts().virtual else ("/proc",)))


@pytest.mark.parametrize("how", ["relative", "dots", "link"])
def test_a_root_by_another_name_has_the_same_mounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """The table has the path that the kernel knows."""
    (tmp_path / "link").symlink_to("/")
    monkeypatch.chdir(tmp_path)
    name = {"relative": os.path.relpath("/", tmp_path), "dots": "/usr/..", "link": str(tmp_path / "link")}[how]
    assert read_mounts(name) == read_mounts("/")


def test_a_device_answers_unless_something_like_a_server_is_behind_it(tmp_path: Path) -> None:
    (tmp_path / "mountinfo").write_text(TABLE.replace("0:40", "7:40").replace("254:0", "254:9"))
    found = answering_devices(str(tmp_path))
    assert (254, 9) in found
    assert {(7, 40), (0, 41), (0, 42)}.isdisjoint(found - answering_devices("/nowhere"))
    assert answering_devices("/nowhere"), "ours are known without the process"
