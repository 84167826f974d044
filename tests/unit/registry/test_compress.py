"""Layers on their way: compressed, and taken apart again."""

import gzip
import hashlib
import os
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corebox.bundle.blocks import BLOCK_SIZE
from corebox.bundle.corelayer import core_within
from corebox.errors import InputError
from corebox.files.seekable import frame_content
from corebox.registry.compress import COMPRESSIONS, compress_layer, decompress, gzip_member
from corebox.store.store import Store
from corebox.store.values import Descriptor
from corebox.unbundle.compression import table_of
from tests.unit.bundle.samples import layer_of

DATA = b"".join(os.urandom(1000) * 50 for _ in range(60))  # 3 MB: several blocks


@pytest.fixture
def tar(tmp_path: Path) -> Path:
    """A layer."""
    path = tmp_path / "layer.tar"
    path.write_bytes(DATA)
    return path


def _compress(store: Store, tar: Path, compression: str) -> Descriptor:
    with store.writer() as writer:
        assert compress_layer(tar, writer, compression) == "sha256:" + hashlib.sha256(DATA).hexdigest()
        return writer.commit(COMPRESSIONS[compression])


def _pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("size", [7777, 1 << 20, len(DATA)])
def test_what_is_compressed_comes_back(tmp_path: Path, tar: Path, compression: str, size: int) -> None:
    store = Store(tmp_path / "home")
    blob = _compress(store, tar, compression)
    assert blob.media_type == COMPRESSIONS[compression]
    assert blob.size < len(DATA) // 2
    data = store.blob_path(blob.digest).read_bytes()
    assert b"".join(decompress(_pieces(data, size), blob.media_type)) == DATA


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_each_block_of_a_core_is_a_frame_of_its_own(tmp_path: Path, compression: str) -> None:
    core = b"\x7fELF\x02\x01\x01" + os.urandom(2 * BLOCK_SIZE)
    tar = tmp_path / "core.tar"
    tar.write_bytes(layer_of(core))
    store = Store(tmp_path / "home")
    with store.writer() as writer:
        compress_layer(tar, writer, compression)
        blob = store.blob_path(writer.commit().digest)
    with blob.open("rb") as file:
        table = table_of(file)
    assert table is not None
    assert table.size == tar.stat().st_size
    blocks = table.blocks(core_within(str(tar)).offset, len(core), BLOCK_SIZE)
    assert blocks == range(1, 4)
    frame, data = table[2], blob.read_bytes()
    stored = data[frame.stored_offset : frame.stored_offset + frame.stored_size]
    assert frame_content(compression, stored, frame.size) == core[BLOCK_SIZE : 2 * BLOCK_SIZE]


def test_any_gzip_reads_our_gzip(tmp_path: Path, tar: Path) -> None:
    store = Store(tmp_path / "home")
    blob = _compress(store, tar, "gzip")
    assert gzip.decompress(store.blob_path(blob.digest).read_bytes()) == DATA


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_the_bytes_depend_on_the_content_alone(tmp_path: Path, tar: Path, compression: str) -> None:
    digests = {_compress(Store(tmp_path / name), tar, compression).digest for name in ("a", "b", "c")}
    assert len(digests) == 1


def test_a_member_does_not_depend_on_the_thread() -> None:
    """Bytes 2 to 9 come again; where ISA-L's hash table has the wrong entry for them, the match begins elsewhere."""
    chance = random.Random(0)
    blocks = []
    for _ in range(2000):
        again, rest = chance.randbytes(8), bytes(chance.choices(b"abcdefghijkl", k=100))
        blocks.append(b"xy" + again + rest[:20] + again + rest[20:])
    together = threading.Barrier(16)

    def compress_all() -> list[bytes]:
        together.wait()  # each thread has a stack of its own only while the others live
        return [gzip_member(block) for block in blocks]

    with ThreadPoolExecutor(16) as pool:
        made = [job.result() for job in [pool.submit(compress_all) for _ in range(16)]]
    assert [gzip.decompress(member) for member in made[0]] == blocks
    assert all(each == made[0] for each in made)


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 33])
def test_a_short_block_comes_back(size: int) -> None:
    block = os.urandom(size)
    assert gzip.decompress(gzip_member(block)) == block


def test_a_layer_that_is_not_compressed_passes(tmp_path: Path) -> None:
    assert list(decompress(iter([b"tar"]), "application/vnd.oci.image.layer.v1.tar")) == [b"tar"]


@pytest.mark.parametrize("compression", COMPRESSIONS)
@settings(max_examples=60, deadline=None)
@given(data=st.binary(min_size=1, max_size=300))
def test_garbage_is_an_error(compression: str, data: bytes) -> None:
    with pytest.raises(InputError) as raised:
        list(decompress(iter([data]), COMPRESSIONS[compression]))
    assert raised.value.code == "digest-mismatch"


def test_a_bomb_comes_in_small_pieces() -> None:
    bomb = gzip.compress(bytes(50 << 20))
    assert max(map(len, decompress(iter([bomb]), COMPRESSIONS["gzip"]))) <= 1 << 20


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_a_cut_layer_is_an_error(tmp_path: Path, tar: Path, compression: str) -> None:
    store = Store(tmp_path / "home")
    blob = _compress(store, tar, compression)
    data = store.blob_path(blob.digest).read_bytes()
    with pytest.raises(InputError):
        list(decompress(_pieces(data[:-5], 1000), blob.media_type))
