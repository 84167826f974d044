"""Pushes and pulls that are cut, killed, or digest_mismatch to."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from corebox.errors import CoreboxError
from corebox.registry import plan, push
from corebox.registry.access import Access
from corebox.registry.client import Client
from corebox.registry.compress import compress_layer
from corebox.registry.notes import known_compressed
from corebox.registry.pull import pull_image
from corebox.registry.push import push_image
from corebox.registry.reference import parse_reference
from corebox.registry.upload import CHUNK
from corebox.store.store import Store
from corebox.store.values import LAYER_KIND, MANIFEST_TYPE, Descriptor
from tests.support.images import put_random_image
from tests.support.registry import BadNetwork, Registry, running

SIZE = 192 << 20
MIB = 1 << 20


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    """A registry of the test's own."""
    with running(Registry(tmp_path / "registry")) as started:
        yield started


@pytest.fixture
def near(tmp_path: Path) -> Store:
    """The store that is pushed from."""
    return Store(tmp_path / "near")


@pytest.fixture
def far(tmp_path: Path) -> Store:
    """The empty store that is pulled into."""
    return Store(tmp_path / "far")


def _leftovers(store: Store) -> list[Path]:
    return list(store.home.glob("tmp/*/*"))


def test_a_push_outlives_cut_connections(registry: Registry, near: Store, far: Store) -> None:
    """Version 2 of Docker's registry forgets an upload that was cut within a chunk; that blob alone begins again."""
    image = put_random_image(near, SIZE)
    with BadNetwork(registry.port, [20 * MIB, 15 * MIB, 25 * MIB]) as network:
        pushed = push_image(near, image, parse_reference(f"127.0.0.1:{network.port}/a/b:1"), Access())
    assert network.cuts == 3
    assert SIZE <= pushed.sent < 2 * SIZE
    assert pull_image(far, parse_reference(f"{registry.host}/a/b:1"), Access()).image.image_id == image.image_id


def test_a_push_that_is_cut_within_a_chunk_goes_on_at_the_byte(registry: Registry, near: Store, far: Store) -> None:
    image = put_random_image(near, SIZE)
    cuts = [20 * MIB, 50 * MIB, 43 * MIB]
    with BadNetwork(registry.port, cuts, registry.asking_the_file) as network:
        push_image(near, image, parse_reference(f"127.0.0.1:{network.port}/a/b:1"), Access())
    assert network.cuts == len(cuts)
    assert SIZE < network.passed < SIZE + MIB  # requests, and what was on the way when it was cut
    assert pull_image(far, parse_reference(f"{registry.host}/a/b:1"), Access()).image.image_id == image.image_id


def test_a_registry_cannot_say_what_another_gets(registry: Registry, near: Store, far: Store) -> None:
    """It says of a layer that is there already that another blob is what it is compressed; nobody looks into that."""
    image = put_random_image(near, MIB)
    honest, lying = (parse_reference(f"{registry.host}/{name}:1") for name in ("honest", "lying"))
    push_image(near, image, lying, Access())
    client = Client(lying, Access(), "pull,push")
    manifest = json.loads(client.get_manifest("1", [MANIFEST_TYPE])[0])
    for layer in manifest["layers"]:
        layer.update({key: manifest["config"][key] for key in ("digest", "size")})
    client.put_manifest("1", json.dumps(manifest).encode(), MANIFEST_TYPE)
    pull_image(near, lying, Access())
    push_image(near, image, honest, Access())
    assert pull_image(far, honest, Access()).image.image_id == image.image_id


@pytest.mark.parametrize("secret", ["kept", None], ids=["upload-known", "upload-forgotten"])
def test_a_push_survives_the_registry_being_killed(tmp_path: Path, near: Store, far: Store, secret: str | None) -> None:
    image = put_random_image(near, SIZE)
    registry = Registry(tmp_path / "killed", secret=secret)
    sent = 0

    def kill_once(count: int) -> None:
        nonlocal sent
        before, sent = sent, sent + count
        if before < 3 * CHUNK <= sent:
            registry.kill()
            registry.start()

    with running(registry):
        reference = parse_reference(f"{registry.host}/a/b:1")
        pushed = push_image(near, image, reference, Access(), progress=kill_once)
        assert sent >= 3 * CHUNK
        if secret:
            assert pushed.sent < SIZE + 3 * CHUNK
        assert pull_image(far, reference, Access()).image.image_id == image.image_id


def test_a_killed_push_leaves_nothing_and_is_finished_by_the_next(registry: Registry, near: Store, far: Store) -> None:
    image = put_random_image(near, SIZE)
    name = f"{registry.host}/a/b:1"
    command = [sys.executable, "-m", "corebox", "push", "random:1", name]
    process = subprocess.Popen(command, env={**os.environ, "COREBOX_HOME": str(near.home)}, stdout=subprocess.DEVNULL)
    uploads = registry.folder / "data/docker/registry/v2/repositories/a/b/_uploads"
    deadline = time.monotonic() + 30
    while not any(uploads.glob("*/data")):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    with pytest.raises(CoreboxError, match="has no a/b:1"):
        pull_image(far, parse_reference(name), Access())
    store = Store(near.home)
    assert _leftovers(store) == []
    push_image(store, image, parse_reference(name), Access())
    assert pull_image(far, parse_reference(name), Access()).image.image_id == image.image_id


