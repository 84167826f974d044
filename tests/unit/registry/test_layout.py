"""Folders and archives of images that others made: what is read of them, and what they cannot do."""

import gzip
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from corebox.actions.pull import pull
from corebox.errors import CoreboxError, InputError, UsageError
from corebox.image.archive import docker_archive, whole_archive
from corebox.registry.places import Place, parse_place
from corebox.store.store import Store
from corebox.store.values import StoredImage
from tests.support.images import put_random_image


@pytest.fixture
def near(tmp_path: Path) -> Store:
    return Store(tmp_path / "near")


@pytest.fixture
def far(tmp_path: Path) -> Store:
    return Store(tmp_path / "far")


@pytest.fixture
def image(near: Store) -> StoredImage:
    return put_random_image(near, 5000, "app:1")


def write(path: Path, members: dict[str, bytes | str]) -> Path:
    """A tar of files, and of links where there is a text."""
    with tarfile.open(path, "w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            if isinstance(data, str):
                info.type, info.linkname = tarfile.SYMTYPE, data
                archive.addfile(info)
            else:
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    return path


def read(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as archive:
        return {each.name: archive.extractfile(each).read() for each in archive if each.isfile()}  # type: ignore[union-attr]


def whole(near: Store, image: StoredImage, path: Path) -> Path:
    path.write_bytes(b"".join(whole_archive(near, image)))
    return path


def test_our_own_archive_is_read_either_way(near: Store, far: Store, image: StoredImage, tmp_path: Path) -> None:
    path = whole(near, image, tmp_path / "a.tar")
    members = read(path)
    oci = write(tmp_path / "oci.tar", {name: data for name, data in members.items() if name != "manifest.json"})
    with tarfile.open(oci) as archive:
        archive.extractall(tmp_path / "folder")  # our own; Python 3.11.2 has no filter
    (tmp_path / "plain.tar").write_bytes(b"".join(docker_archive(near, image)))
    (tmp_path / "zipped.tar").write_bytes(gzip.compress(path.read_bytes()))
    for place in ("oci-archive:a.tar", "docker-archive:a.tar:app:1", "oci-archive:oci.tar", "oci:folder:app:1",
                  "docker-archive:plain.tar", "oci-archive:zipped.tar"):  # fmt: skip
        kind, _, name = place.partition(":")
        pulled = pull(far, f"{kind}:{tmp_path}/{name}")
        assert pulled.image.image_id == image.image_id, place
    assert [each.tags for each in far.images()] == [("app:1", "crash:555555555555")]


def test_a_layer_may_be_compressed_or_another_name_of_one(
    near: Store, far: Store, image: StoredImage, tmp_path: Path
) -> None:
    """As Docker before 25 wrote them, and with containerd's store."""
    members: dict[str, bytes | str] = dict(read(whole(near, image, tmp_path / "a.tar")))
    described = json.loads(bytes(members["manifest.json"]))  # type: ignore[arg-type]
    first, second, third = described[0]["Layers"]
    moved: dict[str, bytes | str] = {
        "one/layer.tar": gzip.compress(bytes(members[first])),  # type: ignore[arg-type]
        "two/layer.tar": bytes(members[second]),  # type: ignore[arg-type]
        "three/layer.tar": f"../{third}",
        third: members[third],
        "config.json": members[described[0]["Config"]],
    }
    paths = ["one/layer.tar", "two/layer.tar", "three/layer.tar"]
    moved["manifest.json"] = json.dumps([{"Config": "config.json", "RepoTags": None, "Layers": paths}]).encode()
    write(tmp_path / "old.tar", moved)
    assert pull(far, f"docker-archive:{tmp_path}/old.tar").image.image_id == image.image_id


@pytest.mark.parametrize("said", ["+gzip", "+zstd", ""])
@pytest.mark.parametrize("compress", [bytes, partial(gzip.compress, compresslevel=1)])
def test_how_a_layer_is_compressed_is_what_it_is_not_what_is_said(
    near: Store, far: Store, image: StoredImage, tmp_path: Path, said: str, compress: Callable[[bytes], bytes]
) -> None:
    """skopeo says that layers which it does not compress are, as do builders of images from Nix."""
    members = read(whole(near, image, tmp_path / "a.tar"))

    def put(data: bytes) -> dict[str, object]:
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        members[f"blobs/sha256/{digest[7:]}"] = data
        return {"digest": digest, "size": len(data)}

    index = json.loads(members["index.json"])
    manifest = json.loads(members[f"blobs/sha256/{index['manifests'][0]['digest'][7:]}"])
    for layer in manifest["layers"]:
        layer.update(put(compress(members[f"blobs/sha256/{layer['digest'][7:]}"])))
        layer["mediaType"] = "application/vnd.oci.image.layer.v1.tar" + said
    index["manifests"] = [{**index["manifests"][0], **put(json.dumps(manifest).encode())}]
    members["index.json"] = json.dumps(index).encode()
    del members["manifest.json"]
    write(tmp_path / "said.tar", {**members})
    assert pull(far, f"oci-archive:{tmp_path}/said.tar").image.image_id == image.image_id


def test_no_name_is_taken_from_another_image(near: Store, far: Store, image: StoredImage, tmp_path: Path) -> None:
    mine = put_random_image(far, 100, "app:1")
    pulled = pull(far, f"oci-archive:{whole(near, image, tmp_path / 'a.tar')}").image
    assert far.find("app:1").image_id == mine.image_id
    assert pulled.tags == ("crash:555555555555",)


SECRET = b"what nobody may read out of this machine"


def change_index(members: dict[str, bytes | str], **more: Any) -> None:
    value = json.loads(bytes(members["index.json"]))  # type: ignore[arg-type]
    value["manifests"][0].update(more)
    members["index.json"] = json.dumps(value).encode()
    del members["manifest.json"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"manifest.json": b"[]"}, "not-a-layout"),
        ({"manifest.json": b"[" * 100000}, "not-a-layout"),
        ({"manifest.json": b"[{}]"}, "not-a-layout"),
        ({"manifest.json": b'[{"Layers": [], "Config": 1}]'}, "not-a-layout"),
        ({"manifest.json": b'[{"Layers": ["x"], "Config": "oci-layout"}]'}, "not-a-layout"),
        ({"manifest.json": b" " * (2 << 20)}, "image-damaged"),
        ({"manifest.json": None, "index.json": b"{}"}, "not-a-layout"),
        ({"manifest.json": None, "index.json": b'{"manifests": [1]}'}, "empty-index"),
        ({"manifest.json": None, "index.json": b'{"manifests": [{"digest": "sha256:../../x"}]}'}, "image-damaged"),
        ({"manifest.json": None, "index.json": None}, "not-a-layout"),
        ({"manifest.json": None, "index.json": b'{"manifests": []}'}, "empty-index"),
    ],
)
def test_a_damaged_archive_is_told(
    near: Store, far: Store, image: StoredImage, tmp_path: Path, change: dict[str, bytes | str | None], code: str
) -> None:
    members: dict[str, bytes | str] = dict(read(whole(near, image, tmp_path / "a.tar")))
    for name, data in change.items():
        members.pop(name)
        if data is not None:
            members[name] = data
    with pytest.raises(InputError) as caught:
        pull(far, f"oci-archive:{write(tmp_path / 'b.tar', members)}")
    assert caught.value.code == code
    assert far.images() == []


