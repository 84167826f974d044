"""A registry's password is used, and is nowhere afterwards: not in what is printed, started or stored."""

import base64
import contextlib
import json
import os
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.lab import Lab
from tests.support.registry import PASSWORD, USER, Registry, docker_config, write_helper

WRONG = "sesame shut"
BASIC = {password: base64.b64encode(f"{USER}:{password}".encode()).decode() for password in (PASSWORD, WRONG)}
SECRETS = [text.encode() for password in (PASSWORD, WRONG) for text in (password, BASIC[password])]
ANSWER = json.dumps({"ServerURL": "", "Username": USER, "Secret": PASSWORD})
HELPED = {"credHelpers": {"HOST": "lab"}}


@dataclass(frozen=True)
class Case:
    """What the user has, what the user says, and whether that lets them in.

    Attributes:
        config: of Docker; HOST stands for the registry.
        helper: script of the credential helper.
        name: of the image in the registry.
        env: more of the environment.
    """

    works: bool
    config: object
    helper: str = "exit 9"
    name: str = "HOST/a/b:1"
    env: str = ""


CASES = {
    "in the configuration": Case(True, {"auths": {"HOST": {"auth": BASIC[PASSWORD]}}}),
    "as words": Case(True, {"auths": {"HOST": {"username": USER, "password": PASSWORD}}}),
    "wrong": Case(False, {"auths": {"HOST": {"auth": BASIC[WRONG]}}}),
    "not encoded": Case(False, {"auths": {"HOST": {"auth": f"{USER}:{PASSWORD}"}}}),
    "cut off": Case(False, f'{{"auths": {{"HOST": {{"auth": "{BASIC[PASSWORD]}"'),
    "no object": Case(False, [BASIC[PASSWORD]]),
    "from a helper": Case(True, HELPED, f"echo '{ANSWER}'"),
    "from a helper that fails": Case(False, HELPED, f"echo '{ANSWER}'; exit 1"),
    "from a helper that complains": Case(False, HELPED, f"echo '{ANSWER}' >&2; exit 1"),
    "from a helper that talks": Case(False, HELPED, f"echo 'Unlocked. {ANSWER}'"),
    "in the name": Case(False, {}, name=f"{USER}:{PASSWORD}@HOST/a/b:1"),
    "in a URL": Case(False, {}, name=f"https://{USER}:{PASSWORD}@HOST/a/b:1"),
    "of the proxy": Case(False, {}, name="registry.invalid/a/b:1", env=f"http://{USER}:{PASSWORD}@127.0.0.1:9"),
}


@dataclass(frozen=True)
class Ran:
    """What a command left: its status, what it printed, and the command lines of all that it started."""

    status: int
    printed: bytes
    commands: set[bytes]


def run(lab: Lab, env: dict[str, str], *words: str) -> Ran:
    """Run a command, and look at the command lines of its session as long as it lasts."""
    child = subprocess.Popen(
        [*lab.command, *words],
        env={**os.environ, "COREBOX_HOME": str(lab.home), "COREBOX_DEBUG": "1", **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    commands: set[bytes] = set()
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.002):
            commands.update(commands_of(child.pid))

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        printed, _ = child.communicate(timeout=120)
    finally:
        ended.set()
        watching.join()
    return Ran(child.returncode, printed, commands)


def commands_of(session: int) -> Iterator[bytes]:
    """The command lines of a session (proc(5): the sixth field of stat, the fourth after the name)."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended
            if int((process / "stat").read_bytes().rpartition(b") ")[2].split()[3]) == session:
                yield (process / "cmdline").read_bytes()


def contents(folder: Path) -> Iterator[bytes]:
    """Name and content of each file."""
    for path in folder.rglob("*"):
        yield os.fsencode(path) + (path.read_bytes() if path.is_file() else b"")


@pytest.mark.parametrize("case", CASES)
def test_a_password_is_nowhere_afterwards(guarded: Registry, stocked: Lab, tmp_path: Path, case: str) -> None:
    given = CASES[case]
    slow = f"sleep 0.1; {given.helper}"  # long enough to be seen
    config = given.config if isinstance(given.config, str) else json.dumps(given.config)
    env = docker_config(tmp_path / "docker", config.replace("HOST", guarded.host))
    env |= {"PATH": write_helper(tmp_path / "bin", slow)}
    env |= {"HTTPS_PROXY": given.env} if given.env else {}
    name = given.name.replace("HOST", guarded.host)
    other = Lab(tmp_path / "other")
    commands: list[tuple[Lab, tuple[str, ...]]] = [(stocked, ("push", "random:1", name)), (other, ("pull", name))]
    if not given.works:
        commands.append((other, ("shell", name)))
    for lab, words in commands:
        ran = run(lab, env, *words)
        assert (ran.status == 0) == given.works, ran.printed
        assert ran.printed
        seen = b"\n".join(ran.commands)
        assert os.fsencode(words[0]) in seen
        assert (b"docker-credential-lab" in seen) == (given.config is HELPED)
        for secret in SECRETS:
            assert secret not in ran.printed
            assert secret not in seen or PASSWORD in name  # which the user has typed
            assert not [each for each in contents(lab.home) if secret in each]
