"""A core out of a blob of a registry, in the test's own process: what is fetched, what is kept, what is refused."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from corebox.bundle.blocks import BLOCK_SIZE
from corebox.errors import HostError
from corebox.ondemand import serve
from corebox.ondemand.mount import Unservable, served
from corebox.ondemand.remote import RemoteCore, open_remote
from corebox.ondemand.request import InRegistry, Request
from corebox.ondemand.source import BlockError
from corebox.registry.access import Access
from corebox.registry.ranges import RangesRefused
from corebox.registry.reference import parse_reference
from corebox.store.values import Descriptor
from tests.support.distribution import Distribution, Fault, distribution, quick
from tests.unit.ondemand.test_blocks import CORE, HEAD, framed, wanted

NAME = "team/app"
BLOB = framed(bytes(HEAD) + CORE + b"tail", [0, HEAD, *range(HEAD + BLOCK_SIZE, HEAD + len(CORE), BLOCK_SIZE)])


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick(tmp_path, monkeypatch, pauses=2)


@pytest.fixture
def registry() -> Iterator[Distribution]:
    with distribution() as started:
        yield started


def opened(registry: Distribution, folder: Path, data: bytes = BLOB) -> RemoteCore:
    blob = Descriptor("application/octet-stream", registry.put(NAME, data), len(data))
    reference = parse_reference(f"{registry.host}/{NAME}:1")
    return open_remote(reference, Access(), blob, folder / "kept", wanted(folder))


def block(index: int) -> bytes:
    return CORE[index * BLOCK_SIZE : (index + 1) * BLOCK_SIZE]


def test_a_block_is_fetched_once_for_all_sessions(registry: Distribution, tmp_path: Path) -> None:
    core = opened(registry, tmp_path)
    assert core.size == len(CORE)
    assert core.read_block(2) == block(2)
    asked = registry.count("GET", "sha256")
    assert core.read_block(2) == opened(registry, tmp_path).read_block(2) == block(2)
    assert registry.count("GET", "sha256") == asked
    assert core.read_block(0) == block(0)
    assert registry.count("GET", "sha256") > asked


def test_what_is_kept_is_fetched_again_where_it_was_damaged(registry: Distribution, tmp_path: Path) -> None:
    core = opened(registry, tmp_path)
    assert core.read_block(1) == block(1)
    asked = registry.count("GET", "sha256")
    with (tmp_path / "kept").open("r+b") as file:
        file.write(b"x" * len(BLOB))
    assert core.read_block(1) == core.read_block(1) == block(1)
    assert registry.count("GET", "sha256") == asked + 1, "and that is kept"


def test_a_registry_that_fails_costs_that_block_alone(registry: Distribution, tmp_path: Path) -> None:
    core = opened(registry, tmp_path)
    registry.faults = [Fault("GET", "sha256", 503, times=3)]
    with pytest.raises(BlockError) as caught:
        core.read_block(3)
    assert not caught.value.lasting
    assert registry.host in str(caught.value)
    assert core.read_block(3) == block(3)


def test_blobs_that_cannot_be_read_in_parts_are_refused(registry: Distribution, tmp_path: Path) -> None:
    with pytest.raises(BlockError, match="no table of its frames") as caught:
        opened(registry, tmp_path, CORE)
    assert caught.value.lasting
    registry.ranges = False
    with pytest.raises(RangesRefused):
        opened(registry, tmp_path, BLOB + b"another")


def test_a_blob_that_is_gone_is_an_error_of_the_registry(registry: Distribution, tmp_path: Path) -> None:
    core = opened(registry, tmp_path)
    registry.blobs.clear()
    with pytest.raises(BlockError, match=registry.host):
        core.read_block(0)
    with pytest.raises(HostError):
        open_remote(
            parse_reference(f"{registry.host}/{NAME}:1"),
            Access(),
            Descriptor("application/octet-stream", "sha256:" + "0" * 64, len(BLOB)),
            tmp_path / "other",
            wanted(tmp_path),
        )


def far_request(registry: Distribution, folder: Path, data: bytes = BLOB) -> Request:
    """What ``opened`` opens, as another process is asked for it."""
    target = wanted(folder)
    blob = Descriptor("application/octet-stream", registry.put(NAME, data), len(data))
    far = InRegistry(f"{registry.host}/{NAME}:1", blob, folder / "kept", folder / "ca.pem", plain_http=True)
    (folder / "served").mkdir(exist_ok=True)
    return Request(folder / "served", target.place, target.digests, blob=far)


@pytest.mark.filterwarnings("ignore:unclosed file")  # open as long as the process is
@pytest.mark.parametrize("kept_as", ["frames", "plain", "registry"])
def test_the_process_opens_what_it_is_asked_for(registry: Distribution, tmp_path: Path, kept_as: str) -> None:
    request = far_request(registry, tmp_path)
    request = request._replace(blob=request.blob and request.blob._replace(ca_file=None))
    if kept_as != "registry":
        (tmp_path / "file").write_bytes(BLOB if kept_as == "frames" else bytes(HEAD) + CORE)
        request = request._replace(blob=None, file=tmp_path / "file", for_others=True)
    source = serve._open(Request.from_json(json.loads(json.dumps(request.to_json()))))
    assert [source.read_block(index) for index in range(4)] == [block(index) for index in range(4)]
    assert serve._options(request).get("allow_other", False) is (kept_as != "registry")


def test_a_request_comes_over_as_it_is(registry: Distribution, tmp_path: Path) -> None:
    request = far_request(registry, tmp_path)
    for each in (request, request._replace(place=None, blob=None, file=tmp_path / "x", identity=tmp_path / "key")):
        assert Request.from_json(json.loads(json.dumps(each.to_json()))) == each


@pytest.mark.parametrize("ranges_sent", [True, False])
def test_why_a_core_cannot_be_served_comes_back_from_the_process(
    registry: Distribution, tmp_path: Path, ranges_sent: bool
) -> None:
    registry.ranges = ranges_sent
    request = far_request(registry, tmp_path, CORE if ranges_sent else BLOB)
    request = request._replace(blob=request.blob and request.blob._replace(ca_file=None))
    why = "no table of its frames" if ranges_sent else registry.host
    with served(request) as serving, pytest.raises(Unservable, match=why):
        serving.path()
    assert not (tmp_path / "served").is_mount()
