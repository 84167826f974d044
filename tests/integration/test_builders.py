"""The two builders read one Dockerfile, and their root file systems are equal, path by path."""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import docker as docker_sdk
import pytest

from tests.support.lab import Lab

# (type, mode, time, link target, digest) by path
Tree = dict[str, tuple[bytes, int, int, str, str]]


def read_tree(layers: Iterable[IO[bytes] | gzip.GzipFile]) -> Tree:
    """What a root file system of these layers holds."""
    tree: Tree = {}
    for stream in layers:
        with tarfile.open(fileobj=stream) as layer:
            for member in layer:
                content = layer.extractfile(member) if member.isfile() else None
                digest = hashlib.sha256(content.read()).hexdigest() if content else ""
                kind = tarfile.REGTYPE if member.isfile() else member.type
                # Go's archive/tar writes the file type into the mode as well.
                tree[member.name.strip("/")] = (kind, member.mode & 0o7777, int(member.mtime), member.linkname, digest)
    return tree


def native_tree(lab: Lab, image_id: str) -> Tree:
    """The tree of an image in the store."""
    blobs = lab.home / "oci" / "blobs" / "sha256"
    config = json.loads((blobs / image_id.removeprefix("sha256:")).read_bytes())
    with ExitStack() as stack:
        paths = [blobs / digest.removeprefix("sha256:") for digest in config["rootfs"]["diff_ids"]]
        return read_tree([stack.enter_context(path.open("rb")) for path in paths])


def engine_tree(client: docker_sdk.DockerClient, image: str, scratch: Path) -> Tree:
    """The tree of an image in the Docker Engine, out of `docker save`."""
    saved = scratch / "saved.tar"
    with saved.open("wb") as stream:
        for chunk in client.images.get(image).save():
            stream.write(chunk)
    with tarfile.open(saved) as archive:
        manifest = json.load(archive.extractfile("manifest.json") or io.BytesIO())
        layers = [archive.extractfile(name) for name in manifest[0]["Layers"]]
        return read_tree([layer for layer in layers if layer])


@pytest.fixture
def client(docker: None) -> Iterator[docker_sdk.DockerClient]:
    """The SDK's client, closed in the end."""
    found = docker_sdk.from_env()
    yield found
    found.close()


def test_docker_builds_the_same_root_as_native(
    lab: Lab, bundle: Path, client: docker_sdk.DockerClient, tmp_path: Path
) -> None:
    native = native_tree(lab, lab.build(bundle)["image_id"])
    built = lab.build(bundle, "--builder", "docker", "-t", "corebox-test:docker")
    try:
        theirs = engine_tree(client, built["image_id"], tmp_path)
    finally:
        client.images.remove("corebox-test:docker", force=True)
    assert ".corebox/core" in native
    assert theirs == native


def test_a_loaded_image_has_our_id_and_opens_without_corebox(
    lab: Lab, bundle: Path, client: docker_sdk.DockerClient
) -> None:
    built = lab.done("build", bundle, "--json", "-t", "corebox-test:loaded").json
    try:
        assert built["loaded"] == "docker"
        assert client.images.get("corebox-test:loaded").id == built["image_id"]
        shown = client.containers.run(
            "corebox-test:loaded",
            ["-batch", "-ex", "bt"],
            network_mode="none",
            read_only=True,
            cap_drop=["ALL"],
            remove=True,
            stderr=True,
        ).decode()
        assert "compare (left=" in shown
        assert "Thread debugging using libthread_db enabled" in shown
        assert "exec file is newer than core file" not in shown
    finally:
        client.images.remove("corebox-test:loaded", force=True)


def test_the_context_is_what_a_plain_docker_build_takes(lab: Lab, bundle: Path, tmp_path: Path) -> None:
    lab.build(bundle, "--context", tmp_path / "context")
    dockerfile = (tmp_path / "context" / "Dockerfile").read_text()
    added = [line.split()[1] for line in dockerfile.splitlines() if line.startswith("ADD ")]
    assert dockerfile.startswith("FROM scratch\n")
    assert sorted([*added, "Dockerfile"]) == sorted(path.name for path in (tmp_path / "context").iterdir())
