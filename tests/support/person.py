"""An ordinary user of this machine, with a corebox and engines of its own, which need no root."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.lab import Result
from tests.support.programs import REPOSITORY, install

START_TIMEOUT = 60.0
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
_ROOTLESS_DOCKER = "/usr/share/docker.io/contrib"


@dataclass(frozen=True)
class Person:
    """A user with a home, and with what a login gives.

    Attributes:
        name: of the account, which has ranges of user IDs for user namespaces.
        home: with the corebox that is tested in ``venv``.
        groups: further ones.
    """

    name: str
    home: Path
    groups: list[str] = field(default_factory=list)

    @property
    def runtime(self) -> Path:
        """XDG_RUNTIME_DIR."""
        return self.home / "run"

    def command(self, *words: object, env: Mapping[str, str] | None = None) -> list[str]:
        """The command as the user would start it."""
        known = {"HOME": self.home, "XDG_RUNTIME_DIR": self.runtime, "PATH": _PATH, "LC_ALL": "C.UTF-8", **(env or {})}
        user = ["setpriv", f"--reuid={self.name}", f"--regid={self.name}", "--init-groups", "--reset-env"]
        return [*user, "env", *(f"{key}={value}" for key, value in known.items()), *map(str, words)]

    def corebox(self, *words: object, env: Mapping[str, str] | None = None) -> Result:
        """Run corebox."""
        command = self.command(self.home / "venv/bin/corebox", *words, env=env)
        done = subprocess.run(
            command, cwd=self.home, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=300
        )
        return Result(done.returncode, done.stdout, done.stderr)

    @contextmanager
    def daemon(self, *words: object, socket: str, env: Mapping[str, str] | None = None) -> Iterator[str]:
        """A daemon of the user's for the length of the block; the address of its socket."""
        path = self.runtime / socket
        with (self.home / "log").open("a") as log:
            process = subprocess.Popen(
                self.command(*words, env=env),
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            deadline = time.monotonic() + START_TIMEOUT
            while not _answers(path):
                log_text = (self.home / "log").read_text()[-2000:]
                assert process.poll() is None, log_text
                assert time.monotonic() < deadline, log_text
                time.sleep(0.1)
            yield f"unix://{path}"
        finally:
            process.terminate()
            try:
                process.wait(60)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)

    def podman(self) -> contextlib.AbstractContextManager[str]:
        """A rootless Podman."""
        (self.runtime / "podman").mkdir(exist_ok=True)
        shutil.chown(self.runtime / "podman", self.name)
        address = f"unix://{self.runtime}/podman/podman.sock"
        return self.daemon("podman", "system", "service", "--time=0", address, socket="podman/podman.sock")

    def docker(self) -> contextlib.AbstractContextManager[str]:
        """A rootless Docker."""
        # Where there is no udev, the devices of its network and its layers may be root's alone (50-udev-default.rules).
        for device in ("/dev/net/tun", "/dev/fuse"):
            Path(device).chmod(0o666)
        words = ("dockerd-rootless.sh", "--bridge=none", "--iptables=false", "--ip6tables=false")
        path = {"PATH": f"{_ROOTLESS_DOCKER}:{_PATH}"}
        return self.daemon(*words, "--storage-driver=fuse-overlayfs", socket="docker.sock", env=path)


def _answers(socket: Path) -> bool:
    """Docker's API is spoken at it."""
    asked = ["docker", "--host", f"unix://{socket}", "version"]
    return socket.exists() and subprocess.run(asked, capture_output=True, check=False).returncode == 0


@contextmanager
def new_person(name: str) -> Iterator[Person]:
    """A new user for the length of the block."""
    with tempfile.TemporaryDirectory(prefix="person-") as folder:
        Path(folder).chmod(0o755)
        home = Path(folder) / "home"
        subprocess.run(["useradd", "--create-home", "--home-dir", home, name], check=True)
        try:
            person = Person(name, home)
            install(home / "venv", REPOSITORY, "/usr/bin/python3")
            person.runtime.mkdir(mode=0o700)
            shutil.chown(person.runtime, name)
            yield person
        finally:
            _end_all(name)
            subprocess.run(["userdel", "--force", name], check=True, capture_output=True)


def _end_all(name: str) -> None:
    """End what the user's daemons left: they are this user's alone, whom the tests have made."""
    number = pwd.getpwnam(name).pw_uid
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if folder.stat().st_uid == number:
                os.kill(int(folder.name), signal.SIGKILL)
