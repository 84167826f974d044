"""A crash goes from one desk to another through a real registry."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from corebox.bundle.corelayer import core_within
from corebox.files.seekable import ZSTD, TableWriter
from corebox.registry.compress import FramesError, wrap_frames
from corebox.store.store import Store
from corebox.unbundle.compression import table_of
from tests.support.lab import Lab
from tests.support.registry import BadNetwork, Registry, running
from tests.support.site import Site


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry without a password, shared by the tests that do not break it."""
    with running(Registry(tmp_path_factory.mktemp("registry") / "registry")) as started:
        yield started


@pytest.fixture
def second(site: Site, zipapp: Path, tmp_path: Path) -> Path:
    """The bundle of another crash of the same release."""
    out = tmp_path / "second.corebox"
    assert site.gather_inside(site.crash_pipeline(), zipapp, out) == 0
    return out


def _layers(output: str) -> list[tuple[str, str]]:
    """Kind and fate of each layer, as push and pull print them."""
    fates = ("sent", "fetched", "mounted", "there")
    rows = [line.split() for line in output.splitlines()]
    return [(row[0], row[3]) for row in rows if len(row) == 5 and row[3] in fates]


def test_a_colleague_with_an_empty_store_opens_the_crash(
    registry: Registry, bundle: Path, lab: Lab, fresh_lab: Lab, engine: str
) -> None:
    name = f"{registry.host}/team/{bundle.parent.name}:1"
    built = lab.build(bundle)
    lab.done("push", bundle, name)
    opened = fresh_lab.gdb(name, engine, "bt")
    assert "qsort" in opened.output
    assert "__libc_start" in opened.output
    assert fresh_lab.done("images", "--json").json["images"][0]["image_id"] == built["image_id"]


def test_a_second_crash_of_the_release_moves_its_core_only(
    registry: Registry, bundle: Path, second: Path, lab: Lab, fresh_lab: Lab
) -> None:
    """By the bytes on the network, both ways and whatever they are."""
    team = f"second/{bundle.parent.name}"
    with BadNetwork(registry.port, []) as network:
        host = f"127.0.0.1:{network.port}"
        lab.done("push", bundle, f"{host}/{team}:1")
        everything, network.passed = network.passed, 0
        pushed = lab.done("push", second, f"{host}/{team}:2").output
        assert {fate for kind, fate in _layers(pushed) if kind not in ("core", "crash")} == {"there"}
        layers = _manifest(registry, f"{team}", "2")["layers"][-2:]
        core = sum(registry.blob(layer["digest"]).stat().st_size for layer in layers)
        assert core < network.passed < core + REQUESTS < everything

        fresh_lab.gdb(f"{host}/{team}:1", "bubblewrap", "bt")
        assert network.connections >= 3, "several blobs at once"
        network.passed = 0
        assert "qsort" in fresh_lab.gdb(f"{host}/{team}:2", "bubblewrap", "bt").output
        assert core < network.passed < core + REQUESTS
        network.passed = 0
        fresh_lab.gdb(f"{host}/{team}:2", "bubblewrap", "bt")
        assert network.passed == 0


REQUESTS = 40_000  # bytes of requests and answers beside the blobs, at most: manifests, configuration, headers


def _manifest(registry: Registry, repository: str, tag: str) -> Any:
    """A manifest as the registry has it."""
    link = f"data/docker/registry/v2/repositories/{repository}/_manifests/tags/{tag}/current/link"
    return json.loads(registry.blob((registry.folder / link).read_text()).read_text())


def _planned(output: str) -> set[str]:
    """What a dry run says that is done with each blob."""
    return {line.split(maxsplit=3)[3] for line in output.splitlines() if not line.startswith("to ")}


