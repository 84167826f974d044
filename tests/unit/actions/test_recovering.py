"""A core alone: its files come out of folders, images and registries, each proved; what is missing is told."""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from corebox.unbundle.read import read_manifest
from tests.support.distribution import Distribution, distribution
from tests.support.packages import tar
from tests.support.vendor import Vendor
from tests.unit.gather.sites import BUILD_IDS, EXECUTABLE, LIBC, LINKER, OTHER_ID, put_elf

pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


def layers(site: Path) -> list[bytes]:
    """The site's files as an image's layers, of which the upper has the program."""
    files = {name: Path(f"{site}{name}").read_bytes() for name in (EXECUTABLE, LIBC, LINKER)}
    lower = tar({name[1:]: data for name, data in files.items() if name != EXECUTABLE})
    return [lower, tar({EXECUTABLE[1:]: files[EXECUTABLE]})]


def config_of(parts: list[bytes]) -> bytes:
    diff_ids = ["sha256:" + hashlib.sha256(each).hexdigest() for each in parts]
    return json.dumps(
        {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}}
    ).encode()


def docker_archive(path: Path, parts: list[bytes]) -> Path:
    """As ``docker save`` writes it."""
    names = [f"{number}/layer.tar" for number in range(len(parts))]
    manifest = json.dumps([{"Config": "config.json", "RepoTags": ["app:1"], "Layers": names}]).encode()
    path.write_bytes(
        tar({"config.json": config_of(parts), **dict(zip(names, parts, strict=True)), "manifest.json": manifest})
    )
    return path


@pytest.fixture
def registry() -> Iterator[Distribution]:
    with distribution() as started:
        yield started


def publish(registry: Distribution, parts: list[bytes]) -> str:
    """The image in a registry; its name as skopeo has it."""
    kind = "application/vnd.oci.image."

    def put(media_type: str, data: bytes) -> dict[str, object]:
        return {"mediaType": kind + media_type, "size": len(data), "digest": registry.put("team/app", data)}

    manifest = {
        "schemaVersion": 2,
        "mediaType": kind + "manifest.v1+json",
        "config": put("config.v1+json", config_of(parts)),
        "layers": [put("layer.v1.tar+gzip", gzip.compress(each)) for each in parts],
    }
    registry.manifests["team/app", "1"] = json.dumps(manifest).encode(), str(manifest["mediaType"])
    return f"docker://{registry.host}/team/app:1"


def verdicts(path: Path) -> set[str]:
    return {each.verdict for each in read_manifest(path).modules}


def test_a_folder_of_the_release(desk: Vendor, tmp_path: Path) -> None:
    done = desk.good("recover", desk.core, "--from", desk.site, "-o", tmp_path / "x.corebox")
    assert verdicts(tmp_path / "x.corebox") == {"verified"}
    assert f"next:      corebox shell {tmp_path}/x.corebox" in done.output
    manifest = read_manifest(tmp_path / "x.corebox")
    assert {each.origin.place for each in manifest.files if each.origin} == {str(desk.site)}


def test_an_image_that_docker_saved(desk: Vendor, tmp_path: Path) -> None:
    archive = docker_archive(tmp_path / "saved.tar", layers(desk.site))
    desk.good("recover", desk.core, "--from", f"docker-archive:{archive}", "-o", tmp_path / "x.corebox")
    assert verdicts(tmp_path / "x.corebox") == {"verified"}


def test_an_image_in_a_registry_whose_layers_are_fetched_once(
    desk: Vendor, registry: Distribution, tmp_path: Path
) -> None:
    place = publish(registry, layers(desk.site))
    for number in range(2):
        desk.good("recover", desk.core, "--from", place, "-o", tmp_path / f"{number}.corebox")
        assert verdicts(tmp_path / f"{number}.corebox") == {"verified"}
    fetched = [path for method, path in registry.asked if method == "GET" and "/blobs/" in path]
    manifest = registry.manifest("team/app", "1")
    digests = [each["digest"] for each in manifest["layers"]]  # type: ignore[attr-defined]
    assert all(sum(digest in path for path in fetched) == 1 for digest in digests)


