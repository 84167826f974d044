"""A customer's site: a Debian root with another C library than ours, in which real programs crash.

Roots are made once with mmdebstrap and kept.
"""

import contextlib
import hashlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support import programs
from tests.support.shared import CACHE, locked

PACKAGES = ("g++", "python3", "python3-numpy")
MAX_RUN_LENGTH = 3600  # seconds
UNLIMITED = "ulimit -c unlimited; "
_LATE = ("--aptopt=Acquire::Check-Valid-Until 0",)
# $ORIGIN in an rpath needs /proc; the mount is gone with its namespace.
_ENTER = 'mount -t proc proc "$0/proc" && exec chroot "$0" sh -c "$1"'


@dataclass(frozen=True)
class Crash:
    """A core inside a site, and the path of the program that left it, as the site sees it."""

    core: Path
    executable: str


class Site:
    """The root of one distribution release with some packages; ``suite`` is Debian's name for it."""

    def __init__(self, suite: str, packages: Sequence[str] = PACKAGES) -> None:
        self.suite = suite
        self.root = cached_root(suite, packages)

    def run(self, command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a shell command inside the site."""
        environment = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C.UTF-8", "HOME": "/root"}
        return subprocess.run(
            ["unshare", "--mount", "sh", "-c", _ENTER, str(self.root), command],
            env=environment,
            check=check,
            capture_output=True,
            text=True,
        )

    def put(self, source: Path, target: str) -> None:
        """Copy a file or folder of ours into the site."""
        place = self.root / target.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, place, dirs_exist_ok=True)
        else:
            shutil.copy(source, place)

    def clean(self) -> None:
        """Remove the cores that are older than any run of the tests, if another process does not at the same time."""
        for folder in (self.root / "var" / "crash").glob("*"):
            with contextlib.suppress(FileNotFoundError):
                if folder.stat().st_mtime < time.time() - MAX_RUN_LENGTH:
                    shutil.rmtree(folder)

    def crash(self, command: str, executable: str) -> Crash:
        """Run ``command`` in a folder of its own until it dies, and return its core."""
        crashes = self.root / "var" / "crash"
        crashes.mkdir(exist_ok=True)
        place = Path(tempfile.mkdtemp(dir=crashes))
        place.chmod(0o755)
        result = self.run(f"cd /var/crash/{place.name}; {UNLIMITED}exec {command}", check=False)
        cores = list(place.glob("core*"))
        assert len(cores) == 1, f"{command} left {cores}: {result.stderr}"
        return Crash(cores[0], executable)

    def _build(self, name: str, mark: str, command: str, note: str) -> None:
        """Build our program ``name`` with ``command``, unless the file ``note`` says that it was done for ``mark``."""
        built = self.root / note.lstrip("/")
        with locked(self.suite):
            if not built.exists() or built.read_text() != mark:
                self.put(programs.FOLDER / name, f"/usr/src/{name}")
                self.run(command)
                built.write_text(mark)

    def crash_faults(self, name: str) -> Crash:
        """Crash the program of tests/programs/faults in the way of this name, built when its source is new here."""
        words = ["g++ -g -std=c++17 -pthread", *programs.FAULTS_FLAGS, "-o /opt/faults /usr/src/faults/faults.cc"]
        source = programs.FOLDER / "faults"
        mark = " ".join(words) + hashlib.sha256((source / "faults.cc").read_bytes()).hexdigest()
        self._build("faults", mark, " ".join(words), "/opt/faults.built-from")
        return self.crash(f"/opt/faults {name}", "/opt/faults")

    def crash_pipeline(self) -> Crash:
        """Crash the C++ program of tests/programs/pipeline, built when its source is new here."""
        sources = programs.FOLDER / "pipeline"
        digest = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(sources.iterdir()))).hexdigest()
        self._build("pipeline", digest, "/usr/src/pipeline/build.sh /opt/acme", "/opt/acme/built-from")
        return self.crash("/opt/acme/bin/pipeline", "/opt/acme/bin/pipeline")

    def crash_numpy(self) -> Crash:
        """Crash a Python with numpy."""
        self.put(programs.FOLDER / "arrays", "/usr/src/arrays")
        return self.crash("python3 /usr/src/arrays/crash.py", "/usr/bin/python3")

    def gather_inside(self, crash: Crash, zipapp: Path, out: Path, arguments: Sequence[str] = ()) -> int:
        """Gather with the site's own Python and carry the bundle out; return the exit status."""
        core = "/" + str(crash.core.relative_to(self.root))
        place = Path(tempfile.mkdtemp(dir=self.root / "tmp"))
        shutil.copy(zipapp, place / "gather.pyz")
        words = ["python3", "gather.pyz", core, "-o", "out.corebox", *arguments]
        result = self.run(f"cd /tmp/{place.name}; {' '.join(words)}", check=False)
        assert result.returncode in (0, 1), result.stdout + result.stderr
        shutil.move(place / "out.corebox", out)
        shutil.rmtree(place)
        return result.returncode


def gather_with(python: str, zipapp: Path, crash: Crash, site: Site, out: Path) -> int:
    """Gather from outside, through ``--root``, with another Python; return the exit status."""
    command = [python, str(zipapp), str(crash.core), "--root", str(site.root), "-o", str(out)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode in (0, 1), result.stdout + result.stderr
    return result.returncode


def cached_root(suite: str, packages: Sequence[str], variant: str = "minbase") -> Path:
    """The root of a release of Debian with these packages, made when it is not there yet.

    The ``variant`` extract (mmdebstrap(1)) has the files of these packages and of those that they need, not set up.
    """
    name = f"{suite}-{hashlib.sha256(' '.join(packages).encode()).hexdigest()[:8]}"
    name += "" if variant == "minbase" else f"-{variant}"
    root = CACHE / name
    with locked(name):
        if not root.exists():
            unfinished = CACHE / f"{name}-unfinished"
            shutil.rmtree(unfinished, ignore_errors=True)
            _make_root(suite, packages, unfinished, variant)
            unfinished.rename(root)
    return root


def _make_root(suite: str, packages: Sequence[str], root: Path, variant: str) -> None:
    log = root.with_suffix(".log")
    with log.open("w") as stream:
        result = subprocess.run(
            # The archive's own word on how long an index is valid is passed over: mirrors are late.
            [
                "mmdebstrap",
                f"--variant={variant}",
                *_LATE,
                f"--include={','.join(packages)}",
                suite,
                str(root),
                _mirror(),
            ],
            stdout=stream,
            stderr=subprocess.STDOUT,
            check=False,
        )
    assert result.returncode == 0, f"mmdebstrap {suite} failed, see {log}; try: apt-get install mmdebstrap"


def _mirror() -> str:
    """The mirror that this machine installs from."""
    targets = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)"], capture_output=True, text=True, check=True
    )
    return next(line for line in targets.stdout.splitlines() if line.rstrip("/").endswith("/debian"))
