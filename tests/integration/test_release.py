"""The files of a release, made as a release makes them, up to the upload; each installed where nothing of ours is."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.crashes import build_program
from tests.support.lab import Lab
from tests.support.programs import REPOSITORY
from tests.support.site import cached_root

BIN = Path(sys.executable).parent
#: What the package depends on, in a root of each release of Debian that it is for.
NEEDED = {
    "bookworm": ("python3", "libpython3.11", "libarchive13", "bubblewrap", "libstdc++6"),
    "trixie": ("python3", "libpython3.13", "libarchive13t64", "bubblewrap", "libstdc++6"),
}
DOCUMENTS = (
    "/usr/share/man/man1/corebox-report.1.gz",
    "/usr/share/bash-completion/completions/corebox",
    "/usr/share/fish/vendor_completions.d/corebox.fish",
)


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All files, with the packages for the two Pythons that are tried here."""
    out = tmp_path_factory.mktemp("release") / "out"
    command = [REPOSITORY / "tools/release", out, BIN, cached_root("trixie", NEEDED["trixie"])]
    # The mode of a file that git checks out is the user's.
    done = subprocess.run(
        command, env={**os.environ, "COREBOX_PYTHONS": "3.11 3.13"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return out


@pytest.fixture(scope="module")
def crash(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("crash")
    core = build_program(folder / "app").crash()
    Lab(folder / "store").done("gather", core, "-o", folder / "x.corebox", "--no-nice")
    return folder / "x.corebox"


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """A root of Debian 12 of its own; the image is one of Debian 13."""
    copy = tmp_path / "root"
    subprocess.run(["cp", "-a", cached_root("bookworm", NEEDED["bookworm"]), copy], check=True)
    yield copy
    subprocess.run(["rm", "-rf", copy], check=True)


def inside(root: Path, crash: Path, *words: str) -> str:
    """Run in the root, whose sandbox is bubblewrap; there is no network."""
    command = ["bwrap", "--bind", str(root), "/", "--dev", "/dev", "--proc", "/proc", "--unshare-net", "--unshare-pid"]
    command += ["--ro-bind", str(crash), "/mnt/x.corebox", "--clearenv", "--setenv", "PATH", "/usr/bin:/bin"]
    command += ["--setenv", "HOME", "/root", "--setenv", "LC_ALL", "C.UTF-8", "--chdir", "/root", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def is_usable(root: Path, crash: Path) -> None:
    assert inside(root, crash, "corebox", "--version").startswith("corebox ")
    assert "fail in libfail.so" in inside(root, crash, "corebox", "report", "/mnt/x.corebox")
    for each in DOCUMENTS:
        assert (root / each[1:]).stat().st_size


def test_every_file_is_there_with_its_digest(released: Path) -> None:
    files = sorted(path.suffix for path in released.iterdir() if path.suffix != ".sha256")
    assert files == [".deb", ".gz", ".pyz", ".rpm", ".tar", ".whl"]
    for path in released.glob("*.sha256"):
        subprocess.run(["sha256sum", "--check", "--quiet", path.name], cwd=released, check=True)


def test_packages_are_installed_used_and_removed(released: Path, root: Path, crash: Path) -> None:
    """Both, one after the other. In this root rpm knows of nothing that ours depends on."""
    (package,) = released.glob("*.deb")
    subprocess.run(["cp", package, root / "root/corebox.deb"], check=True)
    subprocess.run(["chroot", root, "dpkg", "-i", "/root/corebox.deb"], check=True, capture_output=True)
    is_usable(root, crash)
    subprocess.run(["chroot", root, "dpkg", "--purge", "corebox"], check=True, capture_output=True)
    assert not (root / "usr/lib/corebox").exists()
    (package,) = released.glob("*.rpm")
    subprocess.run(["rpm", "--root", root, "--nodeps", "--install", package], check=True, capture_output=True)
    is_usable(root, crash)
    subprocess.run(["rpm", "--root", root, "--erase", "corebox"], check=True, capture_output=True)
    assert not (root / "usr/lib/corebox").exists()


def test_the_image_of_corebox_itself(released: Path, crash: Path, docker: None) -> None:
    """With a sandbox where the container may have one; what needs none works in every container."""
    (archive,) = released.glob("*-oci.tar")
    loaded = subprocess.run(["docker", "load", "-q", "-i", archive], check=True, capture_output=True, text=True).stdout
    image = loaded.split()[-1]
    try:
        run = ["docker", "run", "--rm", "--network=none", "--volume", f"{crash}:/work/x.corebox:ro"]
        unfiltered = [*run, "--security-opt", "seccomp=unconfined", image, "report", "x.corebox"]
        for command, expected in ((unfiltered, "fail in libfail.so"), ([*run, image, "info", "x.corebox"], "SIG")):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert (done.returncode, expected in done.stdout) == (0, True), done.stdout + done.stderr
    finally:
        subprocess.run(["docker", "rmi", "--force", image], check=True, capture_output=True)


def test_tools_of_pypi_install_the_wheel(released: Path, tmp_path: Path) -> None:
    (wheel,) = released.glob("*.whl")
    environment = {**os.environ, "UV_TOOL_DIR": str(tmp_path / "tools"), "UV_TOOL_BIN_DIR": str(tmp_path / "bin")}
    environment |= {"PIPX_HOME": str(tmp_path / "pipx"), "PIPX_DEFAULT_PYTHON": sys.executable}

    def run(*words: object) -> str:
        done = subprocess.run([*map(str, words)], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run(BIN / "uv", "tool", "install", "--python", sys.executable, wheel)
    assert run(tmp_path / "bin/corebox", "--version").startswith("corebox ")
    assert run(BIN / "uv", "tool", "run", "pipx", "run", "--spec", wheel, "corebox", "--version").startswith("corebox ")
