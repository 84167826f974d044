"""A Docker Engine of the test's own, which it may kill, or a newer one; the one that other tests use goes on."""

import json
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

START_TIMEOUT = 60.0
# A root of its own for a daemon that sees the tests' folders at their paths; its mounts are gone with its namespace.
_ENTER = """
set -e
mount --make-rprivate /
mount --bind "$0" "$0"
cd "$0"
for folder in /proc /sys /dev "$1"; do
    mkdir -p "./$folder"
    mount --rbind "$folder" "./$folder"
done
mount -t tmpfs tmpfs run
pivot_root . mnt
umount --lazy /mnt
shift
exec "$@"
"""


@dataclass
class OwnEngine:
    """A dockerd with all that it has in ``folder``; ``start`` and ``kill`` may be called again and again.

    Attributes:
        root: of another system, whose dockerd it is; None for this machine's.
        features: what its configuration switches on.
        options: further words of its command line.
    """

    folder: Path
    root: Path | None = None
    features: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """For DOCKER_HOST."""
        return f"unix://{self.folder}/docker.sock"

    def start(self) -> None:
        """Start it and wait until it answers."""
        assert shutil.which("dockerd"), "the tests need a Docker Engine: apt-get install docker.io"
        self.folder.mkdir(exist_ok=True)
        command = ["dockerd", "--bridge=none", "--iptables=false", "--ip6tables=false", "--host", self.address]
        command += [f"--{name}={self.folder}/{name}" for name in ("data-root", "exec-root", "pidfile")]
        configuration = self.folder / "daemon.json"
        configuration.write_text(json.dumps({"features": dict.fromkeys(self.features, True)}))
        command += [f"--config-file={configuration}", *self.options]
        if self.root:
            command = ["unshare", "--mount", "sh", "-c", _ENTER, str(self.root), tempfile.gettempdir(), *command]
        # A file and not a pipe: containers' shims outlive the daemon, and who reads its output would wait for them.
        with (self.folder / "log").open("a") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + START_TIMEOUT
        while self.call("version").returncode:
            assert self.process.poll() is None, (self.folder / "log").read_text()[-2000:]
            assert time.monotonic() < deadline, (self.folder / "log").read_text()[-2000:]
            time.sleep(0.1)

    def kill(self) -> None:
        """End it at once, as a crash would; its containerd ends with it (PDEATHSIG)."""
        self._end(signal.SIGKILL)
        # Who adopts orphans has a zombie now, which the next dockerd would take for a containerd that runs.
        (self.folder / "exec-root/containerd/containerd.pid").unlink(missing_ok=True)

    def stop(self) -> None:
        """End it and its containers."""
        self._end(signal.SIGTERM)

    def _end(self, sign: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(sign)
            self.process.wait(60)
            self.process = None

    def call(self, *words: str) -> subprocess.CompletedProcess[str]:
        """The docker program's answer."""
        return subprocess.run(["docker", "--host", self.address, *words], capture_output=True, text=True, check=False)

    def loads(self) -> bool:
        """Whether it is unpacking an image that somebody sends (its own place for that)."""
        return any((self.folder / "data-root/tmp").glob("docker-import-*"))

    def containers(self) -> list[str]:
        """All containers, also those that run no more."""
        return self.call("ps", "--all", "--quiet").stdout.split()


@contextmanager
def own_engine(
    folder: Path, root: Path | None = None, features: tuple[str, ...] = (), options: tuple[str, ...] = ()
) -> Iterator[OwnEngine]:
    """An engine for the length of the block."""
    engine = OwnEngine(folder, root, features, options)
    engine.start()
    try:
        yield engine
    finally:
        if engine.process is None:
            engine.start()  # for what a killed one left: it ends the containers
        for container in engine.containers():
            engine.call("rm", "--force", container)
        engine.stop()
        # It mounts its folder on itself, which a killed one leaves mounted.
        subprocess.run(["umount", "--lazy", "--recursive", folder / "data-root"], capture_output=True, check=False)
