"""A fleet on PostgreSQL: two machines share the work, and every crash has its report whatever is killed."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.crashes import build_program
from tests.support.lab import Lab
from tests.support.postgresql import Cluster, running_cluster

CRASHES = 6


@pytest.fixture(scope="module")
def cluster(machine: None) -> Iterator[Cluster]:
    with running_cluster() as started:
        yield started


@pytest.fixture
def desks(cluster: Cluster, toolbox_alone: Path, tmp_path: Path) -> list[Lab]:
    """Two machines, each with its own store; bundles and reports are in a folder that both see."""
    url = cluster.new_database()
    labs = [Lab(shutil.copytree(toolbox_alone, tmp_path / name, symlinks=True)) for name in ("one", "two")]
    for lab in labs:
        lab.done("fleet", "init", url, "--folder", tmp_path / "shared")
    program = build_program(tmp_path / "app")
    for number in range(CRASHES):
        out = tmp_path / f"{number}.corebox"
        labs[0].done("gather", program.crash(), "--no-nice", "-o", out)
        labs[0].done("fleet", "add", out, "--customer", f"customer {number % 2}")
    return labs


def start(lab: Lab) -> "subprocess.Popen[bytes]":
    words = [*lab.command, "fleet", "work", "--until-idle", "--engine", "bubblewrap", "--jobs", "1"]
    environment = {**os.environ, "COREBOX_HOME": str(lab.home)}
    with (lab.home / "words").open("wb") as words_of:
        return subprocess.Popen(words, env=environment, stderr=words_of)


def reported(lab: Lab) -> int:
    count: int = lab.done("fleet", "status", "--json").json["crashes"]["reported"]
    return count


def test_two_machines_share_the_work(desks: list[Lab], cluster: Cluster, tmp_path: Path) -> None:
    """The database is restarted and one of them killed in the middle; the other one does the rest."""
    first, second = start(desks[0]), start(desks[1])
    deadline = time.monotonic() + 120
    while not reported(desks[0]) and time.monotonic() < deadline:
        time.sleep(0.2)
    second.send_signal(signal.SIGKILL)
    second.wait()
    cluster.restart_at_once()
    status = first.wait(180)
    if status:  # it may have been told that the database went away; nothing was lost
        assert "database" in (desks[0].home / "words").read_text()
        desks[1].done("fleet", "work", "--until-idle", "--engine", "bubblewrap")
    assert desks[1].done("fleet", "status", "--json").json["crashes"] == {
        "waiting": 0,
        "reported": CRASHES,
        "failed": 0,
    }
    reports = sorted(path.name for path in (tmp_path / "shared" / "reports").rglob("*.json"))
    assert len(reports) == CRASHES
    (family,) = desks[1].done("fleet", "top", "--json").json["families"]
    assert (family["crashes"], family["customers"]) == (CRASHES, 2)
    (function, *_) = desks[1].done("fleet", "show", "1", "--json").json["frames"]
    for options in (("--function", function[:3] + "*"), ("--text", "null"), ("--module", "libc.so.6")):
        assert len(desks[1].done("fleet", "find", *options, "--json").json["crashes"]) == CRASHES
    assert "fleet" not in desks[1].done("info", f"fleet:{CRASHES}").errors
    assert desks[1].done("fleet", "count", "--by", "day", "--json").json["counts"][0]["crashes"] == CRASHES
    (release,) = desks[1].done("fleet", "count", "--by", "release", "--json").json["counts"]
    (change,) = desks[1].done("fleet", "changes", release["product"], release["release"], "--json").json["changes"]
    assert (change["kind"], change["since"]) == ("new", CRASHES)
    assert desks[1].done("fleet", "apart", family["id"], "--json").json["traits"] == []
    url = (desks[0].home / "fleet" / "database").read_text().strip()
    for asked in (
        f"crashes JOIN crash_functions ON crash = id WHERE function = '{function}'",
        "crash_modules WHERE module = 'libc.so.6'",
        "crashes WHERE state = 'reported' AND family = 1",
    ):
        assert cluster.ask(url, f"SELECT count(*) FROM {asked}") == str(CRASHES)
    gone = desks[1].done("fleet", "forget", "--customer", "customer 1").output
    assert gone.startswith("removed 3 crashes")


def test_a_database_that_is_away_is_told(desks: list[Lab], cluster: Cluster) -> None:
    cluster.stop()
    try:
        found = desks[0].corebox("fleet", "top")
        assert (found.status, "database" in found.errors, "Traceback" in found.errors) == (4, True, False), found.errors
    finally:
        cluster.start()
    assert desks[0].done("fleet", "status", "--json").json["crashes"]["waiting"] == CRASHES
