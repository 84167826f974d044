"""The sandbox as every engine gets it."""

import os
from pathlib import Path

import pytest

from corebox.engine.bubblewrap import plan_options
from corebox.engine.sandbox import Mount, Sandbox, read_root_entries

NO_SKELETON = Path("/not made")


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
    assert [mount.target for mount in entries.mounts] == ["/opt", "/usr", "/etc/app.conf"]
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
    line = plan_options(Sandbox(root, (Mount(Path("/store/core"), "/.corebox/core"),), {"LC_ALL": "C"}), NO_SKELETON)
    joined = " ".join(line)
    assert "--bind" not in line
    assert f"--ro-bind {root}/usr /usr" in joined
    assert "--ro-bind /store/core /.corebox/core" in joined
    assert "--symlink usr/lib /lib" in joined
    assert joined.endswith("--remount-ro / --chdir /.corebox/tmp --setenv LC_ALL C")
    for option in ("--unshare-all", "--die-with-parent", "--clearenv"):
        assert option in line


def test_customers_files_in_tmp_are_not_hidden(root: Path) -> None:
    assert "/tmp" in plan_options(Sandbox(root), NO_SKELETON)
    (root / "tmp").mkdir()
    line = plan_options(Sandbox(root), NO_SKELETON)
    assert line[line.index("/tmp") - 2] == "--ro-bind"


def test_nobody_is_root_inside(root: Path) -> None:
    line = plan_options(Sandbox(root), NO_SKELETON)
    expected = os.getuid() or 1000
    assert line[line.index("--uid") + 1] == str(expected)


@pytest.mark.parametrize("container", [False, True])
def test_a_root_with_very_many_files_at_its_top(tmp_path: Path, container: bool) -> None:
    """Folders are mounted, and files as far as it goes; all else leads into the root as a whole."""
    (tmp_path / "zlib").mkdir()
    for number in range(700):
        (tmp_path / f"file{number:04}").touch()
    entries = read_root_entries(tmp_path, container)
    assert len(entries.mounts) < 200
    assert entries.mounts[0].target == "/zlib"
    assert entries.mounts[-1] == Mount(tmp_path, "/.corebox/root")
    assert ("file0699", "/.corebox/root/file0699") in entries.symlinks
    assert len(entries.mounts) + len(entries.symlinks) == 702


def test_more_links_than_options_hold_are_made_in_a_folder(tmp_path: Path) -> None:
    root, skeleton = tmp_path / "root", tmp_path / "skeleton"
    root.mkdir()
    skeleton.mkdir()
    for number in range(700):
        (root / f"link{number}").symlink_to(f"to{number}")
    line = plan_options(Sandbox(root), skeleton)
    assert len(line) < 1000
    assert line[line.index("--bind") :][:3] == ["--bind", str(skeleton), "/"]
    assert str((skeleton / "link699").readlink()) == "to699"


def test_names_that_are_not_utf_8_lead_into_the_root_in_containers(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9")
    (tmp_path / name).mkdir()
    assert read_root_entries(tmp_path).mounts == (Mount(tmp_path / name, f"/{name}"),)
    inside = read_root_entries(tmp_path, container=True)
    assert inside.mounts == (Mount(tmp_path, "/.corebox/root"),)
    assert inside.symlinks == ((name, f"/.corebox/root/{name}"),)


@pytest.mark.parametrize("name", ["etc", "run"])
def test_a_file_where_engines_mount_their_own_is_left_out_in_containers(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    assert [mount.target for mount in read_root_entries(tmp_path).mounts] == [f"/{name}"]
    assert read_root_entries(tmp_path, container=True).mounts == ()
