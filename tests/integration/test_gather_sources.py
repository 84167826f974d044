"""Every place that a core can come from: compressed files, systemd's store, living processes, containers."""

import io
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from corebox.bundle.manifest import Manifest
from corebox.gather.cli import main
from corebox.unbundle.read import BundleReader, read_manifest
from corebox.unbundle.verify import verify_bundle
from tests.support.crashes import Program, build_library
from tests.support.handler import bundle_of, handler_in
from tests.support.systemd import SERVICE

PACKERS = {"zst": ["zstd", "-q"], "lz4": ["lz4", "-q", "-m"], "xz": ["xz", "-1", "-k"], "gz": ["gzip", "-1", "-k"]}


def gather(*words: str, out: Path) -> tuple[int, Manifest]:
    status = main([*words, "-o", str(out), "--no-nice"])
    return status, read_manifest(out)


def core_digest(bundle: Path, into: Path) -> str:
    with BundleReader(bundle) as reader:
        return reader.unpack(into).digests["core.digests"]


def test_compressed_cores_are_the_same_cores(program: Program, tmp_path: Path) -> None:
    core = program.crash()
    gather(str(core), out=tmp_path / "plain.corebox")
    plain = core_digest(tmp_path / "plain.corebox", tmp_path / "plain")
    for suffix, command in PACKERS.items():
        subprocess.run([*command, core.name], cwd=core.parent, check=True, stdin=subprocess.DEVNULL)
        out = tmp_path / f"{suffix}.corebox"
        status, _ = gather(f"{core}.{suffix}", out=out)
        assert status == 0
        assert core_digest(out, tmp_path / suffix) == plain
    assert not list(tmp_path.glob(".corebox*"))


@pytest.mark.parametrize("suffix", PACKERS)
def test_cut_compressed_core_is_used_as_far_as_it_goes(program: Program, tmp_path: Path, suffix: str) -> None:
    core = program.crash()
    with core.open("r+b") as file:  # random bytes at the end, so that half the archive is not half a kilobyte
        file.seek(0, os.SEEK_END)
        file.write(os.urandom(16 << 20))
    subprocess.run([*PACKERS[suffix], core.name], cwd=core.parent, check=True, stdin=subprocess.DEVNULL)
    packed = Path(f"{core}.{suffix}")
    os.truncate(packed, packed.stat().st_size - (1 << 21))
    status, manifest = gather(str(packed), out=tmp_path / "x.corebox")
    assert status == 0  # the headers promise nothing of the random bytes
    assert manifest.core.size < core.stat().st_size


