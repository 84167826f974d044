"""The native builder, what becomes of its images, and the way back to core and bundle."""

import dataclasses
import io
import json
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from corebox.bundle.digests import identity_of
from corebox.errors import InputError, UsageError
from corebox.image.archive import TarStream, docker_archive, oci_archive
from corebox.image.context import context_archive, write_context
from corebox.image.export import export_bundle, export_core
from corebox.image.opened import open_image
from corebox.store.store import Store
from corebox.store.values import MANIFEST_TYPE, Descriptor
from corebox.unbundle.read import BundleReader
from tests.unit.bundle import samples
from tests.unit.image.conftest import Desk, Template, make_desk


def blob(store: Store, digest: str) -> dict[str, object]:
    value: dict[str, object] = json.loads(store.blob_path(digest).read_bytes())
    return value


def names(tar: Path) -> list[str]:
    with tarfile.open(tar) as archive:
        return archive.getnames()


def test_layers_go_from_the_most_shared_to_the_core(desk: Desk) -> None:
    image = desk.build("app:1")
    assert [layer.kind for layer in image.layers] == ["toolbox", "system", "program", "core", "crash"]
    members = [set(names(desk.store.blob_path(layer.digest))) for layer in image.layers]
    assert members[1] == {"lib", "usr", "usr/lib", "usr/lib/libx.so.1", "usr/lib/libx.so.1.2"}
    assert members[2] == {"opt", "opt/app", "opt/app/bin", "opt/app/bin/app"}
    assert members[3] == {".corebox", ".corebox/core", ".corebox/core.segments"}
    ours = ["bundle", "bundle/SHA256SUMS", "bundle/run.sh", "core.digests", "core.layout.json"]
    ours += ["gdbinit", "manifest.json", "tmp"]
    assert members[4] == {".corebox", *(f".corebox/{name}" for name in ours)}


def test_the_configuration_is_fixed_but_for_what_the_dockerfile_says(desk: Desk) -> None:
    image = desk.build()
    config = image.config
    assert config["created"] == "1970-01-01T00:00:00Z"
    assert config["config"] == {
        "Entrypoint": ["/gdb", "-c", "/core"],
        "Env": ["A=1"],
        "Labels": {"l": "v"},
        "User": "1000:1000",
        "WorkingDir": "/.corebox",
    }
    assert config["rootfs"] == {"type": "layers", "diff_ids": [layer.digest for layer in image.layers]}
    assert image.labels == {"l": "v"}


def test_the_labels_are_annotations_of_the_manifest_too(desk: Desk) -> None:
    assert blob(desk.store, desk.build().manifest_digest)["annotations"] == {"l": "v"}


def test_another_folder_gives_the_same_image(desk: Desk, tmp_path: Path) -> None:
    first = desk.build("app:1")
    (tmp_path / "elsewhere").mkdir()
    before = os.umask(0o077)
    try:
        second = make_desk(tmp_path / "elsewhere", desk.bundle).build("other:name")
    finally:
        os.umask(before)
    assert second.image_id == first.image_id
    assert second.manifest_digest == first.manifest_digest


def test_what_is_known_is_not_built_again(desk: Desk) -> None:
    assert [each.reused for each in desk.assemble().layers] == [True, False, False, False, False]
    again = desk.assemble(gdbinit="set pagination off\n")
    assert [each.reused for each in again.layers] == [True, True, True, True, False]


def test_a_template_may_add_files_and_settings(desk: Desk, template: Template) -> None:
    path = template('LABEL team="a b"\nCOPY greet.py /opt/acme/\nCMD ["-q"]\n')
    (path.parent / "greet.py").write_text("print('hello')\n")
    image = desk.build(template=path)
    assert [layer.kind for layer in image.layers][-1] == "added"
    assert image.labels == {"l": "v", "team": "a b"}
    opened = open_image(desk.store, image)
    assert (opened.root / "opt" / "acme" / "greet.py").read_text() == "print('hello')\n"
    assert (opened.root / "opt" / "app" / "bin" / "app").exists()


