"""The store: blobs, images and their names, notes, and what prune takes."""

import hashlib
import json
import os
from pathlib import Path

import pytest

from corebox.errors import HostError, InputError
from corebox.store.store import Store
from corebox.store.values import LAYER_KIND, MANIFEST_TYPE, Descriptor, Layer, StoredImage
from tests.support.images import put_random_image


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "home")


def put_layer(store: Store, data: bytes) -> Descriptor:
    with store.writer() as writer:
        writer.write(data)
        return writer.commit()


def put_image(store: Store, *layers: bytes, tags: tuple[str, ...] = ()) -> StoredImage:
    blobs = [put_layer(store, data) for data in layers]
    parts = [Descriptor(blob.media_type, blob.digest, blob.size, {LAYER_KIND: "core"}).to_json() for blob in blobs]
    config = {"rootfs": {"type": "layers", "diff_ids": [blob.digest for blob in blobs]}}
    return store.put_image({"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "layers": parts}, config, tags)


def test_a_new_store_is_one_that_only_its_owner_enters_and_looking_writes_nothing_into_it(store: Store) -> None:
    assert store.home.stat().st_mode & 0o777 == 0o700
    assert store.images() == []
    assert store.look_up("app:1") is None
    with pytest.raises(InputError):
        store.find("app:1")
    assert not any(path.is_file() for path in store.oci.rglob("*"))
    assert not (store.home / "format.json").exists()


def test_the_first_image_makes_the_store_an_oci_layout_of_this_version(store: Store) -> None:
    put_image(store, b"layer", tags=("app:1",))
    assert (store.oci / "oci-layout").read_bytes() == b'{"imageLayoutVersion":"1.0.0"}'
    assert json.loads((store.home / "format.json").read_bytes()) == {"format": 2}
    assert Store(store.home).find("app:1").tags == ("app:1",)


def test_a_blob_is_named_by_its_digest(store: Store) -> None:
    data = os.urandom(3 << 20)
    blob = put_layer(store, data)
    assert blob.digest == "sha256:" + hashlib.sha256(data).hexdigest()
    assert blob.size == len(data)
    assert store.blob_path(blob.digest).read_bytes() == data


def test_a_range_of_a_file_is_appended(store: Store, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"0123456789")
    with (tmp_path / "source").open("rb") as source, store.writer() as writer:
        writer.copy_range(source.fileno(), 2, 5)
        blob = writer.commit()
    assert store.blob_path(blob.digest).read_bytes() == b"23456"


def test_a_blob_that_is_not_committed_leaves_nothing(store: Store) -> None:
    with store.writer() as writer:
        writer.write(b"half")
    assert list((store.oci / "blobs" / "sha256").iterdir()) == []
    assert list(store.home.glob("tmp/*/*")) == []


def test_what_is_no_digest_is_no_path(store: Store) -> None:
    with pytest.raises(InputError) as caught:
        store.blob_path("sha256:../../../etc/passwd")
    assert caught.value.code == "image-damaged"


def test_an_image_is_found_by_name_and_by_the_beginning_of_its_id(store: Store) -> None:
    image = put_image(store, b"one", tags=("app:1", "tool:latest"))
    for reference in (
        "app:1",
        "tool",
        image.image_id,
        image.image_id[:19],
        image.image_id[7:19],
        image.manifest_digest,
    ):
        assert store.find(reference) == image
    assert image.tags == ("app:1", "tool:latest")
    assert [layer.kind for layer in image.layers] == ["core"]


def test_a_name_moves_to_the_newer_image(store: Store) -> None:
    older = put_image(store, b"one", tags=("app:1",))
    newer = put_image(store, b"two", tags=("app:1",))
    assert store.find("app:1") == newer
    assert store.find(older.image_id).tags == ()


def test_the_same_image_twice_is_one_image_with_both_names(store: Store) -> None:
    put_image(store, b"one", tags=("app:1",))
    put_image(store, b"one", tags=("app:2",))
    assert [image.tags for image in store.images()] == [("app:1", "app:2")]


def test_tag_and_untag(store: Store) -> None:
    image = put_image(store, b"one", tags=("app:1",))
    store.tag(image, "app:best")
    assert store.find("app:best").tags == ("app:1", "app:best")
    store.untag("app:1")
    store.untag("app:best")
    assert [found.tags for found in store.images()] == [()]


def test_an_unknown_and_an_ambiguous_name_are_told_apart(store: Store) -> None:
    with pytest.raises(InputError) as unknown:
        store.find("app:1")
    assert unknown.value.code == "no-such-image"
    images = [put_image(store, bytes([number])) for number in range(3)]
    path = store.oci / "index.json"
    text = path.read_text()
    for image in images:  # as if all IDs began alike
        text = text.replace(image.image_id[7:], "abcd" + image.image_id[11:])
    path.write_text(text)
    with pytest.raises(InputError) as ambiguous:
        store.find("abcd")
    assert (ambiguous.value.code, ambiguous.value.message) == ("ambiguous-image", "abcd names 3 images")


@pytest.mark.parametrize(
    "damage", [b"", b"[]", b'{"layers":1}', b'{"layers":[{}],"config":{}}', b"\xff", b"[" * 100000]
)
def test_a_damaged_manifest_is_an_input_error(store: Store, damage: bytes) -> None:
    image = put_image(store, b"one")
    store.blob_path(image.manifest_digest).write_bytes(damage)
    with pytest.raises(InputError) as caught:
        store.images()
    assert caught.value.code == "image-damaged"


def test_prune_removes_a_damaged_image_and_leaves_the_others(store: Store) -> None:
    damaged = put_image(store, b"one", tags=("app:1",))
    whole = put_image(store, b"two", tags=("app:2",))
    store.blob_path(damaged.image_id).unlink()
    with pytest.raises(InputError) as caught:
        store.images()
    assert "corebox prune" in caught.value.hint
    store.prune()
    assert store.images() == [whole]


def test_notes_are_kept_by_kind_and_key(store: Store) -> None:
    store.remember("layer", "key/with:anything\n", {"digest": "x"})
    assert store.recall("layer", "key/with:anything\n") == {"digest": "x"}
    assert store.recall("layer", "other") is None
    assert store.recall("toolbox", "key/with:anything\n") is None
    assert store.notes("layer") == [{"digest": "x"}]


def test_a_note_goes_with_what_it_needs_or_when_nobody_has_used_it_for_long(store: Store) -> None:
    image = put_random_image(store, 1000)
    identity = image.labels["io.corebox.bundle"]
    for key in (identity, "sha256:" + 64 * "0", image.image_id, image.layers[0].digest):
        store.remember("history", key, {"of": key}, [key])
    for key in ("host", "old", "used"):
        store.remember("toolbox", key, {})
    for note in (store.home / "records" / "toolbox").iterdir():
        os.utime(note, (1, 1))
    for key in ("host", "used"):
        assert store.recall("toolbox", key) == {}
    store.prune()
    kept = [identity, image.image_id, image.layers[0].digest]
    assert sorted(str(note["of"]) for note in store.notes("history")) == sorted(kept)
    assert [store.recall("toolbox", key) for key in ("host", "old", "used")] == [{}, None, {}]
    store.remove(image)
    store.prune()
    assert store.notes("history") == []
    assert len(store.notes("toolbox")) == 2, "notes that need nothing stay"


@pytest.mark.parametrize("damage", [b"", b"[]", b"\xff", b'{"needs": 1}', b'{"needs": [[]]}'])
def test_prune_takes_a_note_that_cannot_be_read(store: Store, damage: bytes) -> None:
    store.remember("any", "key", {})
    (note,) = store.home.glob("records/any/*")
    note.write_bytes(damage)
    store.prune()
    assert not note.exists()


def test_prune_does_not_mind_a_label_that_is_no_text(store: Store) -> None:
    """JSON can say half a surrogate pair, which no encoding has."""
    layer = put_layer(store, b"layer")
    config: dict[str, object] = {
        "rootfs": {"diff_ids": [layer.digest]},
        "config": {"Labels": {"io.corebox.bundle": "\ud800"}},
    }
    store.put_image({"mediaType": MANIFEST_TYPE, "layers": [layer.to_json()]}, config, ["app:1"])
    store.remember("compressed", "\ud800", {"any": "note"})
    assert store.prune() == ((), 0)


def test_a_configuration_that_is_too_long_is_not_read(store: Store) -> None:
    layer = put_layer(store, b"layer")
    config: dict[str, object] = {"rootfs": {"diff_ids": [layer.digest]}, "config": [[]] * 400_000}
    with pytest.raises(InputError) as caught:
        store.put_image({"mediaType": MANIFEST_TYPE, "layers": [layer.to_json()]}, config, ["app:1"])
    assert caught.value.code == "image-damaged"
    assert store.images() == []


def test_prune_takes_what_no_named_image_needs(store: Store) -> None:
    kept = put_image(store, b"shared", b"mine", tags=("app:1",))
    gone = put_image(store, b"shared", b"only of the nameless one")
    orphan = put_layer(store, b"orphan")
    pruned = store.prune()
    assert [image.image_id for image in pruned.images] == [gone.image_id]
    assert not store.has(orphan.digest)
    assert not store.has(gone.layers[1].digest)
    assert all(store.has(layer.digest) for layer in kept.layers)
    assert pruned.freed >= len(b"orphan") + len(b"only of the nameless one")


def test_prune_takes_images_that_were_not_used_lately(store: Store) -> None:
    old = put_image(store, b"old", tags=("app:old",))
    put_image(store, b"new", tags=("app:new",))
    os.utime(store.blob_path(old.manifest_digest), (1, 1))
    assert [image.tags for image in store.prune(older_than=3600).images] == [("app:old",)]
    assert [image.tags for image in store.images()] == [("app:new",)]


def test_using_an_image_keeps_it(store: Store) -> None:
    old = put_image(store, b"old", tags=("app:old",))
    os.utime(store.blob_path(old.manifest_digest), (1, 1))
    store.find("app:old")
    assert store.prune(older_than=3600).images == ()


def test_the_size_limit_takes_the_least_recently_used_first(store: Store) -> None:
    images = [put_image(store, b"s" * 100, bytes([number]) * 100, tags=(f"app:{number}",)) for number in range(4)]
    for number, image in enumerate(images):
        os.utime(store.blob_path(image.manifest_digest), (number, number))
    pruned = store.prune(size_limit=300)
    assert [image.tags for image in pruned.images] == [("app:0",), ("app:1",)]


def test_prune_keeps_what_is_pinned(store: Store) -> None:
    toolbox, older = put_layer(store, b"toolbox"), put_layer(store, b"older")
    assert store.plan_prune(pinned=[toolbox.digest]) == ((), len(b"older"))
    assert store.has(older.digest)
    assert store.prune(pinned=[toolbox.digest]) == ((), len(b"older"))
    assert [store.has(each.digest) for each in (toolbox, older)] == [True, False]


def test_what_prune_would_remove_is_what_it_removes(store: Store) -> None:
    for number in range(4):
        image = put_image(store, b"s" * 100, bytes([number]) * 100, tags=(f"app:{number}",) if number else ())
        os.utime(store.blob_path(image.manifest_digest), (number, number))
    plan = store.plan_prune(size_limit=250)
    assert [image.tags for image in plan.images] == [(), ("app:1",), ("app:2",)]
    assert len(store.images()) == 4
    assert store.prune(size_limit=250) == plan


def test_a_missing_layer_is_named(store: Store) -> None:
    digest = "sha256:" + 64 * "0"
    with pytest.raises(InputError) as caught:
        store.unpacked([Layer(digest, 1, "core", digest)])
    assert caught.value.code == "missing-blob"
    assert digest in caught.value.message


def test_a_store_that_cannot_be_made_is_a_host_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HostError) as caught:
        Store(tmp_path / "file" / "home")
    assert caught.value.code == "store-unusable"
    assert caught.value.hint


def test_an_adopted_blob_is_for_its_owner_alone(tmp_path: Path) -> None:
    store = Store(tmp_path / "home")
    file = tmp_path / "home" / "file"
    file.write_bytes(b"memory")
    file.chmod(0o644)
    digest = "sha256:" + hashlib.sha256(b"memory").hexdigest()
    store.adopt_blob(file, digest)
    assert store.blob_path(digest).stat().st_mode & 0o777 == 0o600
    assert store.whole_blob(digest).read_bytes() == b"memory"


def test_an_image_that_is_found_was_used_now(tmp_path: Path) -> None:
    """Pruning goes by that."""
    store = Store(tmp_path / "home")
    image = put_random_image(store, 1000)
    manifest = store.blob_path(image.manifest_digest)
    os.utime(manifest, (1, 1))
    store.find("random:1")
    assert manifest.stat().st_mtime > 1_600_000_000
    os.utime(manifest, (1, 1))
    store.put_manifest(Descriptor(MANIFEST_TYPE, image.manifest_digest, manifest.stat().st_size))
    assert manifest.stat().st_mtime > 1_600_000_000, "also one that was there already"


def test_a_damaged_blob_goes_so_that_it_is_made_again(tmp_path: Path) -> None:
    store = Store(tmp_path / "home")
    image = put_random_image(store, 1000)
    path = store.blob_path(image.layers[0].digest)
    path.write_bytes(b"damaged")
    with pytest.raises(InputError, match="has been removed"):
        store.whole_blob(image.layers[0].digest)
    assert not path.exists()
    with pytest.raises(InputError) as raised:
        store.require_whole(image.layers[0].digest)
    assert raised.value.code == "missing-blob"
