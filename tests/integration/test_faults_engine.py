"""An engine's daemon that is killed while it works for us, and a corebox that is killed while its container runs."""

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from tests.support.aftermath import Desk, Verb, tries
from tests.support.bench import Bench
from tests.support.ownengine import OwnEngine, own_engine

SLEEP = ("-batch", "-ex", "python import time; time.sleep(600)")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnEngine]:
    """An engine that may be killed."""
    with own_engine(tmp_path_factory.mktemp("own") / "engine") as engine:
        yield engine


@pytest.fixture
def shell(bench: Bench, own: OwnEngine, monkeypatch: pytest.MonkeyPatch) -> Verb:
    """A backtrace in the engine."""
    monkeypatch.setenv("DOCKER_HOST", own.address)
    verb = bench.verb("shell")
    words = tuple("docker" if word == "bubblewrap" else word for word in verb.words)
    return replace(verb, words=words, docker=own.address)


@pytest.fixture
def desk(bench: Bench, shell: Verb) -> Desk:
    """The desk of someone who wants it."""
    return Desk.lay(bench.folder / "desk", bench.seed, shell)


def started(desk: Desk, *words: object) -> "subprocess.Popen[str]":
    """The command, begun as a group of processes, to which a terminal's Ctrl-C would go."""
    command = [*desk.lab.command, *map(str, words)]
    environment = {**os.environ, "COREBOX_HOME": str(desk.lab.home)}
    return subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def gdb_runs(own: OwnEngine) -> bool:
    """Whether it is more than the tiny program that an engine is tried with first."""
    return "ld.so" in own.call("ps", "--no-trunc", "--format", "{{.Command}}").stdout


def test_the_daemon_is_killed_under_a_session(desk: Desk, own: OwnEngine) -> None:
    expected = desk.undisturbed()
    run = started(desk, *desk.words[: desk.words.index("-batch")], *SLEEP)
    wait_until(lambda: gdb_runs(own))
    own.kill()
    _, errors = run.communicate(timeout=60)
    assert (run.returncode, errors.count("\nhint: ")) == (4, 1), errors
    assert "docker engine" in errors
    own.start()
    desk.must_be_whole(expected)


def test_the_daemon_is_killed_while_it_loads(bench: Bench, desk: Desk, own: OwnEngine) -> None:
    """The image is in the store all the same, and the next build loads it."""
    verb = replace(bench.verb("build"), words=("build", bench.bundle, "--load", "--json"))
    expected, chance = Desk.lay(bench.folder / "desk", bench.seed, verb).undisturbed(), random.Random(0)
    for _ in range(tries(2)):
        own.call("image", "prune", "--all", "--force")
        desk = Desk.lay(bench.folder / "desk", bench.seed, verb)
        run = started(desk, *desk.words)
        wait_until(own.loads)
        time.sleep(chance.uniform(0, 0.3))
        own.kill()
        _, errors = run.communicate(timeout=60)
        assert (run.returncode, errors.count("\nhint: ")) == (4, 1), errors
        own.start()
        desk.must_be_whole(expected)


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGINT], ids=lambda sign: sign.name)
def test_corebox_is_killed_while_its_container_runs(desk: Desk, own: OwnEngine, sign: signal.Signals) -> None:
    """Nobody is left to remove the container; the next run does."""
    expected, left = desk.undisturbed(), 0
    for _ in range(tries(1)):
        desk = Desk.lay(desk.folder, desk.folder.parent / "seed", desk.verb)
        run = started(desk, *desk.words[: desk.words.index("-batch")], *SLEEP)
        wait_until(lambda: gdb_runs(own))
        (os.killpg if sign == signal.SIGINT else os.kill)(run.pid, sign)
        run.communicate(timeout=60)
        left += bool(own.containers())
        desk.must_be_whole(expected)
    assert left == (tries(1) if sign == signal.SIGKILL else 0)


def test_the_container_of_a_living_corebox_stays(desk: Desk, own: OwnEngine) -> None:
    run = started(desk, *desk.words[: desk.words.index("-batch")], *SLEEP)
    wait_until(lambda: gdb_runs(own))
    mine = own.containers()
    desk.undisturbed()
    assert own.containers() == mine
    os.killpg(run.pid, signal.SIGINT)
    run.communicate(timeout=60)
    assert own.containers() == []
