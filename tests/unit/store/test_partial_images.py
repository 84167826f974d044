"""Images whose core stays in a registry: listed with what is here of them, pruned and removed as any other."""

import os
from pathlib import Path

import pytest

from corebox.store.partial import PartialBlob, remove_partial
from corebox.store.store import Store
from corebox.store.values import Descriptor, Layer, StoredImage

NAME = "registry.example/team/app:1"
PART = 64 << 10


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty one."""
    return Store(tmp_path / "home")


def put(store: Store, name: str = NAME, content: bytes = b"files") -> StoredImage:
    """An image with a small layer, and parts of its core."""
    with store.writer() as writer:
        writer.write(content)
        blob = writer.commit("")
    core = Descriptor("", f"sha256:{name.encode().hex():0>64.64}", 1 << 30)
    layers = (_layer(blob, "bundle"), _layer(core._replace(size=0), "core"))
    config: dict[str, object] = {"config": {"Labels": {"io.corebox.program": "app"}}}
    image = StoredImage(f"sha256:{'ab' * 32}", "", (name,), layers, config)
    with PartialBlob(store.partial_path(core.digest)) as kept:
        kept.write(512 << 20, bytes(range(256)) * (PART // 256))
    store.put_partial(image)
    return image


def _layer(blob: Descriptor, kind: str) -> Layer:
    return Layer(blob.digest, blob.size, kind, blob.digest)


def parts(store: Store) -> list[Path]:
    """The files with parts of cores."""
    return sorted((store.home / "cache/partial").iterdir())


def test_it_is_listed_with_what_is_here_of_it(store: Store) -> None:
    image = put(store)
    (listed,) = store.partial_images()
    assert listed.is_partial
    assert (listed.tags, listed.image_id, listed.labels) == ((NAME,), image.image_id, {"io.corebox.program": "app"})
    assert listed.layers[0] == image.layers[0]
    assert listed.layers[1]._replace(size=0) == image.layers[1]
    assert PART <= listed.layers[1].size < 4 * PART
    assert store.images() == []


def test_it_is_listed_once_and_not_any_more_when_its_parts_are_gone(store: Store) -> None:
    core = put(store).layers[-1]
    put(store)
    assert len(store.partial_images()) == 1
    remove_partial(store.partial_path(core.digest))  # as a pull of the whole image does
    assert store.partial_images() == []


def test_a_sweep_leaves_what_it_needs(store: Store) -> None:
    image = put(store)
    assert store.sweep() == 0
    assert store.has(image.layers[0].digest)
    assert len(parts(store)) == 2


def test_it_is_removed_with_its_parts_and_layers(store: Store) -> None:
    (image, other) = (put(store), put(store, "registry.example/team/app:2", b"other"))
    (listed, _) = store.partial_images()
    assert store.remove(listed) >= PART
    assert store.sweep() == len(b"files")
    assert [each.tags for each in store.partial_images()] == [other.tags]
    assert (store.has(image.layers[0].digest), store.has(other.layers[0].digest)) == (False, True)


@pytest.mark.parametrize("given", [{"older_than": 86400.0}, {"size_limit": 100}])
def test_it_is_pruned_as_any_other(store: Store, given: dict[str, float]) -> None:
    put(store)
    for path in parts(store):
        os.utime(path, (1, 1) if "older_than" in given else None)
    planned = store.plan_prune(**given)  # type: ignore[arg-type]
    assert [each.tags for each in planned.images] == [(NAME,)]
    assert len(parts(store)) == 2
    pruned = store.prune(**given)  # type: ignore[arg-type]
    assert [each.tags for each in pruned.images] == [(NAME,)]
    assert pruned.freed >= PART + len(b"files")
    assert parts(store) == []
    assert store.partial_images() == []


def test_a_note_that_is_none_is_passed_over(store: Store) -> None:
    put(store)
    store.remember("partial-images", "another", {"image_id": 5})
    assert [each.tags for each in store.partial_images()] == [(NAME,)]
