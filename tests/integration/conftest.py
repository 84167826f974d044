"""What the integration tests share: an engine, two customer sites, and their bundles, each made once."""

import os
import resource
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from corebox.gather.zipapp import make_zipapp
from corebox.store.store import Store
from tests.support.bench import Bench, made_bench
from tests.support.crashes import Program, build_program
from tests.support.docker import running_engine
from tests.support.images import put_random_image
from tests.support.lab import Lab
from tests.support.podman import podman_service
from tests.support.programs import python36
from tests.support.registry import Registry, running, write_htpasswd
from tests.support.shared import locked
from tests.support.site import Crash, Site, gather_with

SUITES = ("bullseye", "trixie")  # glibc 2.31 and 2.41; the machine's own is between them
ENGINES = ("bubblewrap", "docker")


@pytest.fixture(scope="session", autouse=True)
def machine() -> None:
    """Stop early, with the command that repairs the machine."""
    pattern = Path("/proc/sys/kernel/core_pattern").read_text().strip()
    assert pattern == "core", f"cores go to {pattern!r} here; run: sysctl kernel.core_pattern=core"
    assert os.geteuid() == 0, "the integration tests crash programs in chroots: run them as root"
    for program in ("bwrap", "mmdebstrap", "docker", "gdb", "zstd"):
        assert shutil.which(program), f"{program} is missing; run: make setup"
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    # A shell's background jobs ignore Ctrl-C, and so would all that the tests start and interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def docker(machine: None) -> Iterator[None]:
    """A running Docker Engine."""
    with running_engine():
        yield


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    """Each engine in turn."""
    if request.param == "docker":
        request.getfixturevalue("docker")
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def podman(tmp_path_factory: pytest.TempPathFactory, machine: None) -> Iterator[str]:
    """The address of a running Podman."""
    with podman_service(tmp_path_factory.mktemp("podman")) as address:
        yield address


@pytest.fixture(params=[*ENGINES, "podman"])
def any_engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each engine in turn, Podman too, which is slower than the others: for a test of each kind."""
    if request.param == "docker":
        request.getfixturevalue("docker")
    if request.param == "podman":
        monkeypatch.setenv("CONTAINER_HOST", request.getfixturevalue("podman"))
    name: str = request.param
    return name


@pytest.fixture(scope="session", params=SUITES)
def site(request: pytest.FixtureRequest, machine: None) -> Site:
    """Each customer's site in turn; the cores of earlier runs go."""
    found = Site(request.param)
    found.clean()
    return found


@pytest.fixture(scope="session")
def zipapp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The gatherer as one file."""
    path = tmp_path_factory.mktemp("zipapp") / "corebox-gather.pyz"
    make_zipapp(str(path))
    return path


@pytest.fixture(scope="session")
def crash(site: Site) -> Crash:
    """The C++ program, crashed in the site."""
    return site.crash_pipeline()


@pytest.fixture(scope="session")
def bundle(site: Site, crash: Crash, zipapp: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of that crash, gathered inside the site with the site's own Python."""
    out = tmp_path_factory.mktemp(site.suite) / "pipeline.corebox"
    assert site.gather_inside(crash, zipapp, out) == 0
    return out


@pytest.fixture(scope="session")
def second_bundle(site: Site, crash: Crash, zipapp: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another crash of the very same release."""
    again = site.crash(crash.executable, crash.executable)
    out = tmp_path_factory.mktemp(site.suite) / "second.corebox"
    assert site.gather_inside(again, zipapp, out) == 0
    return out


@pytest.fixture(scope="session")
def debug_package(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The libc6-dbg of the site's distribution, as its mirror has it."""
    folder = tmp_path_factory.mktemp("package")
    with locked(site.suite):
        site.run("cd /tmp && rm -f libc6-dbg*.deb && apt-get update -q && apt-get download -q libc6-dbg")
        (package,) = (site.root / "tmp").glob("libc6-dbg*.deb")
        return Path(shutil.move(package, folder))


@pytest.fixture(scope="session")
def bundle36(site: Site, crash: Crash, zipapp: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same crash, gathered from outside with Python 3.6."""
    out = tmp_path_factory.mktemp(site.suite) / "pipeline36.corebox"
    assert gather_with(python36(), zipapp, crash, site, out) == 0
    return out


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """The vendor's desk, shared by all tests that only look."""
    return Lab(tmp_path_factory.mktemp("lab") / "home")


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry with a password."""
    folder = tmp_path_factory.mktemp("guarded")
    with running(Registry(folder / "registry", htpasswd=write_htpasswd(folder))) as started:
        yield started


@pytest.fixture
def stocked(empty_lab: Lab) -> Lab:
    """A desk with an image called ``random:1``."""
    put_random_image(Store(empty_lab.home), 1 << 20)
    return empty_lab


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that any user can enter and write to, which pytest's own are not."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        yield folder


@pytest.fixture
def empty_lab(tmp_path: Path) -> Lab:
    """A desk with an empty store."""
    return Lab(tmp_path / "home")


@pytest.fixture(scope="session")
def toolbox_alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the toolbox, which takes seconds to make."""
    lab = Lab(tmp_path_factory.mktemp("toolbox") / "home")
    lab.done("toolbox", "build")
    return lab.home


@pytest.fixture
def fresh_lab(tmp_path: Path, toolbox_alone: Path) -> Lab:
    """A desk whose store has the toolbox and nothing else."""
    return Lab(shutil.copytree(toolbox_alone, tmp_path / "home", symlinks=True))


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """A program that crashes in a library."""
    return build_program(tmp_path / "app")


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory, machine: None) -> Iterator[Bench]:
    """What the tests of faults disturb."""
    with made_bench(tmp_path_factory.mktemp("bench")) as made:
        yield made
