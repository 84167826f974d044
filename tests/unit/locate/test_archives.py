"""Packages and tar files: only names are compared, only wanted ELF files stay, and whatever is in them, it ends."""

import io
import os
import tarfile
from pathlib import Path

import pytest

from corebox.errors import InputError
from corebox.files.checksum import file_checksum
from corebox.locate import archives
from corebox.locate.archives import Archive
from corebox.locate.wantedfiles import Key, WantedFiles
from corebox.store.store import Store
from tests.support.debugfiles import debug_file

BUILD_ID = "0a0b0c0d"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return debug_file(tmp_path_factory.mktemp("program") / "program", BUILD_ID).read_bytes()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "home")


def tar(path: Path, members: list[tuple[str, bytes, bytes]]) -> Path:
    """A tar of (name, content, type) in this order."""
    with tarfile.open(path, "w") as archive:
        for name, content, kind in members:
            member = tarfile.TarInfo(name)
            member.type, member.size = kind, len(content) if kind == tarfile.REGTYPE else 0
            member.linkname = content.decode() if kind != tarfile.REGTYPE else ""
            archive.addfile(member, io.BytesIO(content))
    return path


def find(archive: Path, store: Store, *keys: Key) -> dict[Key, Path]:
    return Archive(archive, store).find(WantedFiles(frozenset(keys)))


def test_no_name_and_no_link_leads_out_of_the_store(store: Store, program: bytes, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    members = [
        ("link", str(tmp_path).encode(), tarfile.SYMTYPE),
        ("link/outside", program, tarfile.REGTYPE),
        ("../../../outside", program, tarfile.REGTYPE),
        (str(outside), program, tarfile.REGTYPE),
        ("hard", b"/etc/passwd", tarfile.LNKTYPE),
        ("pipe", b"", tarfile.FIFOTYPE),
    ]
    found = find(tar(tmp_path / "x.tar", members), store, BUILD_ID)
    assert found[BUILD_ID].read_bytes() == program
    assert found[BUILD_ID].is_relative_to(store.home)
    assert not outside.exists()


def test_only_what_is_wanted_stays(store: Store, program: bytes, tmp_path: Path) -> None:
    members = [("text", b"no program", tarfile.REGTYPE), ("app", program, tarfile.REGTYPE)]
    archive = tar(tmp_path / "x.tar", members)
    assert find(archive, store, "01020304") == {}
    assert [path for path in (store.home / "cache/symbols").rglob("*") if path.is_file()] == []
    checksum = file_checksum(str(find(archive, store, BUILD_ID)[BUILD_ID]))
    assert list(find(archive, store, ("app", checksum), ("app", checksum ^ 1))) == [("app", checksum)]


def test_what_is_known_is_not_unpacked_again_until_it_is_gone(
    store: Store, program: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tar(tmp_path / "x.tar", [("app", program, tarfile.REGTYPE)])
    first = find(archive, store, BUILD_ID, "01020304")
    with monkeypatch.context() as patched:
        patched.setattr(archives, "entries", None)
        assert find(archive, store, BUILD_ID, "01020304") == first
    for path in first.values():
        os.utime(path, (0, 0))
    store.prune()
    assert not any(path.exists() for path in first.values())
    assert find(archive, store, BUILD_ID) == first


def test_a_bomb_ends(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sizes that a header gives are believed before anything is read."""
    monkeypatch.setattr(archives, "_MAX_MEMBER_SIZE", 1 << 20)
    bomb = tmp_path / "x.tar"
    with tarfile.open(bomb, "w:gz") as archive:
        member = tarfile.TarInfo("zeros")
        member.size = 4 << 20
        archive.addfile(member, io.BytesIO(bytes(member.size)))
    with pytest.raises(InputError, match="larger than any package when unpacked"):
        find(bomb, store, BUILD_ID)


@pytest.mark.parametrize(
    "content", [b"text", b"!<arch>\n" + b"\xff" * 60, b"\xed\xab\xee\xdb", b"\x1f\x8b" + bytes(50)]
)
def test_what_is_no_archive_is_an_error(store: Store, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(InputError, match="cannot read symbols from"):
        find(path, store, BUILD_ID)


def test_other_formats_of_libarchive_are_off(store: Store, tmp_path: Path) -> None:
    """An mtree file names files of this machine as its content."""
    path = tmp_path / "x.mtree"
    path.write_text("#mtree\n./passwd type=file contents=/etc/passwd\n")
    with pytest.raises(InputError):
        find(path, store, BUILD_ID)


def test_what_is_no_archive_is_refused_in_words(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "app.c"
    path.write_text("int main(void) { return 0; }")
    with pytest.raises(InputError) as raised:
        find(path, store, BUILD_ID)
    assert raised.value.message == f"cannot read symbols from {path}: Unrecognized archive format"
