"""Looking an image up: one image by whatever leads to it, at the same cost among ten and among hundreds."""

import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from corebox.errors import InputError
from corebox.store.store import Store
from corebox.store.values import CONFIG_TYPE, LAYER_KIND, LAYER_TYPE, MANIFEST_TYPE, Descriptor, StoredImage
from tests.support.calls import calls_of
from tests.support.images import put_random_image

MANY = 200
LAYER = b"a layer that all of them have"
_OPENED: list[str] = []
_watching = False


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    if _watching and event == "open":
        _OPENED.append(str(arguments[0]))


sys.addaudithook(_watch)


def opened_by(act: Callable[[], object], home: Path) -> list[str]:
    """The files of the store that are opened meanwhile."""
    global _watching  # noqa: PLW0603  # an audit hook cannot be removed
    _OPENED.clear()
    _watching = True
    try:
        act()
    finally:
        _watching = False
    return [path for path in _OPENED if path.startswith(str(home))]


def put_blob(store: Store, value: bytes | dict[str, object]) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    store.blob_path(digest).write_bytes(data)
    return digest


def manifest_of(store: Store, config: str, **more: object) -> Descriptor:
    """A manifest of the image with this configuration; ``more`` makes it another one."""
    layer = Descriptor(LAYER_TYPE, put_blob(store, LAYER), len(LAYER), {LAYER_KIND: "core"})
    value = {
        "schemaVersion": 2,
        "config": Descriptor(CONFIG_TYPE, config, 1).to_json(),
        "layers": [layer.to_json()],
        **more,
    }
    return Descriptor(MANIFEST_TYPE, put_blob(store, value), 1)


def config_of(store: Store, number: int) -> str:
    labels = {"io.corebox.bundle": "sha256:" + hashlib.sha256(b"%d" % number).hexdigest()}
    diff_id = "sha256:" + hashlib.sha256(LAYER).hexdigest()
    return put_blob(store, {"rootfs": {"diff_ids": [diff_id]}, "config": {"Labels": labels}})


