"""A file that is held open: what it is read for is what it was when it was found."""

import os
from pathlib import Path

import pytest

from corebox.errors import InputError
from corebox.files.openfile import OpenFile


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "lib.so"
    path.write_bytes(b"content")
    return path


def held(path: Path) -> OpenFile:
    return OpenFile(str(path), os.open(path, os.O_RDONLY))


def test_a_file_that_is_removed_or_replaced_is_still_what_it_was(path: Path) -> None:
    """A package manager does that, and so does the end of a container."""
    file = held(path)
    (path.parent / "new").write_bytes(b"another")
    (path.parent / "new").rename(path)
    file.check_unchanged()
    assert os.pread(file.fileno(), 9, 0) == b"content"
    file.close()


@pytest.mark.parametrize("keep_time", [True, False])
def test_a_file_that_is_written_to_is_changed(path: Path, keep_time: bool) -> None:
    file = held(path)
    before = path.stat()
    path.write_bytes(b"written")
    if keep_time:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(InputError, match="changed while"):
        file.check_unchanged()
    file.close()
