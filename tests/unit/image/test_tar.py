"""Layer tars: complete, sorted, with fixed owners and times, readable by any tar."""

import hashlib
import os
import tarfile
from pathlib import Path

import pytest

from corebox.image.tar import Entry, complete, key_of, text_file, write_tar
from corebox.store.store import Store


def members(store: Store, entries: list[Entry]) -> list[tarfile.TarInfo]:
    with store.writer() as writer:
        write_tar(complete(entries), writer)
        blob = writer.commit()
    with tarfile.open(store.blob_path(blob.digest), errors="surrogateescape") as archive:
        return archive.getmembers()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "home")


def test_every_directory_on_the_way_is_listed_before_what_is_in_it(store: Store) -> None:
    found = members(store, [text_file("opt/app/bin/app", b"x", 0o755), text_file("opt/app.conf", b"y")])
    assert [each.name for each in found] == ["opt", "opt/app", "opt/app/bin", "opt/app/bin/app", "opt/app.conf"]
    assert [each.mode for each in found] == [0o755, 0o755, 0o755, 0o755, 0o644]
    assert {(each.uid, each.gid, each.uname, each.gname, each.mtime) for each in found} == {(0, 0, "", "", 0)}


def test_files_keep_mode_and_time_and_links_their_target(store: Store, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"content")
    file, link = members(
        store, [Entry("a", 0o751, 1700000000, 7, None, tmp_path / "source"), Entry("b", 0o777, target="../a")]
    )
    assert (file.mode, file.mtime, file.size) == (0o751, 1700000000, 7)
    assert (link.issym(), link.linkname) == (True, "../a")


def test_long_names_and_names_of_odd_bytes_survive(store: Store) -> None:
    names = ["x" * 90 + "/" + "y" * 200, os.fsdecode(b"\xff\xfe"), "caf\u00e9"]
    found = members(store, [text_file(name, b"") for name in names])
    assert {each.name for each in found if each.isfile()} == set(names)


def test_the_bytes_are_known(store: Store) -> None:
    """Another digest here means other layers than all images that are in registries: raise tar._FORMAT then."""
    with store.writer() as writer:
        write_tar(complete([text_file("opt/caf\u00e9", b"content"), Entry("opt/l", 0o777, target="x" * 120)]), writer)
        blob = writer.commit()
    assert blob.digest == "sha256:208108bcd96e3748378fb2d01ba51a0e460974cba3e438f2a0adf0e20cfaf911"


def test_a_file_that_became_shorter_is_noticed(store: Store, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"short")
    with pytest.raises(EOFError):
        members(store, [Entry("a", size=100, source=tmp_path / "source")])


def test_equal_entries_have_equal_keys_wherever_their_sources_lie() -> None:
    digest = hashlib.sha256(b"x").hexdigest()
    here = Entry("a", 0o644, 5, 1, None, Path("/here"), digest)
    there = Entry("a", 0o644, 5, 1, None, Path("/there"), digest)
    assert key_of([here]) == key_of([there])
    assert key_of([here]) != key_of([Entry("a", 0o755, 5, 1, None, Path("/here"), digest)])
    assert key_of([here, Entry("b", source=Path("/unknown"))]) is None