def test_wrong_bytes_behind_a_digest_are_refused(near: Store, far: Store, image: StoredImage, tmp_path: Path) -> None:
    for number, digest in enumerate((image.image_id, image.manifest_digest, image.layers[1].digest)):
        members: dict[str, bytes | str] = dict(read(whole(near, image, tmp_path / "a.tar")))
        del members["manifest.json"]
        members[f"blobs/sha256/{digest[7:]}"] = bytes(members[f"blobs/sha256/{digest[7:]}"])[:-1] + b" "  # type: ignore[arg-type]
        with pytest.raises(InputError) as caught:
            pull(far, f"oci-archive:{write(tmp_path / f'{number}.tar', members)}")
        assert caught.value.code == "digest-mismatch"
    assert far.images() == []


def test_a_link_in_a_layout_gives_nothing_away(near: Store, far: Store, image: StoredImage, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(SECRET)
    with tarfile.open(whole(near, image, tmp_path / "a.tar")) as archive:
        archive.extractall(tmp_path / "folder")  # our own; Python 3.11.2 has no filter
    blob = tmp_path / "folder" / "blobs" / "sha256" / image.layers[0].digest[7:]
    blob.unlink()
    blob.symlink_to(tmp_path / "secret")
    with pytest.raises(InputError) as caught:
        pull(far, f"oci:{tmp_path}/folder")
    assert SECRET.decode() not in str(caught.value)
    blob.unlink()
    os.mkfifo(blob)
    with pytest.raises(InputError) as caught:
        pull(far, f"oci:{tmp_path}/folder")
    assert caught.value.code == "not-a-layout"
    assert not far.has("sha256:" + hashlib.sha256(SECRET).hexdigest())


def test_several_images_are_told_by_name(near: Store, far: Store, image: StoredImage, tmp_path: Path) -> None:
    other = put_random_image(near, 3000, "docker.io/library/other:latest")
    both = read(whole(near, image, tmp_path / "a.tar")) | {
        name: data for name, data in read(whole(near, other, tmp_path / "b.tar")).items() if name.startswith("blobs")
    }
    documents = [read(tmp_path / name) for name in ("a.tar", "b.tar")]
    entries = [entry for each in documents for entry in json.loads(each["index.json"])["manifests"]]
    both["manifest.json"] = json.dumps([json.loads(each["manifest.json"])[0] for each in documents]).encode()
    both["index.json"] = json.dumps({"manifests": entries}).encode()
    write(tmp_path / "docker.tar", dict(both))
    del both["manifest.json"]
    write(tmp_path / "oci.tar", dict(both))
    for kind, name in (("docker-archive", "docker.tar"), ("oci-archive", "oci.tar")):
        with pytest.raises(InputError) as caught:
            pull(far, f"{kind}:{tmp_path}/{name}")
        assert caught.value.code == "ambiguous-image"
        assert "app:1" in caught.value.hint
        assert pull(far, f"{kind}:{tmp_path}/{name}:other").image.image_id == other.image_id
        with pytest.raises(InputError) as caught:
            pull(far, f"{kind}:{tmp_path}/{name}:third:1")
        assert "other:latest" in caught.value.hint


def test_the_name_of_a_place_is_taken_apart(tmp_path: Path) -> None:
    file = tmp_path / "a.tar"
    file.write_bytes(b"")
    (tmp_path / "with:colon").mkdir()
    assert parse_place(f"oci-archive:{file}:app:1") == Place("oci-archive", file, "app:1", f"oci-archive:{file}:app:1")
    assert parse_place(f"oci:{tmp_path}/with:colon") == Place(
        "oci", tmp_path / "with:colon", "", f"oci:{tmp_path}/with:colon"
    )
    assert parse_place("docker-daemon:app:1") == Place("docker-daemon", None, "app:1", "docker-daemon:app:1")
    assert parse_place("app:1") is None
    assert parse_place("docker://127.0.0.1:5000/app:1") is None
    for text, kind in (("oci:/nowhere", InputError), ("oci:", UsageError), ("dir:/x", UsageError)):
        with pytest.raises(CoreboxError) as caught:
            parse_place(text)
        assert isinstance(caught.value, kind)
