"""Parts of a blob: kept across processes, found where they are, forgotten when there are too many."""

import os
from pathlib import Path

from corebox.store.partial import PartialBlob, remove_partial, trim_partials
from corebox.store.store import Store

DIGEST = "sha256:" + 64 * "5"


def test_a_part_is_there_for_the_next_process_and_nothing_else_is(tmp_path: Path) -> None:
    path = tmp_path / "blob"
    with PartialBlob(path) as first:
        first.write(1 << 20, b"some")
        first.write(10, b"other bytes")
    with PartialBlob(path) as again:
        assert again.read(1 << 20, 4) == b"some"
        assert again.read(10, 5) == b"other"
        assert again.read(1 << 20, 5) is None
        assert again.read(0, 4) is None
        assert again.piece(10) == b"other bytes"
        assert again.piece(0) == b""
        assert again.next_part(0) == 10
        assert again.next_part(10) == 1 << 20
        assert again.next_part(1 << 20) is None


def test_a_list_that_was_cut_while_it_was_written_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    path = tmp_path / "blob"
    with PartialBlob(path) as first:
        first.write(0, b"some")
        first.write(8, b"more")
    os.truncate(f"{path}.parts", 20)
    with PartialBlob(path) as again:
        assert again.read(0, 4) == b"some"
        assert again.read(8, 4) is None


def test_those_used_least_lately_go_when_there_are_too_many(tmp_path: Path) -> None:
    for number in range(3):
        with PartialBlob(tmp_path / str(number)) as blob:
            blob.write(0, bytes(1 << 20))
        os.utime(tmp_path / str(number), (number, number))
    trim_partials(tmp_path, 2 << 20)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "1.parts", "2", "2.parts"]
    remove_partial(tmp_path / "1")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2", "2.parts"]


def test_what_is_kept_is_counted_when_it_is_pruned(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    path = store.partial_path(DIGEST)
    with PartialBlob(path) as blob:
        blob.write(1 << 30, bytes(1 << 20))
    assert store.plan_prune().freed == 0
    for each in path.parent.iterdir():
        os.utime(each, (0, 0))
    planned = store.plan_prune().freed
    assert 1 << 20 <= planned < 1 << 21
    assert store.prune().freed == planned
    assert not path.exists()
