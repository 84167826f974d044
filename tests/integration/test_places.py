"""Images by the names that skopeo and podman have for them, and what is told of those that are none of ours."""

import base64
import gzip
import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from corebox.gather.cli import main as gather
from corebox.registry.access import Access
from corebox.registry.client import Client
from corebox.registry.reference import parse_reference
from corebox.store.store import Store
from corebox.store.values import MANIFEST_TYPE
from tests.support.crashes import build_program
from tests.support.lab import Lab
from tests.support.registry import PASSWORD, USER, Registry, docker_config, running

INDEX = "application/vnd.oci.image.index.v1+json"


class Shelf(NamedTuple):
    """A registry with the image of a crash in it."""

    registry: Registry
    bundle: Path
    name: str
    image_id: str
    folder: Path


@pytest.fixture(scope="module")
def shelf(machine: None, lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    folder = tmp_path_factory.mktemp("shelf")
    core = build_program(folder / "app").crash()
    bundle = folder / "app.corebox"
    assert gather([str(core), "--no-nice", "-o", str(bundle)]) == 0
    with running(Registry(folder / "registry")) as registry:
        name = f"{registry.host}/team/crash:1"
        image_id = lab.build(bundle, "-t", "shelf:1")["image_id"]
        lab.done("push", bundle, name)
        yield Shelf(registry, bundle, name, image_id, folder)


def run(*words: object) -> str:
    return subprocess.run(list(map(str, words)), check=True, capture_output=True, text=True).stdout


def skopeo(source: str, target: object) -> None:
    run("skopeo", "copy", "--quiet", "--src-tls-verify=false", "--dest-tls-verify=false", source, target)


def test_whatever_skopeo_calls_it_it_is_opened(shelf: Shelf, fresh_lab: Lab, tmp_path: Path) -> None:
    source = f"docker://{shelf.name}"
    skopeo(source, f"oci:{tmp_path}/layout:app:1")
    skopeo(source, f"docker-archive:{tmp_path}/saved.tar:app:2")
    skopeo(source, f"oci-archive:{tmp_path}/oci.tar:app:3")
    (tmp_path / "saved.tar.gz").write_bytes(gzip.compress((tmp_path / "saved.tar").read_bytes(), 1))
    assert "fail" in fresh_lab.gdb(source, "bubblewrap", "bt 1").output
    for place in (
        f"oci:{tmp_path}/layout",
        f"oci:{tmp_path}/layout:app:1",
        f"docker-archive:{tmp_path}/saved.tar",
        f"docker-archive:{tmp_path}/saved.tar.gz:app:2",
        f"oci-archive:{tmp_path}/oci.tar:app:3",
        source,
    ):
        assert f"image      {shelf.image_id}" in fresh_lab.done("pull", place).output
    (image,) = fresh_lab.done("images", "--json").json["images"]
    assert {"app:1", "app:2", "app:3", shelf.name} <= set(image["tags"])
    elsewhere = Lab(tmp_path / "other")
    assert elsewhere.done("info", source, "--json").json["subject"]["identity"] == image["labels"]["io.corebox.bundle"]
    certain = Lab(tmp_path / "verifying").done("verify", shelf.name, "--plain-http", "--json")
    assert certain.json["ok"], certain
    assert elsewhere.done("report", f"oci:{tmp_path}/layout", "--engine", "bubblewrap").output


def test_an_archive_goes_to_a_desk_without_network(
    shelf: Shelf, lab: Lab, fresh_lab: Lab, tmp_path: Path, docker: None
) -> None:
    out = tmp_path / "crash.tar"
    assert f"corebox shell oci-archive:{out}" in lab.done("export", shelf.bundle, "--oci-archive", out).output
    assert out.stat().st_mode & 0o777 == 0o600
    assert "fail" in Lab(tmp_path / "home2").gdb(f"oci-archive:{out}", "bubblewrap", "bt 1").output
    assert "shelf:1" in run("docker", "load", "-i", out)
    assert json.loads(run("docker", "inspect", "shelf:1"))[0]["Id"] == shelf.image_id
    assert json.loads(run("skopeo", "inspect", "--config", f"oci-archive:{out}:shelf:1"))["architecture"]
    # Out of the engine again, once by name and once as the store knows it already.
    for _ in range(2):
        assert shelf.image_id in fresh_lab.done("pull", "docker-daemon:shelf:1").output
    assert "fail" in fresh_lab.gdb("docker-daemon:shelf:1", "bubblewrap", "bt 1").output
    assert fresh_lab.done("images", "--json").json["images"][0]["tags"][0] == "shelf:1"
    run("docker", "rmi", "shelf:1")
    refused = fresh_lab.corebox("pull", "docker-daemon:shelf:none")
    assert (refused.status, "docker engine has no image" in refused.errors) == (3, True)


def test_an_image_of_podman_is_opened(shelf: Shelf, lab: Lab, fresh_lab: Lab, tmp_path: Path, podman: str) -> None:
    lab.done("export", shelf.bundle, "--oci-archive", tmp_path / "crash.tar")
    run("podman", "--url", podman, "load", "-i", tmp_path / "crash.tar")
    environment = {"CONTAINER_HOST": podman}
    for _ in range(2):
        assert shelf.image_id in fresh_lab.done("pull", "containers-storage:shelf:1", env=environment).output
    assert fresh_lab.done("report", "containers-storage:shelf:1", "--engine", "bubblewrap", env=environment).output
    run("podman", "--url", podman, "rmi", "shelf:1")
    refused = fresh_lab.corebox("pull", "containers-storage:shelf:none", env=environment)
    assert (refused.status, "podman engine has no image" in refused.errors) == (3, True)


def test_what_an_engine_has_built_or_changed_is_opened(
    shelf: Shelf, lab: Lab, fresh_lab: Lab, tmp_path: Path, docker: None
) -> None:
    """By the docker builder; squashed into one layer; with a file deleted and another replaced."""
    host, saved = shelf.registry.host, tmp_path / "saved"
    lab.done("build", shelf.bundle, "--builder", "docker", "-t", f"{host}/built/crash:1")
    run("docker", "push", "--quiet", f"{host}/built/crash:1")
    run("docker", "rmi", f"{host}/built/crash:1")
    buildah = ("buildah", "--root", saved, "--runroot", tmp_path / "run", "--storage-driver", "vfs")
    container = run(*buildah, "from", "--tls-verify=false", f"docker://{shelf.name}").strip()
    place = Path(run(*buildah, "mount", container).strip())
    (library,) = (path for path in place.rglob("libfail.so") if path.is_file())
    shutil.copy("/etc/hostname", place / "etc-hostname")
    library.unlink()
    for name, options in (("deleted", ()), ("squashed", ("--squash",))):
        run(*buildah, "commit", "--quiet", "--tls-verify=false", *options, container, f"docker://{host}/{name}/crash:1")
    assert "fail" in fresh_lab.gdb(f"{host}/built/crash:1", "bubblewrap", "bt 1").output
    for name in ("deleted", "squashed"):
        opened = fresh_lab.gdb(f"{host}/{name}/crash:1", "bubblewrap", "bt 1", "info sharedlibrary")
        assert "#0" in opened.output
        layers = Store(fresh_lab.home).find(f"{host}/{name}/crash:1").layers
        assert (len(layers) == 1) == (name == "squashed")
        root = Store(fresh_lab.home).unpacked([each for each in layers if each.kind in ("other", "system", "program")])
        assert (root / "etc-hostname").is_file()
        assert not list(root.rglob("libfail.so")), "a whiteout is honoured"
        back = fresh_lab.corebox("export", f"{host}/{name}/crash:1", "--bundle", tmp_path / "back.corebox")
        assert (back.status, "lacks" in back.errors) == (3, True), back.errors
        fresh_lab.done("export", f"{host}/{name}/crash:1", "--core", tmp_path / f"{name}.core")


def put(shelf: Shelf, tag: str, value: dict[str, Any], media_type: str, *blobs: bytes) -> str:
    """Store a manifest or index under a tag; return its digest."""
    data = json.dumps(value).encode()
    with Client(parse_reference(f"{shelf.registry.host}/team/crash:{tag}"), Access(), "pull,push") as client:
        for blob in blobs:
            url, _ = client.begin_upload(digest_of(blob), None)
            assert url
            client.call("PUT", f"{url}&digest={digest_of(blob)}", "push", expect=(201,), body=blob)
        client.put_manifest(tag, data, media_type)
    return digest_of(data)


def digest_of(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def entry(digest: str, size: int, media_type: str = MANIFEST_TYPE, **more: object) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest, "size": size, **more}


def index(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"schemaVersion": 2, "mediaType": INDEX, "manifests": list(entries)}


@pytest.fixture(scope="module")
def manifest(shelf: Shelf) -> bytes:
    """The image's manifest as the registry has it."""
    with Client(parse_reference(shelf.name), Access(), "pull") as client:
        return client.get_manifest("1", (MANIFEST_TYPE,))[0]


ARM = {"architecture": "arm64", "os": "linux"}
AMD = {"architecture": "amd64", "os": "linux"}
NOTES = {"architecture": "unknown", "os": "unknown"}


def test_an_index_leads_to_the_image_whatever_it_leaves_out(shelf: Shelf, manifest: bytes, fresh_lab: Lab) -> None:
    ours = entry(digest_of(manifest), len(manifest))
    config = json.dumps({"architecture": "arm64", "os": "linux", "rootfs": {"diff_ids": []}}).encode()
    theirs: dict[str, Any] = {"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "layers": [],
              "config": entry(digest_of(config), len(config), "application/vnd.oci.image.config.v1+json")}  # fmt: skip
    other = put(shelf, "other", theirs, MANIFEST_TYPE, config)
    size = len(json.dumps(theirs))
    inner = index({**ours, "platform": AMD}, entry(other, size, platform=NOTES))
    nested = put(shelf, "inner", inner, INDEX)
    cases = {
        "alone": index(ours),
        "unsaid": index(entry(other, size), ours),
        "said": index(entry(other, size, platform=ARM), {**ours, "platform": AMD}),
        "mixed": index(entry(other, size, platform=ARM), ours),
        "attested": index(entry(other, size, platform=NOTES), {**ours, "platform": AMD}),
        "nested": index(entry(nested, len(json.dumps(inner)), INDEX)),
        "twice": index(entry(other, size, platform=ARM), entry(nested, len(json.dumps(inner)), INDEX)),
    }
    for tag, value in cases.items():
        put(shelf, tag, value, INDEX)
        pulled = fresh_lab.done("pull", f"{shelf.registry.host}/team/crash:{tag}").output
        assert f"image      {shelf.image_id}" in pulled, tag
    assert len(fresh_lab.done("images", "--json").json["images"]) == 1

    # What is none of ours is told as what it is.
    empty = b"{}"
    image_config = "application/vnd.oci.image.config.v1+json"
    helm_type = "application/vnd.cncf.helm.config.v1+json"
    plain_config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"diff_ids": []}}).encode()
    base = {"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "layers": []}
    helm = {**base, "config": entry(digest_of(empty), 2, helm_type)}
    artefact = {**base, "artifactType": "application/spdx+json", "config": entry(digest_of(empty), 2, image_config)}
    plain = {**base, "config": entry(digest_of(plain_config), len(plain_config), image_config)}
    deep = nested
    for number in range(6):
        deep = put(shelf, f"deep{number}", index(entry(deep, 1, INDEX, platform={})), INDEX)
    wrong = {
        "empty": (index(), INDEX, (), "index without any image"),
        "arm": (index(entry(other, size, platform=ARM)), INDEX, (), "has images for arm64, and none for"),
        "windows": (index(entry(other, size, platform={"architecture": "amd64", "os": "windows"})), INDEX, (),
                    "has images for windows/amd64"),
        "artefact": (artefact, MANIFEST_TYPE, (empty,), "an artefact of type application/spdx+json"),
        "helm": (helm, MANIFEST_TYPE, (empty,), f"an artefact of type {helm_type}"),
        "foreign": (plain, MANIFEST_TYPE, (plain_config,), "is a container image, and contains no crash"),
    }  # fmt: skip
    for tag, (value, kind, blobs, words) in wrong.items():
        put(shelf, tag, value, kind, *blobs)
        refused = fresh_lab.corebox("shell", f"{shelf.registry.host}/team/crash:{tag}")
        assert refused.status == 3, tag
        assert words in refused.errors
        assert "damaged" not in refused.errors
    assert "nested more than" in fresh_lab.corebox("pull", f"{shelf.registry.host}/team/crash:deep5").errors


def test_places_that_are_none_are_told(shelf: Shelf, lab: Lab, fresh_lab: Lab, tmp_path: Path) -> None:
    lab.done("export", shelf.bundle, "--oci-archive", tmp_path / "a.tar")
    for name in ("one", "two"):
        skopeo(f"docker://{shelf.name}", f"oci:{tmp_path}/layout:{name}:1")
    text = (tmp_path / "layout" / "index.json").read_text()
    (tmp_path / "empty").mkdir()
    (tmp_path / "noise.tar").write_bytes(b"no tar" * 1000)
    cases = {
        f"oci:{tmp_path}/gone": "there is no folder",
        f"oci:{tmp_path}/empty": "has no file index.json",
        f"oci-archive:{tmp_path}/gone.tar": "there is no file",
        f"docker-archive:{tmp_path}/noise.tar": "is neither an OCI image layout nor an archive of docker save",
        f"oci:{tmp_path}/layout:three:1": "has no image called three:1",
        f"docker-archive:{tmp_path}/a.tar:other:1": "has no image called other:1",
        "containers-storage:[vfs@/x]app:1": "a storage that no engine serves",
        "dir:x": "is not supported",
        "oci:": "names nothing",
    }
    for place, words in cases.items():
        refused = fresh_lab.corebox("pull", place)
        assert (refused.status in (2, 3), words in refused.errors) == (True, True), (place, refused.errors)
    assert "one:1" in text


def test_a_first_push_sends_no_toolbox_that_the_registry_has(
    shelf: Shelf, lab: Lab, fresh_lab: Lab, guarded: Registry, tmp_path: Path
) -> None:
    """From a store that knows nothing of the registry; with a password, too."""
    auth = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    env = docker_config(tmp_path / "docker", {"auths": {guarded.host: {"auth": auth}}})
    lab.done("push", "shelf:1", f"{guarded.host}/one/crash:1", env=env)
    fresh_lab.build(shelf.bundle)
    for host in (shelf.registry.host, guarded.host):
        pushed = fresh_lab.done("push", shelf.bundle, f"{host}/never/seen:1", env=env).output
        assert next(line.split()[3] for line in pushed.splitlines() if line.startswith("toolbox")) == "mounted", pushed
        (sent,) = (line.split()[1:] for line in pushed.splitlines() if line.startswith("sent"))
        assert sent[1] in ("B", "kB") or (sent[1] == "MB" and float(sent[0]) < 2), pushed