def test_a_pull_goes_on_where_it_was_cut(registry: Registry, near: Store, far: Store) -> None:
    image = put_random_image(near, SIZE)
    push_image(near, image, parse_reference(f"{registry.host}/a/b:1"), Access())
    with BadNetwork(registry.port, [10 * MIB, 20 * MIB, 11 * MIB]) as network:
        pulled = pull_image(far, parse_reference(f"127.0.0.1:{network.port}/a/b:1"), Access())
    assert network.cuts == 3
    assert pulled.image.image_id == image.image_id
    assert pulled.fetched < SIZE + MIB  # no byte came twice


def test_wrong_bytes_are_refused_and_not_kept(registry: Registry, near: Store, far: Store) -> None:
    image = put_random_image(near, MIB)
    reference = parse_reference(f"{registry.host}/a/b:1")
    pushed = push_image(near, image, reference, Access())
    for layer in pushed.layers:
        blob = registry.blob(layer.digest)
        data = bytearray(blob.read_bytes())
        data[len(data) // 2] ^= 1
        blob.write_bytes(data)
    with pytest.raises(CoreboxError) as raised:
        pull_image(far, reference, Access())
    assert (raised.value.code, raised.value.exit_status) == ("digest-mismatch", 3)
    assert far.images() == []
    assert not any(far.has(layer.diff_id) for layer in image.layers)
    assert _leftovers(far) == []


def test_a_manifest_by_digest_must_be_that_manifest(registry: Registry, near: Store, far: Store) -> None:
    image = put_random_image(near, MIB)
    pushed = push_image(near, image, parse_reference(f"{registry.host}/a/b:1"), Access())
    by_digest = parse_reference(f"{registry.host}/a/b@{pushed.digest}")
    assert pull_image(far, by_digest, Access()).image.image_id == image.image_id
    manifest = registry.blob(pushed.digest)
    manifest.write_bytes(manifest.read_bytes().replace(b"toolbox", b"toolbux"))
    with pytest.raises(CoreboxError):
        pull_image(Store(far.home.parent / "third"), by_digest, Access())


def test_a_layer_is_compressed_once(registry: Registry, near: Store) -> None:
    image = put_random_image(near, 4 * MIB, compressible=True)
    first = push_image(near, image, parse_reference(f"{registry.host}/a/b:1"), Access())
    blobs = {path.name: path.stat().st_mtime_ns for path in (near.oci / "blobs" / "sha256").iterdir()}
    second = push_image(near, image, parse_reference(f"localhost:{registry.port}/c/d:1"), Access())
    assert [layer.digest for layer in second.layers] == [layer.digest for layer in first.layers]
    kept = {path.name: path.stat().st_mtime_ns for path in (near.oci / "blobs" / "sha256").iterdir()}
    compressed = {layer.digest.removeprefix("sha256:") for layer in first.layers}
    assert {name: kept[name] for name in compressed} == {name: blobs[name] for name in compressed}


def test_what_prune_took_is_compressed_again_to_the_same_blob(registry: Registry, near: Store) -> None:
    image = put_random_image(near, 4 * MIB, compressible=True)
    first = push_image(near, image, parse_reference(f"{registry.host}/a/b:1"), Access())
    near.prune()
    assert not any(near.has(layer.digest) for layer in first.layers)
    again = push_image(near, image, parse_reference(f"{registry.host}/a/b:2"), Access())
    assert {layer.status for layer in again.layers} == {"there"}
    elsewhere = push_image(near, image, parse_reference(f"localhost:{registry.port}/x/y:1"), Access())
    assert [layer.digest for layer in elsewhere.layers] == [layer.digest for layer in first.layers]


def test_nothing_is_compressed_before_the_core(
    registry: Registry, near: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A registry takes the core longer than all else, however long it takes us to come to it."""
    image = put_random_image(near, MIB)
    order = []

    def slowly(store: Store, diff_id: str, compression: str) -> Descriptor | None:
        time.sleep(0.3 if diff_id == image.layers[-1].diff_id else 0)
        return known_compressed(store, diff_id, compression)

    def watched(tar: Path, *others: Any) -> str:
        order.append(tar)
        return compress_layer(tar, *others)

    monkeypatch.setattr(plan, "known_compressed", slowly)
    monkeypatch.setattr(push, "compress_layer", watched)
    push_image(near, image, parse_reference(f"{registry.host}/a/b:1"), Access())
    assert len(order) == len(image.layers)
    assert order[0] == near.blob_path(image.layers[-1].digest)


def test_a_layer_that_is_there_twice_goes_once(registry: Registry, near: Store) -> None:
    """Whatever kinds it is said to be of: nothing waits for a core that is none."""
    whole = put_random_image(near, MIB)
    (*_, core) = whole.layers
    layers = [Descriptor(core.media_type, core.digest, core.size, {LAYER_KIND: kind}) for kind in ("core", "system")]
    config = json.loads(near.blob_path(whole.image_id).read_bytes())
    config["rootfs"]["diff_ids"] = [core.digest, core.digest]
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "layers": [layer.to_json() for layer in layers]}
    image = near.put_image(manifest, config, ["twice:1"])
    pushed = push_image(near, image, parse_reference(f"{registry.host}/a/b:1"), Access())
    assert len({layer.digest for layer in pushed.layers}) == 1
    assert core.size <= pushed.sent < 2 * core.size
