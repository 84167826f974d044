"""A PostgreSQL of the tests' own, on a Unix socket."""

import itertools
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

_USER = "postgres"


@dataclass(frozen=True)
class Cluster:
    """A server whose files and socket are in ``folder``."""

    folder: Path
    programs: Path
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = f"-k {self.folder} -c listen_addresses=''"
        self._run("pg_ctl", "-D", self.folder / "data", "-w", "-l", self.folder / "log", "-o", options, "start")

    def stop(self, how: str = "fast") -> None:
        """End it; ``immediate`` is as if the machine had lost its power."""
        self._run("pg_ctl", "-D", self.folder / "data", "-w", "-m", how, "stop")

    def restart_at_once(self) -> None:
        """Let it lose its power, and start it again."""
        self.stop("immediate")
        self.start()

    def new_database(self) -> str:
        """The URL of an empty database."""
        name = f"fleet{next(self._numbers)}"
        self._run("createdb", "-h", self.folder, name)
        return f"postgresql://{_USER}@/{name}?host={self.folder}"

    def ask(self, url: str, query: str) -> str:
        """What psql prints, without heads."""
        return subprocess.check_output([self.programs / "psql", "-At", "-c", query, url], text=True).strip()

    def _run(self, program: str, *arguments: object) -> None:
        words = ["setpriv", "--reuid", _USER, "--regid", _USER, "--init-groups", self.programs / program, *arguments]
        subprocess.run(list(map(str, words)), check=True, stdout=subprocess.DEVNULL, cwd="/")


@contextmanager
def running_cluster() -> Iterator[Cluster]:
    """A new cluster, which is gone at the end."""
    (programs, *_) = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    with tempfile.TemporaryDirectory(prefix="pg") as name:  # a socket's path is short
        folder = Path(name)
        shutil.chown(folder, _USER)
        cluster = Cluster(folder, programs)
        cluster._run("initdb", "-D", folder / "data", "-A", "trust", "-U", _USER, "-E", "UTF8", "--locale=C.UTF-8")
        cluster.start()
        try:
            yield cluster
        finally:
            cluster.stop("immediate")