def test_a_dry_run_shows_the_plan_and_sends_nothing(registry: Registry, bundle: Path, fresh_lab: Lab) -> None:
    one, two = (f"{registry.host}/planned/{name}:1" for name in ("one", "two"))
    with BadNetwork(registry.port, []) as network:
        there = one.replace(registry.host, f"127.0.0.1:{network.port}")
        planned = fresh_lab.done("push", "--dry-run", bundle, there).output
        assert _planned(planned) == {"compress and send", "send"}, planned
        assert planned.endswith(f"to         {there}\n")
        assert network.passed < REQUESTS
    fresh_lab.done("push", bundle, one)
    assert _planned(fresh_lab.done("push", "--dry-run", bundle, one).output) == {"there"}
    assert _planned(fresh_lab.done("push", "--dry-run", bundle, two).output) == {"mount from planned/one"}


def test_another_repository_mounts_what_the_registry_has(registry: Registry, bundle: Path, fresh_lab: Lab) -> None:
    fresh_lab.done("push", bundle, f"{registry.host}/one/{bundle.parent.name}")
    pushed = fresh_lab.done("push", bundle, f"{registry.host}/two/{bundle.parent.name}").output
    assert {fate for _, fate in _layers(pushed)} == {"mounted"}
    assert "sent       0 B" in pushed


def test_what_a_colleague_has_pushed_is_not_sent_again(
    registry: Registry, bundle: Path, lab: Lab, fresh_lab: Lab
) -> None:
    name = f"{registry.host}/colleagues/{bundle.parent.name}:1"
    lab.done("push", bundle, name)
    pushed = fresh_lab.done("push", bundle, name).output
    assert {fate for _, fate in _layers(pushed)} == {"there"}
    assert "sent       0 B" in pushed


def test_the_tag_is_a_part_of_the_identity_if_none_is_given(registry: Registry, bundle: Path, lab: Lab) -> None:
    identity = lab.build(bundle)["identity"].removeprefix("sha256:")
    pushed = lab.done("push", bundle, f"{registry.host}/untagged/crash").output
    assert f"{registry.host}/untagged/crash:{identity[:12]}" in pushed


