"""Push and pull over the distribution protocol, with a registry in this process that fails as it is told."""

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from corebox.errors import CoreboxError
from corebox.registry import upload
from corebox.registry.access import Access
from corebox.registry.pull import Pulled, pull_image
from corebox.registry.push import Pushed, push_image
from corebox.registry.reference import parse_reference
from corebox.store.store import Store
from corebox.store.values import StoredImage
from tests.support.distribution import PASSWORD, USER, Distribution, Fault, distribution, quick
from tests.support.images import KINDS, put_random_image

SIZE = 200_000


@pytest.fixture(autouse=True)
def _quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No credentials, no waiting between attempts, and small chunks."""
    quick(tmp_path, monkeypatch)
    monkeypatch.setattr(upload, "CHUNK", 40_000)
    monkeypatch.setattr(upload, "_FIRST_CHUNK", 10_000)


@pytest.fixture
def registry() -> Iterator[Distribution]:
    with distribution() as started:
        yield started


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "home")


@pytest.fixture
def image(store: Store) -> StoredImage:
    return put_random_image(store, SIZE)


def log_in(tmp_path: Path, registry: Distribution) -> None:
    auth = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker/config.json").write_text(json.dumps({"auths": {registry.host: {"auth": auth}}}))


def push(
    store: Store, image: StoredImage, registry: Distribution, name: str = "team/app:1", compression: str = "gzip"
) -> Pushed:
    return push_image(store, image, parse_reference(f"{registry.host}/{name}"), Access(), compression)


def pull(tmp_path: Path, registry: Distribution, name: str = "team/app:1") -> Pulled:
    return pull_image(Store(tmp_path / "other"), parse_reference(f"{registry.host}/{name}"), Access())


def same(tmp_path: Path, pulled: Pulled, store: Store, image: StoredImage) -> bool:
    """Whether what was pulled is the image, byte by byte."""
    other = Store(tmp_path / "other")
    there = [other.blob_path(layer.digest).read_bytes() for layer in other.find(pulled.image.image_id).layers]
    here = [store.blob_path(layer.digest).read_bytes() for layer in image.layers]
    return pulled.image.image_id == image.image_id and there == here


def how(moved: Pushed | Pulled) -> dict[str, str]:
    return {layer.kind: layer.status for layer in moved.layers}


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_an_image_comes_back_as_it_was(
    store: Store, image: StoredImage, registry: Distribution, tmp_path: Path, compression: str
) -> None:
    pushed = push(store, image, registry, compression=compression)
    assert how(pushed) == dict.fromkeys(KINDS, "sent")
    assert registry.manifests["team/app", "1"] == registry.manifests["team/app", pushed.digest]
    blobs = [registry.blobs[layer.digest] for layer in pushed.layers]
    assert [len(blob) for blob in blobs] == [layer.size for layer in pushed.layers]
    assert {blob[:2] for blob in blobs} == {b"\x1f\x8b" if compression == "gzip" else b"\x28\xb5"}
    annotations = registry.manifest("team/app", "1")["annotations"]
    assert annotations == {"io.corebox.bundle": "sha256:" + "5" * 64}, "other labels are not for everybody"
    assert f"{registry.host}/team/app:1" in store.find(image.image_id).tags
    pulled = pull(tmp_path, registry)
    assert how(pulled) == dict.fromkeys(KINDS, "fetched")
    assert same(tmp_path, pulled, store, image)
    assert pulled.fetched == fetched_bytes(registry, pushed, image)


def test_what_is_there_is_not_sent_again(store: Store, image: StoredImage, registry: Distribution) -> None:
    first = push(store, image, registry)
    registry.asked.clear()
    again = push(store, image, registry)
    assert how(again) == dict.fromkeys(KINDS, "there")
    assert (again.sent, again.digest) == (0, first.digest)
    assert registry.count("POST") == registry.count("PATCH") == 0


def test_another_store_finds_what_was_pushed_by_its_manifest(
    store: Store, image: StoredImage, registry: Distribution, tmp_path: Path
) -> None:
    """Nothing is compressed to learn what the registry has."""
    push(store, image, registry)
    pull(tmp_path, registry)
    other = Store(tmp_path / "other")
    again = push(other, other.find(image.image_id), registry)
    assert how(again) == dict.fromkeys(KINDS, "there")


def test_another_repository_lends_its_blobs(store: Store, image: StoredImage, registry: Distribution) -> None:
    push(store, image, registry)
    mounted = push(store, image, registry, "team/other:1")
    assert how(mounted) == dict.fromkeys(KINDS, "mounted")
    assert mounted.sent == 0


def test_a_registry_that_does_not_mount_is_sent_everything(
    store: Store, image: StoredImage, registry: Distribution
) -> None:
    push(store, image, registry)
    registry.mounts = False
    assert how(push(store, image, registry, "team/other:1")) == dict.fromkeys(KINDS, "sent")


def test_a_blob_of_somebody_elses_is_found_by_the_catalog(store: Store, registry: Distribution, tmp_path: Path) -> None:
    image = put_random_image(store, 12 << 20)
    push(store, image, registry)
    pull(tmp_path, registry)
    registry.owned = {("public/base", digest) for _, digest in registry.owned}
    registry.manifests.clear()
    other = Store(tmp_path / "third")
    for layer in image.layers:
        (other.oci / "blobs/sha256" / layer.digest[7:]).hardlink_to(store.blob_path(layer.digest))
    (other.oci / "blobs/sha256" / image.image_id[7:]).hardlink_to(store.blob_path(image.image_id))
    pushed = push(other, image, registry)
    assert how(pushed) == {"toolbox": "mounted", "system": "mounted", "core": "sent"}, "a core is nobody else's"


@pytest.mark.parametrize("authorization", ["basic", "token"])
def test_credentials_are_used(
    store: Store, image: StoredImage, registry: Distribution, tmp_path: Path, authorization: str
) -> None:
    registry.authorization = authorization
    with pytest.raises(CoreboxError) as raised:
        push(store, image, registry)
    assert raised.value.code == "registry-refused"
    assert PASSWORD not in raised.value.message
    log_in(tmp_path, registry)
    push(store, image, registry)
    assert same(tmp_path, pull(tmp_path, registry), store, image)
    if authorization == "token":
        assert registry.scopes[0] == ["repository:team/app:pull,push"]
        assert registry.scopes[-1] == ["repository:team/app:pull"]


def test_a_token_is_asked_for_again_when_a_source_was_found(
    store: Store, image: StoredImage, registry: Distribution, tmp_path: Path
) -> None:
    registry.authorization = "token"
    log_in(tmp_path, registry)
    push(store, image, registry)
    registry.scopes.clear()
    push(store, image, registry, "team/other:1")
    assert registry.scopes[0] == ["repository:team/other:pull,push", "repository:team/app:pull"]


def fetched_bytes(registry: Distribution, pushed: Pushed, image: StoredImage) -> int:
    """What a pull fetches: the configuration is read before it is known what it belongs to, and stored then."""
    return sum(layer.size for layer in pushed.layers) + 2 * len(registry.blobs[image.image_id])


FAULTS = {
    "no answer to a chunk": Fault("PATCH", "uploads"),
    "a chunk arrives, its answer does not": Fault("PATCH", "uploads", late=True),
    "the last request arrives, its answer does not": Fault("PUT", "uploads", late=True),
    "no answer to the last request": Fault("PUT", "uploads"),
    "busy": Fault("PATCH", "uploads", 503),
    "too often": Fault("POST", "uploads", 429, {"Retry_After": "0"}),
    "the upload is lost": Fault("PATCH", "uploads", 404),
    "the blob is not accepted": Fault("PUT", "uploads", 400),
    "the state is gone as well": Fault("GET", "uploads", 404),
    "a range of nonsense": Fault("GET", "uploads", 204, {"Range": "bytes=all"}),
    "more than was sent": Fault("GET", "uploads", 204, {"Range": "0-99999999", "Location": "/"}),
    "the manifest": Fault("PUT", "manifests", 502),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_push_goes_on_where_it_was_cut(
    store: Store, image: StoredImage, registry: Distribution, tmp_path: Path, name: str
) -> None:
    fault = Fault(**vars(FAULTS[name]))
    registry.faults = [fault]
    if fault.method == "GET":
        registry.faults.append(Fault("PATCH", "uploads"))
    pushed = push(store, image, registry)
    assert fault.times == 0
    assert how(pushed) == dict.fromkeys(KINDS, "sent")
    assert same(tmp_path, pull(tmp_path, registry), store, image)


def test_a_chunk_that_arrived_is_not_sent_again(store: Store, image: StoredImage, registry: Distribution) -> None:
    registry.faults = [Fault("PATCH", "uploads", late=True)]
    push(store, image, registry)
    patches = registry.count("PATCH")
    push(store, put_random_image(store, SIZE, "second:1"), registry, "team/second:1")
    assert registry.count("PATCH") == 2 * patches, "as many as without a fault"


def test_a_registry_may_want_longer_chunks(
    store: Store, image: StoredImage, registry: Distribution, tmp_path: Path
) -> None:
    registry.least_chunk = 60_000
    push(store, image, registry)
    assert same(tmp_path, pull(tmp_path, registry), store, image)


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault("PATCH", "uploads", 500, times=99), "registry-unreachable"),
        (Fault("POST", "uploads", 403), "registry-refused"),
        (
            Fault("POST", "uploads", 413, body=b'{"errors": [{"code": "SIZE", "message": "too big"}]}'),
            "registry-failed",
        ),
    ],
    ids=["busy for ever", "forbidden", "too big"],
)
def test_a_push_that_cannot_be_done_says_why(
    store: Store, image: StoredImage, registry: Distribution, fault: Fault, code: str
) -> None:
    registry.faults = [Fault(**{**vars(fault), "times": 99})]
    with pytest.raises(CoreboxError) as raised:
        push(store, image, registry)
    assert raised.value.code == code
    assert ("team/app", "1") not in registry.manifests
    if fault.status == 413:
        assert "SIZE too big" in raised.value.message


@pytest.mark.parametrize("ranges", [True, False], ids=["ranges", "no ranges"])
def test_a_pull_goes_on_where_it_was_cut(
    store: Store, image: StoredImage, registry: Distribution, tmp_path: Path, ranges: bool
) -> None:
    pushed = push(store, image, registry)
    registry.ranges = ranges
    registry.faults = [Fault("GET", layer.digest, sent=layer.size // 2) for layer in pushed.layers]
    pulled = pull(tmp_path, registry)
    assert same(tmp_path, pulled, store, image)
    assert pulled.fetched == fetched_bytes(registry, pushed, image), "what is skipped does not count"


@pytest.mark.parametrize("change", [lambda data: data[:-1] + b"?", lambda data: data + b"more", lambda data: b""])
def test_a_blob_that_is_another_is_not_taken(
    store: Store, image: StoredImage, registry: Distribution, tmp_path: Path, change: Callable[[bytes], bytes]
) -> None:
    digest = push(store, image, registry).layers[2].digest
    registry.blobs[digest] = change(registry.blobs[digest])
    with pytest.raises(CoreboxError) as raised:
        pull(tmp_path, registry)
    assert raised.value.code in ("digest-mismatch", "registry-unreachable")
    assert Store(tmp_path / "other").images() == []


def test_blobs_may_come_from_another_place(
    store: Store, image: StoredImage, registry: Distribution, tmp_path: Path
) -> None:
    with distribution() as objects:
        push(store, image, registry)
        objects.blobs, objects.owned = registry.blobs, registry.owned
        registry.elsewhere = f"http://{objects.host}"
        assert same(tmp_path, pull(tmp_path, registry), store, image)
        assert objects.count("GET", "blobs") == len(KINDS) + 2, "the layers, and the configuration twice"


def test_redirects_without_an_end(store: Store, image: StoredImage, registry: Distribution, tmp_path: Path) -> None:
    push(store, image, registry)
    registry.elsewhere = f"http://{registry.host}"
    with pytest.raises(CoreboxError, match="too many redirects"):
        pull(tmp_path, registry)


def test_what_is_not_there_is_told_with_its_name(registry: Distribution, tmp_path: Path) -> None:
    with pytest.raises(CoreboxError) as raised:
        pull(tmp_path, registry, "team/none:9")
    assert raised.value.code == "not-in-registry"
    assert raised.value.message == f"{registry.host} has no team/none:9"


def test_a_damaged_layer_is_not_pushed(store: Store, image: StoredImage, registry: Distribution) -> None:
    path = store.blob_path(image.layers[1].digest)
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(CoreboxError) as raised:
        push(store, image, registry)
    assert raised.value.code in ("image-damaged", "missing-blob")
    assert ("team/app", "1") not in registry.manifests
