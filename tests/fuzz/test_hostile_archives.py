"""An archive or a layer that says too much is refused before it fills the memory."""

import gzip
import io
import tarfile
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from corebox.bundle.corelayer import core_within
from corebox.bundle.tarformat import BLOCK, FILE, GLOBAL_PAX, PAX, Member, format_member, format_record
from corebox.errors import InputError
from corebox.files import boundedtar as strangers
from corebox.files.boundedtar import MAX_EXTENDED_LENGTH
from corebox.gather.tree import unpack_tree
from corebox.store.store import Store
from corebox.store.values import Layer

LONG = 24 << 20
NOTHING = Member(b"x", FILE, 0, 0o644, 0)


def extended(kind: bytes) -> bytes:
    return format_member(Member(b"\x7fELF\2\1\1", kind, LONG, 0o644, 0)) + bytes(LONG) + format_member(NOTHING)


def long_header(kind: bytes, name: bytes = b"comment") -> bytes:
    """A header that is just short enough."""
    record = format_record(name, bytes(MAX_EXTENDED_LENGTH - 100))
    return format_member(Member(b"x", kind, len(record), 0o644, 0)) + record + bytes(-len(record) % BLOCK)


def sparse() -> bytes:
    """A sparse member of the pax format whose map has millions of entries."""
    records = b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n"
    head = format_member(Member(b"x", PAX, len(records), 0o644, 0)) + records.ljust(BLOCK, b"\0")
    data = (b"%d\n" % (LONG // 4)) + b"1\n" * (LONG // 2)
    return head + format_member(Member(b"x", FILE, len(data), 0o644, 0)) + data + bytes(-len(data) % BLOCK)


CASES: dict[str, Callable[[], bytes]] = {
    "a long global header": lambda: extended(GLOBAL_PAX),
    "a long header of a member": lambda: extended(PAX),
    "a long name": lambda: extended(tarfile.GNUTYPE_LONGNAME),
    "a long link": lambda: format_member(NOTHING) + extended(tarfile.GNUTYPE_LONGLINK),
    "a chain of headers": lambda: format_member(Member(b"x", PAX, 0, 0o644, 0)) * 5000 + format_member(NOTHING),
    "a chain of long headers": lambda: long_header(PAX) * 24 + format_member(NOTHING),
    "a map of a sparse member": sparse,
    "many members": lambda: format_member(Member(b"x/", tarfile.DIRTYPE, 0, 0o755, 0)) * 3_100,
}


@contextmanager
def little_memory(limit: int = 20 << 20) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < limit
    finally:
        tracemalloc.stop()


@pytest.fixture(autouse=True)
def fewer_members(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strangers, "MAX_MEMBERS", 3_000)


@pytest.mark.parametrize("name", CASES)
def test_a_layer_is_refused(tmp_path: Path, name: str) -> None:
    store = Store(tmp_path / "home")
    with store.writer() as writer:
        writer.write(CASES[name]() + bytes(2 * BLOCK))
        blob = writer.commit()
    with little_memory(), pytest.raises(InputError) as caught:
        store.unpacked([Layer(blob.digest, blob.size, "core", blob.digest)])
    assert caught.value.code == "image-damaged"


@pytest.mark.parametrize("name", CASES)
def test_an_archive_of_a_site_is_refused(tmp_path: Path, name: str) -> None:
    packed = io.BytesIO(gzip.compress(CASES[name]() + bytes(2 * BLOCK), 1))
    with little_memory(), pytest.raises(InputError) as caught:
        unpack_tree(packed, str(tmp_path), "site.tar.gz")
    assert caught.value.code == "not-an-archive"


def test_members_that_are_not_too_many_are_read_and_forgotten(tmp_path: Path) -> None:
    many = format_member(Member(b"directory/", tarfile.DIRTYPE, 0, 0o755, 0)) * 2_900
    archive = io.BytesIO(many + format_member(NOTHING) + bytes(2 * BLOCK))
    with little_memory(3 << 19):
        unpack_tree(archive, str(tmp_path), "site.tar")
    assert (tmp_path / "x").is_file()


def test_global_headers_do_not_add_up(tmp_path: Path) -> None:
    parts = (long_header(GLOBAL_PAX, b"%d" % number) + format_member(NOTHING) for number in range(24))
    archive = tmp_path / "site.tar"
    archive.write_bytes(b"".join(parts) + bytes(2 * BLOCK))
    with little_memory(), archive.open("rb") as file:
        unpack_tree(file, str(tmp_path), "site.tar")
    assert (tmp_path / "x").is_file()


def test_a_layer_that_begins_as_a_core_but_is_none_of_ours_has_no_core(tmp_path: Path) -> None:
    path = tmp_path / "layer"
    path.write_bytes(extended(GLOBAL_PAX))
    with little_memory(), pytest.raises(ValueError, match="not as corebox writes it"):
        core_within(str(path))