def test_docker_pulls_and_runs_what_was_pushed(registry: Registry, bundle: Path, lab: Lab, docker: None) -> None:
    name = f"{registry.host}/docker/{bundle.parent.name}:1"
    image_id = lab.build(bundle)["image_id"]
    lab.done("push", bundle, name)
    subprocess.run(["docker", "pull", "--quiet", name], check=True, capture_output=True)
    inspected = subprocess.run(["docker", "inspect", name], check=True, capture_output=True)
    assert json.loads(inspected.stdout)[0]["Id"] == image_id
    run = ["docker", "run", "--rm", "--network", "none", "--read-only", name, "-batch", "-ex", "bt"]
    assert "qsort" in subprocess.run(run, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_skopeo_and_pull_agree_with_every_digest(
    registry: Registry, bundle: Path, lab: Lab, fresh_lab: Lab, tmp_path: Path, compression: str
) -> None:
    name = f"{registry.host}/{compression}/{bundle.parent.name}:1"
    lab.done("push", bundle, name, "--compression", compression)
    fresh_lab.done("pull", name)
    (pulled,) = fresh_lab.done("images", "--json").json["images"]
    assert pulled["image_id"] == lab.build(bundle)["image_id"]
    subprocess.run(
        ["skopeo", "copy", "--src-tls-verify=false", f"docker://{name}", f"oci:{tmp_path}/layout:1"],
        check=True,
        capture_output=True,
    )
    index = json.loads((tmp_path / "layout" / "index.json").read_text())
    digest = index["manifests"][0]["digest"].removeprefix("sha256:")
    manifest = json.loads((tmp_path / "layout" / "blobs" / "sha256" / digest).read_text())
    assert {layer["mediaType"].rpartition("+")[2] for layer in manifest["layers"]} == {compression}
    assert manifest["annotations"]["io.corebox.signal"] == "SIGSEGV"


def test_the_core_is_pushed_as_the_site_compressed_it(bundle: Path, fresh_lab: Lab, tmp_path: Path) -> None:
    """As long as the bundle lies where it was built from; one that was touched, or has other frames, is not taken."""
    own = tmp_path / "own.corebox"
    compressed = _with_other_frame(bundle, own)
    for state in ("as it is", "touched", "other frames"):
        if state == "other frames":
            tar = subprocess.run(["zstd", "-dc", own], check=True, capture_output=True).stdout
            parts = (tar[:5000], tar[5000:70000], tar[70000:])
            frames = (subprocess.run(["zstd", "-1c"], input=part, check=True, capture_output=True) for part in parts)
            own.write_bytes(b"".join(each.stdout for each in frames))
        fresh_lab.done("build", own, "--no-load", "-t", "crash:1")
        if state == "touched":
            own.touch()
        with running(Registry(tmp_path / state.replace(" ", "-"))) as registry:
            fresh_lab.done("push", "crash:1", f"{registry.host}/crash:1", "--compression", "zstd")
            blobs = [path.read_bytes() for path in registry.folder.rglob("data") if path.is_file()]
            other = Lab(tmp_path / f"store {state}")
            assert "qsort" in other.gdb(f"{registry.host}/crash:1", "bubblewrap", "bt").output
        assert len(blobs) > 4
        assert bool([blob for blob in blobs if compressed in blob]) is (state == "as it is")
        fresh_lab.done("rm", f"{registry.host}/crash:1", "crash:1")
        fresh_lab.done("prune")
        shutil.rmtree(fresh_lab.home / "records" / "compressed")


def _with_other_frame(bundle: Path, out: Path) -> bytes:
    """Write the bundle with the last frame of its core compressed as we never do; return that frame."""
    whole = bundle.read_bytes()
    with bundle.open("rb") as file:
        table = table_of(file)
    assert table is not None
    writer, stored = TableWriter(ZSTD), []
    for number, frame in enumerate(table):
        data = whole[frame.stored_offset : frame.stored_offset + frame.stored_size]
        if number == len(table) - 2:  # before what follows the core
            plain = subprocess.run(["zstd", "-dc"], input=data, check=True, capture_output=True).stdout
            data = subprocess.run(["zstd", "-15c"], input=plain, check=True, capture_output=True).stdout
        stored.append(data)
        writer.add(frame.size, len(data))
    out.write_bytes(b"".join(stored) + writer.to_bytes())
    return stored[-2]


def test_a_layer_that_rotted_is_not_wrapped(bundle: Path, fresh_lab: Lab, tmp_path: Path) -> None:
    """Wherever it is: of what the bundle does not have, too."""
    layers = fresh_lab.build(bundle)["layers"]
    (digest,) = (layer["digest"] for layer in layers if layer["kind"] == "core")
    store = Store(fresh_lab.home)
    tar = tmp_path / "core.tar"
    whole = store.blob_path(digest).read_bytes()
    core = core_within(str(store.blob_path(digest)))
    middle, behind = core.offset + core.size // 2, core.offset + core.size
    for place in (0, 100, core.offset, middle, behind - 1, behind, behind + 1000, len(whole) - 1):
        tar.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with store.writer() as writer, pytest.raises(FramesError):
            wrap_frames(tar, bundle, writer)
    tar.write_bytes(whole)
    with store.writer() as writer:
        wrap_frames(tar, bundle, writer)
        blob = writer.commit()
    compressed = store.blob_path(blob.digest)
    assert subprocess.run(["zstd", "-dc", compressed], check=True, capture_output=True).stdout == whole


def test_an_image_that_docker_pushed_comes_back(
    registry: Registry, bundle: Path, lab: Lab, fresh_lab: Lab, docker: None
) -> None:
    """Annotations are lost on the way through an engine; the layers are told apart all the same."""
    name = f"{registry.host}/pushed-by-docker/{bundle.parent.name}:1"
    lab.done("build", bundle, "--load", "-t", name)
    subprocess.run(["docker", "push", "--quiet", name], check=True, capture_output=True)
    assert "qsort" in fresh_lab.gdb(name, "bubblewrap", "bt").output