@pytest.fixture(scope="session")
def systemd_coredump(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Debian's systemd-coredump, unpacked, not installed."""
    folder = tmp_path_factory.mktemp("systemd")
    subprocess.run(["apt-get", "download", "-q", "systemd-coredump"], cwd=folder, check=True, capture_output=True)
    (package,) = folder.glob("*.deb")
    subprocess.run(["dpkg", "-x", str(package), str(folder)], check=True)
    return folder / "lib/systemd/systemd-coredump"


def test_real_store_of_systemd(program: Program, systemd_coredump: Path, tmp_path: Path) -> None:
    core = program.crash()
    store = tmp_path / "store"
    store.mkdir()
    with program.wait() as alive:  # systemd reads /proc/PID of the dying process
        script = (
            'mkdir -p /var/lib/systemd/coredump; mount --bind "$1" /var/lib/systemd/coredump; '
            'mount -t tmpfs none /run; shift; exec "$@"'
        )
        words = [sys.executable, "-c", SERVICE, str(systemd_coredump), str(core), str(alive.pid)]
        command = ["unshare", "--mount", "sh", "-c", script, "sh", str(store), *words]
        subprocess.run(command, check=True, capture_output=True)
        alive.kill()
    (stored,) = store.iterdir()
    assert stored.name.startswith("core.app.0.")
    assert stored.name.endswith(f".{alive.pid}.1700000000000000.zst")
    assert os.getxattr(stored, "user.coredump.exe") == os.fsencode(program.executable)
    for which in ("newest", "app", str(alive.pid), str(program.executable)):
        status, manifest = gather("--coredumpctl", which, "--coredump-dir", str(store), out=tmp_path / "x.corebox")
        assert status == 0
        assert manifest.process.executable == str(program.executable)
    status, _ = gather(str(stored), out=tmp_path / "y.corebox")
    assert status == 0


def test_living_process_with_deleted_and_replaced_files_is_exact(program: Program, tmp_path: Path) -> None:
    with program.wait() as alive:
        build_library(program.library, 2)
        program.executable.unlink()
        status, manifest = gather("--pid", str(alive.pid), out=tmp_path / "x.corebox")
        assert alive.poll() is None
        alive.kill()
    assert {module.path: module.verdict for module in manifest.modules}[str(program.library)] == "verified"
    assert status == 0
    assert verify_bundle(tmp_path / "x.corebox").ok
    assert manifest.process.pid == alive.pid


def test_root_of_a_process_in_another_mount_namespace(program: Program, tmp_path: Path) -> None:
    """The program is there only inside the namespace."""
    inside = tmp_path / "hidden"
    inside.mkdir()
    script = (
        'mount -t tmpfs none "$1"; cp -r "$2/." "$1"; cd "$1"; ulimit -c unlimited; ./app "$1/libfail.so"; '
        'cp core* "$3"; echo done; exec sleep 600'
    )
    words = ["unshare", "--mount", "sh", "-c", script, "sh", str(inside), str(program.folder), str(tmp_path / "core")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as keeper:
        assert keeper.stdout
        assert "done" in iter(keeper.stdout.readline, "").__next__() or "done" in keeper.stdout.readline()
        core = str(tmp_path / "core")
        status, _ = gather(core, out=tmp_path / "outside.corebox")
        assert status == 1
        status, manifest = gather(core, "--root", f"/proc/{keeper.pid}/root", out=tmp_path / "x.corebox")
        keeper.kill()
    assert status == 0
    assert manifest.process.executable == str(inside / "app")


def write_image(archive: Path, program: Program) -> None:
    """The root of a container: the program and the libraries that it needs."""
    with tarfile.open(archive, "w") as tar:
        tar.add(program.executable, "opt/app")
        tar.add(program.library, "opt/libfail.so")
        for name in ("lib64/ld-linux-x86-64.so.2", "lib/x86_64-linux-gnu/libc.so.6"):
            tar.add(os.path.realpath("/" + name), name)
        for name in ("crash", "proc", "dev", "sys", "tmp"):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o777
            tar.addfile(entry, io.BytesIO())


@pytest.fixture
def image(docker: None, program: Program, tmp_path: Path) -> Iterator[str]:
    """An image that holds the program and the three libraries that it needs, at another path than here."""
    archive = tmp_path / "image.tar"
    write_image(archive, program)
    name = f"corebox-test-crash-{os.getpid()}"
    subprocess.run(["docker", "import", str(archive), name], check=True, capture_output=True)
    yield name
    subprocess.run(["docker", "rmi", "-f", name], check=True, capture_output=True)


@pytest.mark.parametrize("state", ["stay", "gone"])
def test_container_that_runs_or_has_stopped(image: str, tmp_path: Path, state: str) -> None:
    name = f"corebox-test-{state}-{os.getpid()}"
    options = ["--network", "none", "--ulimit", "core=-1", "-w", "/crash", "--name", name, "-d"]
    subprocess.run(
        ["docker", "run", *options, image, "/opt/app", "/opt/libfail.so", state], check=True, capture_output=True
    )
    try:
        core = tmp_path / "core"
        for _ in range(100):
            listing = subprocess.run(
                ["docker", "cp", f"{name}:/crash/", str(tmp_path)], check=True, capture_output=True
            )
            assert listing.returncode == 0
            found = list((tmp_path / "crash").glob("core*"))
            if found and found[0].stat().st_size:
                found[0].rename(core)
                break
            time.sleep(0.1)
        status, manifest = gather(str(core), "--container", name, out=tmp_path / "x.corebox")
    finally:
        subprocess.run(["docker", "rm", "-f", name], check=True, capture_output=True)
    assert status == 0
    assert manifest.process.executable == "/opt/app"
    assert verify_bundle(tmp_path / "x.corebox").ok
    assert not list(tmp_path.glob(".corebox*"))


def test_stopped_container_of_podman(program: Program, tmp_path: Path) -> None:
    """Made, not run: what podman runs with differs from machine to machine, what it exports does not."""
    archive, root = tmp_path / "image.tar", tmp_path / "root"
    write_image(archive, program)
    root.mkdir()
    subprocess.run(["tar", "-xf", str(archive), "-C", str(root)], check=True)
    words = ["chroot", str(root), "/opt/app", "/opt/libfail.so"]
    subprocess.run(words, check=False, capture_output=True)
    (core,) = root.glob("core*")
    name = f"corebox-test-podman-{os.getpid()}"
    subprocess.run(["podman", "import", "-q", str(archive), name], check=True, capture_output=True)
    try:
        subprocess.run(["podman", "create", "--network", "none", "--name", name, name, "/opt/app"], check=True)
        status, manifest = gather(str(core), "--container", name, out=tmp_path / "x.corebox")
    finally:
        subprocess.run(["podman", "rm", "-f", name], check=False, capture_output=True)
        subprocess.run(["podman", "rmi", "-f", name], check=True, capture_output=True)
    assert status == 0
    assert manifest.process.executable == "/opt/app"


@pytest.mark.alone
def test_handler_finds_files_that_are_deleted_while_it_works(program: Program, tmp_path: Path) -> None:
    """As in an upgrade under a crash: the name is gone, the dying process still maps the file."""
    words = [str(program.executable), str(program.library), "stay"]  # until its child's core is there
    with subprocess.Popen(words, cwd=program.folder, stdout=subprocess.DEVNULL) as parent:
        wait_for_core(program.folder)
        program.library.unlink()
        with handler_in(tmp_path / "crashes") as place:
            parent.send_signal(signal.SIGABRT)
            bundle = bundle_of(place, parent.pid)
    verification = verify_bundle(bundle)
    assert verification.ok
    assert str(program.library) in [proof.path for proof in verification.modules]


def wait_for_core(folder: Path) -> Path:
    """The core that appears in the folder, when it is complete."""
    size = -1
    for _ in range(200):
        for core in folder.glob("core*"):
            if core.stat().st_size == size > 0:
                return core
            size = core.stat().st_size
        time.sleep(0.05)
    raise AssertionError(f"no core in {folder}")