def write_index(store: Store, entries: list[tuple[Descriptor, str]]) -> None:
    """index.json as others write it, who know nothing of our annotations."""
    manifests = [
        each._replace(annotations={"org.opencontainers.image.ref.name": tag} if tag else {}).to_json()
        for each, tag in entries
    ]
    (store.oci / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": manifests}))


def fill(home: Path, count: int) -> Store:
    store = Store(home)
    write_index(store, [(manifest_of(store, config_of(store, number)), f"app:{number}") for number in range(count)])
    store.find("app:0")  # makes the index one of ours
    return store


def test_a_lookup_costs_the_same_among_ten_and_among_hundreds(tmp_path: Path) -> None:
    few, many = fill(tmp_path / "few", 10), fill(tmp_path / "many", MANY)
    image = many.find("app:7")
    for reference in (
        "app:7",
        image.image_id,
        image.image_id[7:23],
        image.manifest_digest,
        image.labels["io.corebox.bundle"],
    ):
        costs = [opened_by(lambda: store.find(reference), store.home) for store in (few, many)]  # noqa: B023
        assert [Path(path).parent.name for path in costs[0]] == ["oci", "sha256", "sha256"], "index, manifest, config"
        assert len(costs[1]) == 3
    costs = [opened_by(lambda: store.look_up("nobody/knows:1"), store.home) for store in (few, many)]  # noqa: B023
    assert [len(each) for each in costs] == [1, 1]


def test_each_of_many_is_found_by_all_its_names(tmp_path: Path) -> None:
    store = fill(tmp_path, 50)
    for image in store.images():
        for reference in (*image.tags, image.image_id, image.manifest_digest, image.labels["io.corebox.bundle"]):
            assert store.find(reference) == image


def test_one_image_is_one_image_however_many_manifests_lead_to_it(tmp_path: Path) -> None:
    store = Store(tmp_path)
    config = config_of(store, 1)
    first, second = manifest_of(store, config), manifest_of(store, config, annotations={"of": "another"})
    for manifest, tag in ((first, "app:1"), (second, "registry.example.com/app:1"), (second, "app:2")):
        store.put_manifest(manifest, [tag])
    (image,) = store.images()
    assert image.tags == ("app:1", "app:2", "registry.example.com/app:1")
    assert image.manifest_digest == first.digest
    assert {store.find(each).image_id for each in (*image.tags, config, config[:12], first.digest)} == {config}
    assert [entry["digest"] for entry in json.loads((store.oci / "index.json").read_bytes())["manifests"]] == [
        first.digest
    ] * 3
    store.untag("app:1")
    store.untag("app:2")
    assert store.find(config[7:15]).tags == ("registry.example.com/app:1",)
    store.remove(image)
    assert store.images() == []


def test_of_two_manifests_the_one_that_can_be_read_is_kept(tmp_path: Path) -> None:
    store = Store(tmp_path)
    config = config_of(store, 1)
    first, second = manifest_of(store, config), manifest_of(store, config, annotations={"of": "another"})
    store.put_manifest(first, ["app:1"])
    store.blob_path(first.digest).unlink()
    assert store.put_manifest(second, ["app:2"]).tags == ("app:1", "app:2")
    assert store.find("app:1").manifest_digest == second.digest


def test_adding_and_naming_cost_the_same_among_ten_and_among_hundreds(tmp_path: Path) -> None:
    stores = [fill(tmp_path / str(count), count) for count in (10, MANY)]

    def cost(act: Callable[[Store], object]) -> list[int]:
        return [calls_of(lambda: act(store)) for store in stores]  # noqa: B023  # called at once

    new = [manifest_of(store, config_of(store, MANY)) for store in stores]
    assert len(set(cost(lambda store: store.put_manifest(new[0], ["new:1", "app:7"])))) == 1
    assert len(set(cost(lambda store: store.tag(store.find("app:8"), "app:9")))) == 1
    assert len(set(cost(lambda store: store.untag("new:1")))) == 1
    assert len(set(cost(lambda store: store.remove(store.find("app:8"))))) == 1


def test_a_name_is_found_whatever_is_in_it(tmp_path: Path) -> None:
    """The index is searched as text."""
    store = Store(tmp_path)
    names = [
        'a"b',
        "a\\b",
        "a\nb,",
        '"org.opencontainers.image.ref.name": "app:1"',
        "\u00e9",
        "a",
        "a:latest",
        "b:latest",
    ]
    images = {name: put_random_image(store, 10, name) for name in names}
    put_random_image(store, 10, "app:12")
    for name, image in images.items():
        assert store.find(name).image_id == image.image_id
    assert store.look_up("app:1") is None
    assert store.find("b").image_id == images["b:latest"].image_id
    store.untag(names[0])
    assert store.look_up(names[0]) is None
    assert store.find(images[names[0]].image_id).tags == ()


def test_an_index_that_is_not_as_it_was_written_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("corebox.store.catalogue._STALE", 0.0)
    store = Store(tmp_path)
    image, other = (put_random_image(store, 100, f"app:{number}") for number in range(2))
    path = store.oci / "index.json"
    text = path.read_bytes()
    for damaged in (b"", text[:-40], text.replace(b'"digest"', b'"digest')):
        path.write_bytes(damaged)
        with pytest.raises(InputError) as caught:
            store.find("app:1")
        assert caught.value.code == "image-damaged"
    path.write_bytes(text.replace(image.image_id.encode(), other.image_id.encode()))
    with pytest.raises(InputError) as caught:
        store.find("app:0")
    assert caught.value.code in ("image-damaged", "ambiguous-image")


def test_an_index_that_somebody_else_has_written_is_read_again(tmp_path: Path) -> None:
    store = Store(tmp_path)
    image = put_random_image(store, 100, "app:1")
    write_index(store, [(Descriptor(MANIFEST_TYPE, image.manifest_digest, 1), "renamed:1")])
    assert store.look_up("app:1") is None
    assert store.find("renamed:1").image_id == image.image_id
    (store.oci / "index.json").unlink()
    assert store.look_up("renamed:1") is None


def test_an_older_store_is_upgraded_and_lists_each_image_once(tmp_path: Path) -> None:
    store = Store(tmp_path)
    config = config_of(store, 1)
    first, second = manifest_of(store, config), manifest_of(store, config, annotations={"of": "another"})
    write_index(store, [(first, "app:1"), (second, "registry.example.com/app:1"), (second, "")])
    damaged = Descriptor(MANIFEST_TYPE, "sha256:" + 64 * "0", 1)
    (image,) = Store(tmp_path).images()
    assert (image.image_id, image.tags) == (config, ("app:1", "registry.example.com/app:1"))
    assert json.loads((tmp_path / "format.json").read_bytes()) == {"format": 2}
    write_index(store, [(first, "app:1"), (damaged, "lost:1")])
    (tmp_path / "format.json").unlink()
    assert Store(tmp_path).find("app:1").image_id == config
    with pytest.raises(InputError) as caught:
        Store(tmp_path).find("lost:1")
    assert caught.value.code == "image-damaged"


def test_an_image_that_is_made_good_loses_no_name(tmp_path: Path) -> None:
    store = Store(tmp_path)
    config = config_of(store, 1)
    manifest = manifest_of(store, config)
    data = store.blob_path(config).read_bytes()
    store.blob_path(config).unlink()
    write_index(store, [(manifest, "app:1")])
    store = Store(tmp_path)
    store.blob_path(config).write_bytes(data)
    assert store.put_manifest(manifest, ["app:2"]).tags == ("app:1", "app:2")


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_lookup_does_not_keep_files_open(tmp_path: Path) -> None:
    store = Store(tmp_path)
    image: StoredImage = put_random_image(store, 100, "app:1")
    before = descriptors()
    for _ in range(50):
        store.find(image.image_id)
    assert descriptors() <= before + 1
