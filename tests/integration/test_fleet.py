"""``corebox fleet`` with real crashes: they arrive, are reported whatever is killed, and are found again."""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.crashes import Program, build_program
from tests.support.documents import validate
from tests.support.lab import Lab


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory, machine: None) -> list[Path]:
    """Three crashes of one program."""
    folder = tmp_path_factory.mktemp("fleet")
    program = build_program(folder / "app")
    return [gathered(program, folder / f"{number}.corebox") for number in range(3)]


def gathered(program: Program, out: Path) -> Path:
    lab = Lab(out.parent / "home")
    lab.done("gather", program.crash(), "--no-nice", "-o", out)
    return out


def test_from_bundles_to_families(fresh_lab: Lab, bundles: list[Path], tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.corebox"
    damaged.write_bytes(bundles[0].read_bytes()[:-1000])
    labels = ("--customer", "acme", "--release", "1.0", "--source", "CASE-7")
    added = fresh_lab.corebox("fleet", "add", *bundles, bundles[0], damaged, "/etc/passwd", *labels, "--json")
    assert (added.status, added.errors.count("is not a bundle")) == (1, 1), added.errors
    validate(added.json, "fleet-add")
    assert [each["seen"] for each in added.json["crashes"]] == [1, 1, 1, 2, 1]

    worked = fresh_lab.corebox("fleet", "work", "--until-idle", "--engine", "bubblewrap", "--jobs", "2")
    assert (worked.status, worked.errors.count("crash 4:")) == (1, 1), worked.errors
    status = fresh_lab.done("fleet", "status", "--json").json
    validate(status, "fleet-status")
    assert status["crashes"] == {"waiting": 0, "reported": 3, "failed": 1}
    assert (status["seen"], list(status["failures"].values())) == (5, [1])

    top = fresh_lab.done("fleet", "top", "--json").json
    validate(top, "fleet-top")
    (family,) = top["families"]
    assert (family["crashes"], family["seen"], family["customers"]) == (3, 4, 1)
    report = fresh_lab.done("report", "fleet:1", "--format", "json").json
    assert (family["text"], report["family"]) == (report["family"], family["text"])
    shown = fresh_lab.done("fleet", "show", "1", "--json").json
    validate(shown, "fleet-show")
    names = [frame["function"] for frame in report["threads"][0]["frames"]]
    assert shown["frames"] == names
    found = fresh_lab.done("fleet", "find", "--function", names[0], "--customer", "acme", "--json").json
    validate(found, "fleet-find")
    assert sorted(each["id"] for each in found["crashes"]) == [1, 2, 3]
    kept = fresh_lab.home / "fleet" / "reports" / "0" / "1.json"
    validate_report(kept, report)
    assert names[0] in fresh_lab.gdb("fleet:2", "bubblewrap", "bt").output
    assert fresh_lab.corebox("shell", "fleet:99").status == 3

    gone = fresh_lab.done("fleet", "forget", "--customer", "acme").output
    assert gone.startswith("removed 4 crashes"), gone
    assert not list((fresh_lab.home / "fleet").rglob("*.corebox"))


def validate_report(kept: Path, report: dict[str, object]) -> None:
    """The report that the fleet keeps is the one that the command makes."""
    import json

    document = json.loads(kept.read_text())
    validate(document, "report")
    assert document["signature"] == report["signature"]
    assert kept.stat().st_mode & 0o777 == 0o600


def test_a_killed_worker_costs_nothing(fresh_lab: Lab, bundles: list[Path], tmp_path: Path) -> None:
    """Whoever looks at a crash is killed, then the whole of the work; one that always kills is set aside."""
    fresh_lab.done("fleet", "add", *bundles)
    work = started(fresh_lab)
    os.kill(first_examiner(work), signal.SIGKILL)
    work.wait(120)
    fresh_lab.done("fleet", "again", "--all")
    work = started(fresh_lab)
    examiner = first_examiner(work)
    work.kill()
    work.wait()
    wait_until(lambda: is_over(examiner))
    assert fresh_lab.corebox("fleet", "work", "--until-idle", "--engine", "bubblewrap").status in (0, 1)
    crashes = fresh_lab.done("fleet", "status", "--json").json["crashes"]
    assert crashes["waiting"] == 0
    fresh_lab.corebox("fleet", "again", "--state", "failed")
    fresh_lab.done("fleet", "work", "--until-idle", "--engine", "bubblewrap")
    assert fresh_lab.done("fleet", "status", "--json").json["crashes"] == {"waiting": 0, "reported": 3, "failed": 0}


def test_a_customer_sends_a_crash_while_it_is_gathered(fresh_lab: Lab, tmp_path: Path) -> None:
    """The server is killed once before; what it had acknowledged is there."""
    token = fresh_lab.done("fleet", "token", "add", "acme", "--product", "loader").output.strip()
    assert token not in fresh_lab.done("fleet", "token", "list").output
    core = build_program(tmp_path / "app").crash()
    for number in (1, 2):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        words = [*fresh_lab.command, "fleet", "serve", "--port", str(port), "--keep-free", "0"]
        server = subprocess.Popen(words, env={**os.environ, "COREBOX_HOME": str(fresh_lab.home)})
        wait_until(lambda port=port: answers(port))
        url = f"http://127.0.0.1:{port}/files/"
        fresh_lab.done("gather", core, "--no-nice", "--upload", url, env={"COREBOX_UPLOAD_TOKEN": token})
        refused = fresh_lab.corebox("gather", core, "--no-nice", "--upload", url, env={"COREBOX_UPLOAD_TOKEN": "wrong"})
        assert (refused.status, "401" in refused.errors) == (4, True), refused.errors
        server.send_signal(signal.SIGKILL if number == 1 else signal.SIGINT)
        server.wait(30)
    fresh_lab.done("fleet", "work", "--until-idle", "--engine", "bubblewrap")
    (crash,) = fresh_lab.done("fleet", "find", "--json").json["crashes"]
    assert (crash["customer"], crash["product"], crash["state"]) == ("acme", "loader", "reported")
    assert fresh_lab.done("fleet", "show", crash["id"], "--json").json["seen"] == 2


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def test_two_do_not_work_on_one_fleet(fresh_lab: Lab, bundles: list[Path]) -> None:
    fresh_lab.done("fleet", "add", *bundles)
    work = started(fresh_lab, "--jobs", "1")
    first_examiner(work)
    second = fresh_lab.corebox("fleet", "work", "--until-idle")
    assert (second.status, "another process works" in second.errors) == (4, True), second.errors
    work.send_signal(signal.SIGINT)
    assert work.wait(60) == 130
    waiting = fresh_lab.done("fleet", "find", "--state", "waiting", "--json").json["crashes"]
    assert waiting


def started(lab: Lab, *options: str) -> "subprocess.Popen[bytes]":
    words = [*lab.command, "fleet", "work", "--until-idle", "--engine", "bubblewrap", *options]
    return subprocess.Popen(words, env={**os.environ, "COREBOX_HOME": str(lab.home)}, stderr=subprocess.DEVNULL)


def first_examiner(work: "subprocess.Popen[bytes]") -> int:
    """The process that looks at a crash: the server that forks it is the child of the one that works."""
    found: list[int] = []

    def look() -> bool:
        found[:] = [each for server in children(work.pid) for each in children(server)]
        return bool(found) or work.poll() is not None

    wait_until(look)
    assert found, "the work was over before anybody looked"
    return found[0]


def is_over(process: int) -> bool:
    """Whether it has ended; where process 1 waits for nobody's children it stays, as a zombie."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def children(process: int) -> list[int]:
    """Of all its threads."""
    try:
        return [
            int(each) for path in Path(f"/proc/{process}/task").glob("*/children") for each in path.read_text().split()
        ]
    except OSError:
        return []


def wait_until(condition: "object") -> None:
    assert callable(condition)
    for _ in range(6000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it did not happen in a minute")
