"""Parts of a blob from a registry that fails as it is told; and a pull that fetches what is not kept yet."""

import base64
import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from corebox.errors import HostError
from corebox.registry.access import Access
from corebox.registry.client import Client
from corebox.registry.pull import Pulled, pull_image
from corebox.registry.push import Pushed, push_image
from corebox.registry.ranges import BlobRanges, RangesRefused
from corebox.registry.reference import parse_reference
from corebox.store.partial import PartialBlob
from corebox.store.store import Store
from corebox.store.values import Descriptor
from tests.support.distribution import PASSWORD, USER, Distribution, Fault, distribution, quick
from tests.support.images import put_random_image

DATA = random.Random(3).randbytes(300_000)
NAME = "team/app"


@pytest.fixture(autouse=True)
def _quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick(tmp_path, monkeypatch)


@pytest.fixture
def registry() -> Iterator[Distribution]:
    with distribution() as started:
        yield started


def opened(registry: Distribution, time_limit: float = 20.0) -> BlobRanges:
    blob = Descriptor("application/octet-stream", registry.put(NAME, DATA), len(DATA))
    client = Client(parse_reference(f"{registry.host}/{NAME}:1"), Access(), "pull")
    return BlobRanges(client, blob, time_limit)


def test_parts_come_as_they_are(registry: Distribution) -> None:
    blob = opened(registry)
    for offset, size in ((0, 1), (100_000, 70_000), (len(DATA) - 5, 5)):
        assert blob.read_at(offset, size) == DATA[offset : offset + size]


@pytest.mark.parametrize(
    "fault", [Fault("GET", "sha256", 503), Fault("GET", "sha256"), Fault("GET", "sha256", 429, times=2)]
)
def test_what_was_cut_is_asked_for_again(registry: Distribution, fault: Fault) -> None:
    blob = opened(registry)
    registry.faults = [Fault(**vars(fault))]
    assert blob.read_at(7, 1000) == DATA[7:1007]


@pytest.mark.parametrize(
    "fault",
    [
        Fault("GET", "sha256", 416),
        Fault("GET", "sha256", 206, {"Content_Range": "bytes 0-999/300000"}),
        Fault("GET", "sha256", 206, {"Content_Range": "bytes 7-1007/300000"}),
        Fault("GET", "sha256", 206),
    ],
)
def test_a_server_that_sends_other_parts_or_none_is_found_out(registry: Distribution, fault: Fault) -> None:
    blob = opened(registry)
    registry.faults = [Fault(**vars(fault))]
    with pytest.raises(RangesRefused, match="does not send parts of a blob"):
        blob.read_at(7, 1000)


def test_a_server_that_sends_all_of_it_is_not_listened_to(registry: Distribution) -> None:
    blob = opened(registry)
    registry.ranges = False
    with pytest.raises(RangesRefused, match="HTTP 200"):
        blob.read_at(7, 1000)


def test_a_proxy_that_sends_all_of_a_blob_until_it_has_it_is_asked_again(registry: Distribution) -> None:
    """As caches in front of registries do: the first request is answered with the whole blob, later ones with parts."""
    blob = opened(registry)
    registry.ranges = False
    with pytest.raises(RangesRefused):
        blob.read_at(7, 1000)
    registry.ranges = True
    assert blob.read_at(7, 1000) == DATA[7:1007]


def test_parts_come_from_an_object_store_to_which_the_registry_redirects(registry: Distribution) -> None:
    blob = opened(registry)
    with distribution() as objects:
        objects.blobs, objects.owned = registry.blobs, registry.owned
        registry.elsewhere = f"http://{objects.host}"
        assert blob.read_at(7, 1000) == DATA[7:1007]
        assert objects.count("GET", "blobs") == 1


def test_an_expired_token_is_replaced(registry: Distribution, tmp_path: Path) -> None:
    registry.authorization = "token"
    auth = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker/config.json").write_text(json.dumps({"auths": {registry.host: {"auth": auth}}}))
    blob = opened(registry)
    assert blob.read_at(0, 10) == DATA[:10]
    registry.scopes.append([])  # the last token is not the newest any more
    assert blob.read_at(10, 10) == DATA[10:20]


def test_a_registry_that_is_gone_is_told_within_the_limit(registry: Distribution) -> None:
    blob = opened(registry, 0.1)
    registry.faults = [Fault("GET", "sha256", times=99)]
    with pytest.raises(HostError) as raised:
        blob.read_at(0, 10)
    assert raised.value.code == "registry-unreachable"


# A later pull


def pushed(tmp_path: Path, registry: Distribution) -> Pushed:
    store = Store(tmp_path / "home")
    image = put_random_image(store, 3 << 20)
    return push_image(store, image, parse_reference(f"{registry.host}/{NAME}:1"), Access())


def keep(store: Store, registry: Distribution, digest: str, *parts: tuple[int, int]) -> int:
    """Parts of a blob in the store; their bytes."""
    with PartialBlob(store.partial_path(digest)) as kept:
        for offset, size in parts:
            kept.write(offset, registry.blobs[digest][offset : offset + size])
    return sum(size for _, size in parts)


def pull(store: Store, registry: Distribution) -> Pulled:
    return pull_image(store, parse_reference(f"{registry.host}/{NAME}:1"), Access())


def test_a_pull_fetches_what_is_not_kept_yet(tmp_path: Path, registry: Distribution) -> None:
    core = pushed(tmp_path, registry).layers[-1]
    whole = pull(Store(tmp_path / "other"), registry)
    store = Store(tmp_path / "third")
    parts = ((0, 5), (5, 1 << 20), (2 << 20, 100_000), (core.size - 1000, 1000))
    kept = keep(store, registry, core.digest, *parts)
    pulled = pull(store, registry)
    assert pulled.image.image_id == whole.image.image_id
    assert pulled.fetched == whole.fetched - kept
    assert not store.partial_path(core.digest).exists()


def test_a_registry_without_ranges_sends_it_all_and_it_is_right(tmp_path: Path, registry: Distribution) -> None:
    core = pushed(tmp_path, registry).layers[-1]
    registry.ranges = False
    store = Store(tmp_path / "third")
    keep(store, registry, core.digest, (1000, 2000), (1 << 20, 500_000))
    assert pull(store, registry).image.image_id


def test_parts_that_the_disk_has_changed_are_fetched_again(tmp_path: Path, registry: Distribution) -> None:
    core = pushed(tmp_path, registry).layers[-1]
    store = Store(tmp_path / "third")
    with PartialBlob(store.partial_path(core.digest)) as kept:
        kept.write(1000, bytes(5000))
    assert pull(store, registry).image.image_id
    assert not store.partial_path(core.digest).exists()