def test_what_is_missing_is_told_and_what_is_another_is_refused(desk: Vendor, tmp_path: Path) -> None:
    put_elf(tmp_path / "part", EXECUTABLE, BUILD_IDS[EXECUTABLE])
    put_elf(tmp_path / "part", LIBC, OTHER_ID)
    done = desk.corebox("recover", desk.core, "--from", tmp_path / "part", "-o", tmp_path / "x.corebox")
    assert done.status == 1
    assert f"corebox request {desk.core}" in done.output
    assert LIBC in done.errors
    found = {each.path: each.verdict for each in read_manifest(tmp_path / "x.corebox").modules}
    assert (found[EXECUTABLE], found[LIBC]) == ("verified", "missing")
    # Completed from another place, and looked at without a bundle of its own.
    again = ["recover", tmp_path / "x.corebox", "--from", desk.site, "-o", tmp_path / "y.corebox"]
    desk.good(*again)
    assert verdicts(tmp_path / "y.corebox") == {"verified"}
    desk.fails("recover", desk.core, "-o", tmp_path / "z.corebox", status=2, says="no place to look in")


def test_a_session_completes_what_it_opens(desk: Vendor, tmp_path: Path) -> None:
    for _ in range(2):
        assert "copy_order" in desk.good("report", desk.core, "--from", desk.site).output
    built = desk.good("build", "--no-load", "--json", desk.core, "--from", desk.site).document
    assert {each["kind"] for each in built["layers"]} >= {"system", "program", "core"}
    desk.fails("report", desk.core, status=3, says="without the files that were mapped")


def test_what_was_released_is_listed_for_the_customers(desk: Vendor, tmp_path: Path) -> None:
    done = desk.good("known", desk.site)
    lines = dict(line.split("  ", 1) for line in done.output.splitlines())
    assert set(BUILD_IDS.values()) <= set(lines)
    assert "build IDs" in done.errors
    desk.good("known", desk.site, "-o", tmp_path / "known.txt")
    assert (tmp_path / "known.txt").read_text() == done.output
    desk.fails("known", "http://127.0.0.1:9/debuginfod", status=2, says="server")


def test_a_light_bundle_is_opened_with_what_was_left_out(desk: Vendor, tmp_path: Path) -> None:
    desk.good("known", desk.site, "-o", tmp_path / "known.txt")
    light = tmp_path / "light.corebox"
    done = desk.corebox("gather", desk.core, "--root", desk.site, "--known", tmp_path / "known.txt", "-o", light)
    assert done.status in (0, 1), done.errors
    assert {each.path for each in read_manifest(light).left_out} >= {EXECUTABLE}
    desk.good("recover", light, "--from", desk.site, "-o", tmp_path / "whole.corebox")
    assert EXECUTABLE in {each.path for each in read_manifest(tmp_path / "whole.corebox").files}


def test_places_that_are_none_are_told(desk: Vendor, tmp_path: Path) -> None:
    archive = tmp_path / "x.tar"
    with tarfile.open(archive, "w") as made:
        made.addfile(tarfile.TarInfo("x"), io.BytesIO())
    out = tmp_path / "x.corebox"
    for place, status in ((f"docker-archive:{archive}", 3), (tmp_path / "none", 3), ("oci:/none", 3)):
        desk.fails("recover", desk.core, "--from", place, "-o", out, status=status, says="")
    assert not out.exists()


# Push and pull


def test_a_crash_goes_to_a_colleague_by_a_registry(desk: Vendor, registry: Distribution, tmp_path: Path) -> None:
    name = f"{registry.host}/crashes/app:7"
    done = desk.good("push", desk.bundle, name)
    assert name in done.output
    assert ("crashes/app", "7") in registry.manifests
    desk.good("rm", name)
    pulled = desk.good("pull", name)
    assert name in pulled.output
    assert name in desk.good("images").output
    desk.fails("push", desk.bundle, status=2, says="no target given")
    desk.fails("push", desk.bundle, f"{name}@sha256:{'0' * 64}", status=2, says="digest")
    desk.fails("pull", f"{registry.host}/crashes/none:1", status=3, says="has no crashes/none:1")
