"""Links in an unpacked root, which lead where they would lead whoever runs in it, and never out of it."""

import os
from pathlib import Path

import pytest

from corebox.store.within import file_within, within


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "usr" / "lib").mkdir(parents=True)
    (root / "usr" / "lib" / "libc.so.6").write_bytes(b"theirs")
    (tmp_path / "secret").write_bytes(b"ours")
    for link, target in {
        "lib": "usr/lib",
        "lib64": "/usr/lib",
        "up": "../../../../usr/lib",
        "again": "lib/../lib",
        "out": "../secret",
        "far": str(tmp_path / "secret"),
        "loop": "loop",
        "a": "b/x",
        "b": "a/x",
        "dangling": "nothing",
        "usr/self": ".",
    }.items():
        (root / link).symlink_to(target)
    os.mkfifo(root / "pipe")
    return root


@pytest.mark.parametrize(
    "name",
    ["/usr/lib/libc.so.6", "lib/libc.so.6", "/lib64/libc.so.6", "/up/libc.so.6", "/again/libc.so.6",
     "//lib/./libc.so.6", "/../../usr/lib/libc.so.6", "/usr/self/self/lib/libc.so.6"],
)  # fmt: skip
def test_a_link_leads_within_the_root(root: Path, name: str) -> None:
    assert within(root, name) == root / "usr" / "lib" / "libc.so.6"
    assert file_within(root, name) == root / "usr" / "lib" / "libc.so.6"


@pytest.mark.parametrize(
    "name", ["/out", "/far", "/loop", "/a", "/dangling", "/nothing", "/usr/lib/libc.so.6/x", "x\0", "/" + "x" * 300]
)
def test_no_link_leads_out(root: Path, name: str) -> None:
    assert within(root, name) is None


def test_a_pipe_and_a_folder_are_no_files(root: Path) -> None:
    assert file_within(root, "pipe") is None
    assert file_within(root, "lib") is None
    assert file_within(root, "/") is None
    assert within(root, "/lib") == root / "usr" / "lib"
