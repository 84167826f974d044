"""The kernel calls the crash handler: each crash is told, whatever the program, the container or the storm."""

import os
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from corebox.gather.cli import main
from corebox.unbundle.read import read_manifest
from corebox.unbundle.verify import verify_bundle
from tests.support.crashes import Program
from tests.support.handler import bundle_of, crash, handler_in, log_of, outcomes
from tests.support.lab import Lab
from tests.support.programs import FOLDER

pytestmark = pytest.mark.alone

NOBODY = 65534
PROGRAMS = 20
CRASHES = 1000


@pytest.fixture
def handler(tmp_path: Path) -> Iterator[Path]:
    """A handler that is turned on."""
    with handler_in(tmp_path / "crashes") as place:
        yield place


def compiled(source: str, out: Path, *flags: str) -> Path:
    subprocess.run(["gcc", "-g", "-O0", *flags, "-o", out, FOLDER / "handler" / source], check=True)
    return out


def test_the_kernel_calls_the_handler_for_each_crash(program: Program, handler: Path) -> None:
    """The bundles have what the kernel knew; old ones go."""
    main(["--install-handler", str(handler), "--max-bundles", "2"])
    bundles = []
    for _ in range(3):
        pid = crash(program.executable, program.library)
        bundle = bundle_of(handler, pid)
        bundles.append(bundle)
        assert verify_bundle(bundle).ok
        manifest = read_manifest(bundle)
        assert manifest.process.pid == pid
        assert manifest.site.kernel == os.uname().release
        runtime = manifest.runtime
        assert runtime
        assert [(thread.tid, thread.name) for thread in runtime.threads] == [(pid, "app")]
        assert {limit.name for limit in runtime.limits} >= {"Max open files", "Max stack size"}
        assert {files.kind for files in runtime.open_files} >= {"device"}
        time.sleep(1.1)  # bundles are ordered by the seconds of their crashes
    assert [bundle.exists() for bundle in bundles] == [False, True, True]
    assert not list(handler.glob("app-*.core"))
    assert not list(program.folder.glob("core*"))


def test_the_raw_core_is_kept_when_the_handler_cannot_even_start(program: Program, handler: Path) -> None:
    (handler / "corebox-gather.pyz").write_bytes(b"PK damaged")
    pid = crash(program.executable, program.library)
    assert "kept the raw core app-" in outcomes(handler, pid)[pid]
    (kept,) = handler.glob(f"app-{pid}-*.core")
    out = handler.parent / "x.corebox"
    assert main([str(kept), "-o", str(out), "--no-nice"]) == 0
    assert verify_bundle(out).ok


@pytest.mark.parametrize("name", ["-rf", "100% a  b", "two\nlines: x"])
def test_odd_names_of_programs(program: Program, handler: Path, name: str) -> None:
    odd = Path(shutil.copy(program.executable, program.folder / name))
    bundle = bundle_of(handler, crash(odd, program.library))
    assert verify_bundle(bundle).ok
    assert read_manifest(bundle).process.executable == str(odd)


def test_more_mapped_files_than_descriptors(tmp_path: Path, handler: Path) -> None:
    """The kernel starts the handler with 1,024 descriptors."""
    many = tmp_path / "many"
    many.mkdir()
    library = Path("/lib/x86_64-linux-gnu/libm.so.6").read_bytes()
    for number in range(1500):
        (many / f"lib{number}.so").write_bytes(library[:8192])
    bundle = bundle_of(handler, crash(compiled("mappings.c", tmp_path / "mappings"), many))
    assert len([module for module in read_manifest(bundle).modules if str(many) in module.path]) == 1500


def test_a_program_of_20_kilobytes_and_20_gigabytes_of_holes(program: Program, handler: Path) -> None:
    os.truncate(program.executable, 20 << 30)
    bundle = bundle_of(handler, crash(program.executable, program.library))
    (executable,) = [module for module in read_manifest(bundle).modules if module.executable]
    assert executable.verdict == "missing"
    assert "sparse" in (executable.detail or "")


@pytest.mark.parametrize("namespace", [False, True], ids=["nobody", "root of a user namespace"])
def test_a_stranger_gets_no_file_that_he_could_not_read(handler: Path, namespace: bool) -> None:
    """In a namespace of its own the process is root, and its core says so."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        place.chmod(0o755)
        secret = place / "secret" / "libsecret.so"
        secret.parent.mkdir(mode=0o700)
        shutil.copy("/lib/x86_64-linux-gnu/libm.so.6", secret)
        forged = compiled("forged.c", place / "forged")
        pid = crash(forged, secret, *(["namespace"] if namespace else []), user=NOBODY)
        manifest = read_manifest(bundle_of(handler, pid))
    assert manifest.process.uid == (0 if namespace else NOBODY)
    assert str(forged) in [file.path for file in manifest.files]
    assert str(secret) not in [file.path for file in manifest.files]


def test_a_crash_in_a_container_has_its_files_and_its_image(handler: Path, docker: None, tmp_path: Path) -> None:
    """The container is gone when the crash is over. What the kernel knew is in info's output."""
    static = tmp_path / "root" / "contained"
    static.parent.mkdir()
    compiled("mappings.c", static, "-static")
    archive = tmp_path / "root.tar"
    subprocess.run(["tar", "-C", static.parent, "-cf", archive, static.name], check=True)
    image = "corebox-handler-test:1"
    subprocess.run(["docker", "import", archive, image], check=True, capture_output=True)
    name = f"corebox-handler-{os.getpid()}"
    command = ["docker", "run", "--rm", "--network=none", "--name", name, image, "/contained", "/"]
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        assert done.returncode == 139, done.stderr
    finally:
        subprocess.run(["docker", "rmi", "-f", image], check=True, capture_output=True)
    for _ in range(600):
        if any("contained (process " in line for line in log_of(handler)):
            break
        time.sleep(0.1)
    (bundle,) = handler.glob("contained-*.corebox")
    assert verify_bundle(bundle).ok
    manifest = read_manifest(bundle)
    assert manifest.process.pid == 1
    runtime = manifest.runtime
    assert runtime
    assert runtime.threads[0].tid == 1
    assert runtime.container
    assert runtime.container.image == image
    lab = Lab(tmp_path / "home")
    assert f"image {image}" in lab.done("info", str(bundle)).output


def test_a_storm_of_crashes(tmp_path: Path) -> None:
    """1,000 crashes of 20 programs at once: each is in the log, the limits hold, other programs run on."""
    programs = []
    source = compiled("mappings.c", tmp_path / "mappings")
    for number in range(PROGRAMS):
        programs.append(shutil.copy(source, tmp_path / f"program{number}"))
    with handler_in(tmp_path / "crashes", "--per-hour", "1", "--max-bundles", "15") as place:
        crashed = [
            subprocess.Popen([programs[number % PROGRAMS], "/nonexistent"], cwd="/") for number in range(CRASHES)
        ]
        assert all(each.wait() < 0 for each in crashed)
        said = outcomes(place, *(each.pid for each in crashed))
    kinds = Counter("counted" if "only counted" in text else text.partition(": ")[2] for text in said.values())
    assert kinds == {"exact": PROGRAMS, "counted": CRASHES - PROGRAMS}
    assert len(list(place.glob("program*.corebox"))) <= 15
    assert not list(place.glob("program*.core"))
    counts = "".join(path.read_text() for path in (place / "hours").glob("*.count"))
    assert counts.count("program") == CRASHES - PROGRAMS
