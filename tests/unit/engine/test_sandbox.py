"""The sandbox as every engine gets it."""

import os
from pathlib import Path

import pytest

from corebox.engine.bubblewrap import plan_options
from corebox.engine.sandbox import Mount, Sandbox, read_root_entries


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A customer's root with a merged /usr, a program in /opt, and things that must not shine through."""
    for folder in ("usr/lib", "opt/app", "etc", "proc/1", "dev", ".corebox", "sys"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "lib").symlink_to("usr/lib")
    (tmp_path / "etc" / "os-release").symlink_to("../usr/lib/os-release")
    (tmp_path / "etc" / "hosts").write_text("theirs")
    (tmp_path / "etc" / "app.conf").write_text("theirs")
    return tmp_path


def test_the_top_of_the_root_is_mounted_and_links_are_made_again(root: Path) -> None:
    entries = read_root_entries(root)
    assert [mount.target for mount in entries.mounts] == ["/etc/app.conf", "/opt", "/usr"]
    assert entries.symlinks == (("etc/os-release", "../usr/lib/os-release"), ("lib", "usr/lib"))


@pytest.mark.parametrize("name", ["ld.so.preload", "ld.so.cache"])
def test_our_loader_is_not_told_what_to_load(root: Path, name: str) -> None:
    before = read_root_entries(root)
    (root / "etc" / name).write_text("/opt/app/evil.so")
    assert read_root_entries(root) == before


def test_a_link_in_place_of_etc_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "etc").symlink_to("/etc")
    assert read_root_entries(tmp_path).symlinks == (("etc", "/etc"),)


def test_bubblewrap_binds_everything_read_only(root: Path) -> None:
    line = plan_options(Sandbox(root, (Mount(Path("/store/core"), "/.corebox/core"),), {"LC_ALL": "C"}))
    joined = " ".join(line)
    assert "--bind" not in line
    assert f"--ro-bind {root}/usr /usr" in joined
    assert "--ro-bind /store/core /.corebox/core" in joined
    assert "--symlink usr/lib /lib" in joined
    assert joined.endswith("--remount-ro / --chdir /.corebox/tmp --setenv LC_ALL C")
    for option in ("--unshare-all", "--die-with-parent", "--clearenv"):
        assert option in line


def test_customers_files_in_tmp_are_not_hidden(root: Path) -> None:
    assert "/tmp" in plan_options(Sandbox(root))
    (root / "tmp").mkdir()
    line = plan_options(Sandbox(root))
    assert line[line.index("/tmp") - 2] == "--ro-bind"


def test_nobody_is_root_inside(root: Path) -> None:
    line = plan_options(Sandbox(root))
    expected = os.getuid() or 1000
    assert line[line.index("--uid") + 1] == str(expected)