def test_a_template_with_run_names_the_other_builder(desk: Desk, template: Template) -> None:
    with pytest.raises(UsageError) as caught:
        desk.build(template=template("RUN ls\n"))
    assert (caught.value.code, caught.value.hint) == ("not-native", "use --builder docker")
    assert desk.store.images() == []


def test_the_archive_is_what_docker_load_wants(desk: Desk) -> None:
    image = desk.build("app:1")
    stream = docker_archive(desk.store, image)
    data = b"".join(stream)
    assert len(stream) == len(data)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        files = {name: member.read() for name in archive.getnames() if (member := archive.extractfile(name))}
    (docker,) = json.loads(files["manifest.json"])
    assert docker["RepoTags"] == ["app:1"]
    assert json.loads(files[docker["Config"]]) == image.config
    assert [f"blobs/sha256/{layer.digest[7:]}" for layer in image.layers] == docker["Layers"]
    assert set(files) == {"manifest.json", docker["Config"], *docker["Layers"]}


NAMES = {
    "app": ("app:latest", "docker.io/library/app:latest"),
    "team/app:1": ("team/app:1", "docker.io/team/app:1"),
    "localhost/app:1": ("localhost/app:1", "localhost/app:1"),
    "host:5000/app": ("host:5000/app:latest", "host:5000/app:latest"),
    "registry.example.com/app:1": ("registry.example.com/app:1", "registry.example.com/app:1"),
}


@pytest.mark.parametrize("name", NAMES)
def test_engines_are_given_the_name_that_they_would_give(desk: Desk, name: str) -> None:
    image = desk.build(name)
    (docker,) = _documents(docker_archive(desk.store, image))["manifest.json"]
    (entry,) = _documents(oci_archive(desk.store, image))["index.json"]["manifests"]
    assert (docker["RepoTags"], entry["annotations"]["io.containerd.image.name"]) == ([NAMES[name][0]], NAMES[name][1])
    assert entry["digest"] == image.manifest_digest


def _documents(stream: TarStream) -> dict[str, Any]:
    with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as archive:
        names = [name for name in archive.getnames() if name.endswith(".json")]
        return {name: json.load(member) for name in names if (member := archive.extractfile(name))}


@pytest.mark.parametrize("pack", [docker_archive, oci_archive])
def test_layers_that_the_engine_has_are_left_out(desk: Desk, pack: Callable[..., TarStream]) -> None:
    image = desk.build("app:1")
    left_out = [layer.digest for layer in image.layers[:3]]
    with tarfile.open(fileobj=io.BytesIO(b"".join(pack(desk.store, image, left_out)))) as archive:
        found = {name[13:] for name in archive.getnames() if name.startswith("blobs/")}
    wanted = {image.image_id[7:], *(layer.digest[7:] for layer in image.layers[3:])}
    assert found == wanted | ({image.manifest_digest[7:]} if pack is oci_archive else set())


def test_a_context_has_all_that_the_dockerfile_adds(desk: Desk, template: Template, tmp_path: Path) -> None:
    path = template("RUN ls\nCOPY scripts /opt/\nCOPY --chown=1 *.gdb /opt/\n")
    (path.parent / "b.gdb").write_text("2")
    (path.parent / "scripts").mkdir()
    (path.parent / "scripts" / "a.py").write_text("1")
    assembly = desk.assemble(path)
    wanted = {"Dockerfile", "toolbox.tar", "system.tar", "program.tar", "core.tar", "crash.tar"}
    wanted |= {"added.tar", "b.gdb"}
    write_context(desk.store, assembly, tmp_path / "context")
    found = {
        str(each.relative_to(tmp_path / "context")) for each in (tmp_path / "context").rglob("*") if each.is_file()
    }
    assert found == wanted
    with tarfile.open(fileobj=io.BytesIO(b"".join(context_archive(desk.store, assembly)))) as archive:
        assert set(archive.getnames()) == wanted
    text = (tmp_path / "context" / "Dockerfile").read_text()
    assert text.endswith("RUN ls\nADD added.tar /\nCOPY --chown=1 *.gdb /opt/\n")
    assert names(tmp_path / "context" / "added.tar") == ["opt", "opt/a.py"]
    with pytest.raises(UsageError):
        write_context(desk.store, assembly, tmp_path / "context")


