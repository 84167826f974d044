"""A light bundle and a repository of its site's packages: together they are the full bundle."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from corebox.bundle.manifest import Manifest
from corebox.gather.cli import main
from corebox.unbundle.read import read_manifest
from corebox.unbundle.verify import verify_bundle
from tests.support.lab import Lab
from tests.support.programs import FOLDER
from tests.support.repositories import SUITE, Key, make_deb, publish_apt, serving
from tests.support.site import Crash, Site

SHOWN = ("thread apply all bt full", "info sharedlibrary", "p worker_number")


def gathered(site: Site, crash: Crash, out: Path, *options: str) -> Path:
    assert main([str(crash.core), "--root", str(site.root), "-o", str(out), "--no-nice", *options]) == 0
    return out


@pytest.fixture(scope="module")
def light(site: Site, crash: Crash, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The crash without the distribution's files."""
    return gathered(site, crash, tmp_path_factory.mktemp("light") / "light.corebox", "--light")


@pytest.fixture(scope="module")
def repository(site: Site, light: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The packages that the light bundle names, made again of what the site has installed; no list of contents."""
    folder = tmp_path_factory.mktemp("repository")
    key = Key(folder)
    for name, version in {(entry.package, entry.version) for entry in read_manifest(light).left_out}:
        assert name is not None
        assert version is not None
        make_deb(folder / "pool", name, version, repacked(site, name, folder / "trees" / name))
    publish_apt(folder, key, {})
    with pytest.MonkeyPatch.context() as patch, serving(folder) as server:
        patch.setenv("COREBOX_KEYRINGS", str(key.public))
        yield f"{server.url}/{SUITE}"


def repacked(site: Site, package: str, tree: Path) -> Path:
    """The files of a package as they lie in the site, at the paths that its list has."""
    info = site.root / "var/lib/dpkg/info"
    listed = next(path for path in (info / f"{package}.list", info / f"{package}:amd64.list") if path.exists())
    for name in listed.read_text().split("\n"):
        source, target = site.root / name[1:], tree / name[1:]
        if name and (source.is_symlink() or source.is_file()):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
    return tree


def without_origins(manifest: Manifest) -> Manifest:
    return manifest._replace(files=tuple(entry._replace(origin=None) for entry in manifest.files))


def test_a_light_bundle_comes_back_as_the_full_one(
    site: Site, crash: Crash, light: Path, repository: str, lab: Lab, tmp_path: Path
) -> None:
    full = gathered(site, crash, tmp_path / "full.corebox")
    assert light.stat().st_size < full.stat().st_size / 4
    whole = tmp_path / "whole.corebox"
    lab.done("recover", light, "--from", repository, "-o", whole)
    assert verify_bundle(whole).ok
    assert without_origins(read_manifest(whole)) == read_manifest(full)
    found = {entry.path: entry.origin for entry in read_manifest(whole).files if entry.origin}
    assert found.keys() == {entry.path for entry in read_manifest(light).left_out}
    assert {origin.place for origin in found.values()} == {repository}
    ours, theirs = (lab.gdb(path, "bubblewrap", *SHOWN).output for path in (full, whole))
    assert "compare" in ours
    assert theirs.splitlines()[-60:] == ours.splitlines()[-60:]
    roots = [layers(lab, path) for path in (full, whole)]
    assert roots[0] == roots[1], "the image has the same root"


def layers(lab: Lab, bundle: Path) -> list[str]:
    """The digests of the layers with the crash's files."""
    built = json.loads(lab.done("build", bundle, "--no-load", "--json").output)
    return [layer["digest"] for layer in built["layers"] if layer["kind"] in ("system", "vendor")]


def test_a_light_bundle_says_what_completes_it(site: Site, light: Path, lab: Lab) -> None:
    shown = lab.gdb(light, "bubblewrap", "bt")
    told = shown.output + shown.errors
    assert f"--from debian:{site.suite} -o complete.corebox" in told
    assert "libc" in told


def test_a_light_and_slim_bundle_has_less_than_a_megabyte_and_shows_the_same(
    site: Site, crash: Crash, lab: Lab, tmp_path: Path
) -> None:
    shows_the_same(lab, tmp_path, [crash.core, "--root", site.root])


def test_python_with_numpy_too(site: Site, lab: Lab, tmp_path: Path) -> None:
    shown = shows_the_same(lab, tmp_path, [site.crash_numpy().core, "--root", site.root])
    assert [each["function"] for each in shown["threads"][0]["python"]][:2] == ["string_at", "weigh"]
    assert shown["threads"][1]["python"]


def test_node_too(machine: None, lab: Lab, tmp_path: Path) -> None:
    """The source is long, so that what tells a line of its end is far from its beginning."""
    comments = "".join(
        f"// comment {number} is part of the source, which V8 keeps as one text\n" for number in range(1000)
    )
    heap = "globalThis.all = Array.from({length: 200000}, (_, id) => ({id, name: `order ${id}`}));\n"
    source = (FOLDER / "javascript" / "shop.js").read_text()
    (tmp_path / "shop.js").write_text(heap + comments + source)
    run_to_its_core(tmp_path, "node shop.js interpreted")
    shown = shows_the_same(lab, tmp_path, [tmp_path / "core"])
    weight = next(each for each in shown["threads"][0]["frames"] if each["function"] == "weightOf")
    assert weight["line"] == 1001 + 1 + source[: source.index("process.abort")].count("\n")


def test_redis_too(machine: None, lab: Lab, tmp_path: Path) -> None:
    fill = "until redis-cli -s ./socket DEBUG POPULATE 100000; do sleep 0.2; done"
    server = "redis-server --port 0 --unixsocket ./socket --enable-debug-command yes --save ''"
    run_to_its_core(tmp_path, f"{server} & {fill}; kill -ABRT $!; wait")
    shows_the_same(lab, tmp_path, [tmp_path / "core"])


def run_to_its_core(folder: Path, command: str) -> None:
    subprocess.run(["sh", "-c", f"ulimit -c unlimited; {command}"], cwd=folder, check=False, capture_output=True)


def shows_the_same(lab: Lab, folder: Path, given: list[object]) -> Any:
    """Compare a full bundle and a small one that was completed; give the report."""
    full, small, whole = (folder / f"{name}.corebox" for name in ("full", "small", "whole"))
    for out, options in ((full, []), (small, ["--light", "--slim"])):
        assert main([str(each) for each in (*given, "-o", out, "--no-nice", *options)]) == 0
    assert small.stat().st_size < 1000000
    lab.done("recover", small, "--from", full, "-o", whole)
    ours, theirs = (
        lab.done("report", path, "--engine", "bubblewrap", "--format", "json").json for path in (full, whole)
    )
    assert len(ours["threads"][0]["frames"]) > 2
    for part in ("threads", "registers", "signature", "fault", "why"):
        assert theirs[part] == ours[part], part
    sessions = [lab.gdb(path, "bubblewrap", *SHOWN[:2]).output.splitlines() for path in (full, whole)]
    assert sessions[1][-200:] == sessions[0][-200:]
    roots = [layers(lab, path) for path in (full, whole)]
    assert roots[0] == roots[1], "the image has the same root"
    return ours


def test_what_the_vendor_knows_is_left_out(site: Site, crash: Crash, lab: Lab, tmp_path: Path) -> None:
    release = site.root / "opt/acme"
    known = tmp_path / "known.txt"
    lab.done("known", release, "-o", known)
    light = gathered(site, crash, tmp_path / "light.corebox", "--known", str(known))
    names = {entry.path for entry in read_manifest(light).left_out}
    assert "/opt/acme/bin/pipeline" in names
    assert all(name.startswith("/opt/acme/") for name in names)
    whole = tmp_path / "whole.corebox"
    lab.done("recover", light, "--from", release, "-o", whole)
    full = read_manifest(gathered(site, crash, tmp_path / "full.corebox"))
    assert without_origins(read_manifest(whole)) == full
