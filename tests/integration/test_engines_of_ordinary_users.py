"""Engines without root, real ones: rootless Podman and Docker, and a Docker whose containers are remapped."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.crashes import build_program
from tests.support.dense import crash_dense, gather, nothing_is_left
from tests.support.lab import Lab
from tests.support.ownengine import own_engine
from tests.support.person import Person, new_person
from tests.support.shared import locked

NAME = "corebox-person"
INSIDE = """python
import os, resource
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print("caps", int(status["CapEff"], 16), "seccomp", int(status["Seccomp"]), "nnp", int(status["NoNewPrivs"]))
print("data", *(limit >> 30 for limit in resource.getrlimit(resource.RLIMIT_DATA)))
print("reaches", os.path.exists({!r}), "devices", open("/proc/net/dev").read().count(":"))
end
"""


@pytest.fixture(scope="module")
def person(machine: None) -> Iterator[Person]:
    """A user."""
    with new_person(NAME) as made:
        yield made


@pytest.fixture(scope="module")
def crash(person: Person, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that is the user's."""
    folder = tmp_path_factory.mktemp("crash")
    lab, bundle = Lab(folder / "store"), folder / "x.corebox"
    lab.done("gather", build_program(folder / "app").crash(), "-o", bundle, "--no-nice")
    moved = Path(shutil.move(bundle, person.home / "x.corebox"))
    shutil.chown(moved, person.name)
    return moved


def must_open(person: Person, crash: Path, engine: str, env: dict[str, str]) -> str:
    """A session in that engine; what was said about it."""
    script = person.home / "inside.gdb"
    script.write_text("backtrace\n" + INSIDE.format(str(crash)))
    done = person.corebox("run", crash, script, "--engine", engine, env=env)
    assert done.status == 0, done.errors
    assert "fail ()" in done.output
    assert "caps 0 seccomp 2 nnp 1" in done.output
    assert "data 16 16" in done.output, "memory is bounded also where the engine can set no limit"
    assert "reaches False devices 1" in done.output, "the loopback device alone"
    report = person.corebox("report", crash, "--engine", engine, "--format", "json", env=env)
    assert report.json["threads"][0]["frames"][0]["function"] == "fail"
    return done.errors


def test_who_may_not_use_docker_is_told_the_group(person: Person, crash: Path, docker: None) -> None:
    socket = Path("/var/run/docker.sock")
    done = person.corebox("shell", crash, "--engine", "docker", env={"DOCKER_HOST": f"unix://{socket}"})
    assert done.status == 4
    assert f"(sudo usermod -aG {socket.group()} $USER)" in done.errors


def test_rootless_podman(person: Person, crash: Path) -> None:
    with person.podman():
        must_open(person, crash, "podman", {})
        assert "note:" not in must_open(person, crash, "auto", {})
        found = person.corebox("doctor").output
    assert "ok  podman" in found
    assert "rootless" in found


def test_rootless_docker_is_found_where_it_listens(person: Person, crash: Path) -> None:
    with person.docker() as address:
        must_open(person, crash, "docker", {"DOCKER_HOST": address})
        assert "note:" not in must_open(person, crash, "auto", {})
        found = person.corebox("doctor").output
        assert "ok  docker" in found
        assert "rootless" in found


@contextmanager
def docker_of_root(*options: str) -> Iterator[str]:
    """One that the user may use; who runs containers there is not the user."""
    with tempfile.TemporaryDirectory() as name:  # a socket's path has 107 bytes at most
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "e").mkdir()
        with own_engine(folder / "e", options=(f"--group={NAME}", *options)) as engine:
            yield engine.address


def test_a_docker_that_remaps_users(person: Person, crash: Path) -> None:
    """Its containers' users are nobody outside, and could read nothing of the store."""
    with docker_of_root(f"--userns-remap={NAME}") as address:
        env = {"DOCKER_HOST": address}
        must_open(person, crash, "docker", env)
        assert "note:" not in must_open(person, crash, "auto", env)
        assert "users remapped" in person.corebox("doctor", env=env).output


@pytest.mark.parametrize("engine", ["docker", "podman"])
def test_where_the_engine_does_not_see_what_the_user_mounts_the_whole_core_is_fetched_with_a_word(
    person: Person, tmp_path: Path, engine: str
) -> None:
    """FUSE shows a mount to who has mounted it (fuse(4), allow_other), which the engine's containers are not."""
    dense = Path(shutil.move(gather(crash_dense(tmp_path / "crash"), tmp_path / "dense.corebox"), person.home))
    shutil.chown(dense, person.name)
    words = ("shell", dense, "--engine", engine, "--", "-batch", "-ex", "backtrace")
    home = {"COREBOX_HOME": str(person.home / f"seeing-{engine}")}
    with locked("dev-fuse"):
        Path("/dev/fuse").chmod(0o666)  # as on a usual machine
        with docker_of_root() if engine == "docker" else person.podman() as address:
            env = {**home, "DOCKER_HOST": address} if engine == "docker" else home
            done = person.corebox(*words, env=env)
            found = person.corebox("doctor", env=env).output
    dense.unlink()
    assert "main (" in done.output, done.errors
    assert f"the {engine} engine does not see what is mounted" in done.errors
    assert "so the whole core is fetched" in done.errors
    assert f"no  on-demand   the {engine} engine does not see what is mounted" in found
    assert nothing_is_left(person.home)


def test_an_engine_that_cannot_run_is_told_and_another_one_taken(person: Person, crash: Path, tmp_path: Path) -> None:
    """The daemon is outside the wall that we are behind: our store is not where it looks."""
    other = person.home / "other"
    other.mkdir()
    behind = f"mount -t tmpfs -o mode=0777 tmpfs {other} && exec " + '"$@"'
    with person.docker() as address:
        env = {"DOCKER_HOST": address, "COREBOX_HOME": str(other / "store")}
        command = person.command(person.home / "venv/bin/corebox", "shell", crash, "--", "-batch", "-ex", "bt", env=env)
        walled = ["unshare", "--mount", "sh", "-c", behind, "sh", *command]
        done = subprocess.run(walled, cwd=person.home, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "fail ()" in done.stdout
    assert "docker engine answers but cannot open crashes here" in done.stderr
    assert "bubblewrap is used instead" in done.stderr
