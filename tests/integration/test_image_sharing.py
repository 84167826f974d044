"""What images share, byte by byte, and what they give back."""

import hashlib
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.lab import Lab
from tests.support.site import Crash, Site


@pytest.fixture(scope="module")
def other_bundle(site: Site, zipapp: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A crash of another program on the same distribution."""
    out = tmp_path_factory.mktemp(site.suite) / "other.corebox"
    site.gather_inside(site.crash_numpy(), zipapp, out)
    return out


def sizes(built: Any, reused: bool, *kinds: str) -> int:
    """Bytes of the layers of these kinds that were reused, or written."""
    return sum(layer["size"] for layer in built["layers"] if layer["reused"] is reused and layer["kind"] in kinds)


def stored(lab: Lab) -> int:
    """Bytes of all blobs in the store."""
    return sum(path.stat().st_size for path in (lab.home / "oci" / "blobs" / "sha256").iterdir())


CONFIGURATION = 20_000  # bytes of an image's manifest and configuration, at most


def test_a_second_crash_of_a_release_writes_its_core_alone(fresh_lab: Lab, bundle: Path, second_bundle: Path) -> None:
    first, before = fresh_lab.build(bundle), stored(fresh_lab)
    second, after = fresh_lab.build(second_bundle), stored(fresh_lab)
    written = [layer["kind"] for layer in second["layers"] if not layer["reused"]]
    assert written == ["core", "crash"]
    core = sizes(second, False, "core", "crash")
    assert core < after - before < core + CONFIGURATION
    assert [layer["digest"] for layer in first["layers"]][:-2] == [layer["digest"] for layer in second["layers"]][:-2]


def test_another_program_shares_toolbox_and_most_of_the_system(
    fresh_lab: Lab, bundle: Path, other_bundle: Path
) -> None:
    first, before = fresh_lab.build(bundle), stored(fresh_lab)
    other, after = fresh_lab.build(other_bundle), stored(fresh_lab)
    new = sizes(other, False, "toolbox", "system", "program", "core", "crash")
    assert new < after - before < new + CONFIGURATION
    assert sizes(other, True, "toolbox") == sizes(first, True, "toolbox")
    libc = max(layer["size"] for layer in first["layers"] if layer["kind"] == "system")
    assert sizes(other, True, "system") >= 1_500_000, "libc at least"
    assert libc >= 1_500_000
    tree = fresh_lab.done("images", "--tree").output
    assert "shared by 2 images" in tree


LOAD_SHORT = """
import sys
from pathlib import Path
from corebox.actions.load import archives
from corebox.engine.choose import find_daemon
from corebox.store.store import Store
store, engine = Store(Path(sys.argv[1])), find_daemon()
short, _ = archives(engine, store, store.find(sys.argv[2]))
engine.load(short)  # an engine that refuses it is sent all
print(len(short))
"""


@pytest.mark.usefixtures("docker")
def test_loading_a_second_crash_moves_its_core_alone(fresh_lab: Lab, bundle: Path, second_bundle: Path) -> None:
    first, second = ("corebox-test:first", "corebox-test:second")
    try:
        fresh_lab.done("build", bundle, "--load", "-t", first)
        image = fresh_lab.build(second_bundle, "-t", second)
        core = sizes(image, False, "core", "crash")
        moved = int(subprocess.check_output([sys.executable, "-c", LOAD_SHORT, fresh_lab.home, second]))
        assert core < moved < core + 2 * CONFIGURATION
        shown = subprocess.check_output(["docker", "images", "--no-trunc", "-q", second], text=True)
        assert shown.strip() == image["image_id"]
    finally:
        subprocess.run(["docker", "rmi", "-f", first, second], check=False)


def test_core_and_bundle_come_back_bit_for_bit(lab: Lab, bundle: Path, crash: Crash, tmp_path: Path) -> None:
    image = lab.build(bundle)
    core, again = tmp_path / "out.core", tmp_path / "out.corebox"
    lab.done("export", image["tags"][0], "--core", core, "--bundle", again)
    assert digest_of(core) == digest_of(crash.core)
    assert core.stat().st_blocks <= crash.core.stat().st_blocks
    assert lab.build(again)["image_id"] == image["image_id"]
    assert lab.done("verify", again, "--json").json["identity"] == image["identity"]


def digest_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def start(lab: Lab, *arguments: object) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        ["env", f"COREBOX_HOME={lab.home}", sys.executable, "-m", "corebox", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_two_builds_at_once_do_no_harm(fresh_lab: Lab, bundle: Path, second_bundle: Path) -> None:
    processes = [start(fresh_lab, "build", "--no-load", each) for each in (bundle, second_bundle, bundle)]
    processes.append(start(fresh_lab, "prune"))
    for process in processes:
        output, errors = process.communicate(timeout=120)
        assert process.returncode == 0, output + errors
    assert len(fresh_lab.done("images", "--json").json["images"]) == 2
    for each in (bundle, second_bundle):
        assert "compare (left=" in fresh_lab.gdb(each, "bubblewrap", "bt").output


@pytest.mark.parametrize("delay", [0.3, 0.6, 1.2])
def test_a_killed_build_leaves_nothing_that_the_next_does_not_clean(fresh_lab: Lab, bundle: Path, delay: float) -> None:
    process = start(fresh_lab, "build", "--no-load", bundle)
    time.sleep(delay)
    process.kill()
    process.communicate()
    fresh_lab.build(bundle)
    fresh_lab.done("prune")
    assert list(fresh_lab.home.glob("tmp/*/*")) == []
    (image,) = fresh_lab.done("images", "--json").json["images"]
    blobs = {path.name for path in (fresh_lab.home / "oci" / "blobs" / "sha256").iterdir()}
    assert len(blobs) == len(image["layers"]) + 2, "layers, config and manifest"


def test_prune_and_rm_free_what_nobody_needs(fresh_lab: Lab, bundle: Path, second_bundle: Path) -> None:
    first, second = fresh_lab.build(bundle), fresh_lab.build(second_bundle)
    fresh_lab.done("rm", second["tags"][0])
    blobs = fresh_lab.home / "oci" / "blobs" / "sha256"
    assert not (blobs / second["layers"][-1]["digest"][7:]).exists()
    assert (blobs / first["layers"][-1]["digest"][7:]).exists()
    assert fresh_lab.done("prune", "--older-than", "1h").output.endswith("freed 0 B\n")
    shown = fresh_lab.done("prune", "--limit", "1M", "--dry-run").output
    assert f"would remove {first['tags'][0]}" in shown
    assert first["image_id"] == fresh_lab.done("images", "--json").json["images"][0]["image_id"]
    removed = shown.replace("would remove", "removed").replace("would free", "freed")
    assert fresh_lab.done("prune", "--limit", "1M").output == removed
    assert fresh_lab.done("images", "--json").json["images"] == []