def test_core_and_bundle_come_back(desk: Desk, tmp_path: Path) -> None:
    opened = open_image(desk.store, desk.build())
    export_core(opened, tmp_path / "out.core")
    assert (tmp_path / "out.core").read_bytes() == desk.core.read_bytes()
    written = export_bundle(opened, tmp_path / "out.corebox")
    assert written.identity == desk.unpacked.identity == opened.identity
    with BundleReader(written.path) as reader:
        assert reader.unpack(tmp_path / "again").digests == desk.unpacked.digests
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".corebox-")]


def test_a_bundle_of_version_1_comes_back(desk: Desk, tmp_path: Path) -> None:
    members = samples.parts(samples.manifest(format=samples.VERSION_1))
    sums = samples.sums_of(members)
    with BundleReader(samples.write_raw(tmp_path / "old.corebox", [*members, sums])) as reader:
        unpacked = reader.unpack(tmp_path / "old", hash_layer=True)
    old = dataclasses.replace(desk, unpacked=unpacked, manifest=reader.manifest)
    written = export_bundle(open_image(old.store, old.build()), tmp_path / "out.corebox")
    assert written.identity == identity_of(sums.data)


def test_core_and_bundle_come_back_from_the_layers_alone(desk: Desk, tmp_path: Path) -> None:
    image = desk.build()
    shutil.rmtree(desk.store.home / "roots")
    elsewhere = Store(tmp_path / "elsewhere")
    for blob_file in (desk.store.oci / "blobs" / "sha256").iterdir():
        shutil.copy(blob_file, elsewhere.oci / "blobs" / "sha256")
    manifest = Descriptor(MANIFEST_TYPE, image.manifest_digest, 0)
    opened = open_image(elsewhere, elsewhere.put_manifest(manifest))
    export_core(opened, tmp_path / "out.core")
    assert (tmp_path / "out.core").read_bytes() == desk.core.read_bytes()
    assert export_bundle(opened, tmp_path / "out.corebox").identity == opened.identity


def test_an_image_whose_files_were_changed_gives_no_bundle(desk: Desk, tmp_path: Path) -> None:
    opened = open_image(desk.store, desk.build())
    (opened.ours / "manifest.json").write_bytes(desk.manifest._replace(gatherer="9").to_bytes())
    changed = open_image(desk.store, opened.image)
    with pytest.raises(InputError) as caught:
        export_bundle(changed, tmp_path / "out.corebox")
    assert caught.value.code == "image-damaged"
    assert not (tmp_path / "out.corebox").exists()


def test_an_image_of_something_else_is_no_crash(desk: Desk) -> None:
    config = {"rootfs": {"type": "layers", "diff_ids": []}}
    with pytest.raises(InputError) as caught:
        open_image(desk.store, desk.store.put_image({"schemaVersion": 2, "layers": []}, config))
    assert caught.value.code == "not-a-crash"


def test_an_opened_image_has_its_parts_where_the_sandbox_wants_them(desk: Desk) -> None:
    opened = open_image(desk.store, desk.build())
    assert opened.core is not None
    assert (opened.core.stat().st_mtime, opened.core.stat().st_mode & 0o777) == (1700000000, 0o600)
    assert (opened.toolbox / "bin" / "gdb").read_bytes() == b"a stand-in"
    assert opened.debug is None
    assert opened.manifest == desk.manifest
