"""Where a control group is made, and that nothing of it stays."""

import os
from pathlib import Path

from corebox.engine.cgroup import bounding_group, can_bound
from corebox.engine.sandbox import Limits


def test_where_nothing_is_delegated_there_is_no_group(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpu memory pids\n")
    (tmp_path / "cgroup.subtree_control").write_text("cpu\n")
    with bounding_group(Limits(), tmp_path) as group:
        assert group is None
    assert not can_bound(tmp_path)


def test_a_folder_that_is_no_control_group_takes_no_bounds_and_is_removed(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("memory\n")
    (tmp_path / "cgroup.subtree_control").write_text("memory\n")
    before = sorted(tmp_path.iterdir())
    assert not can_bound(tmp_path)
    assert sorted(tmp_path.iterdir()) == before


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("memory\n")
    (tmp_path / "cgroup.subtree_control").write_text("memory\n")
    mine = f"corebox-{os.getpid()}-00000000"
    for name in ("corebox-4194999-00000000", mine, "corebox-friend"):
        (tmp_path / name).mkdir()
    can_bound(tmp_path)
    assert [path.name for path in sorted(tmp_path.iterdir()) if path.is_dir()] == [mine, "corebox-friend"]
