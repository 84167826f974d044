"""What bounds the kernel's handler: places for many crashes and for each user, silence, time, whose process it is."""

import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from corebox.bundle.runtime import HANDLER
from corebox.gather import proc
from corebox.gather.cli import main
from corebox.gather.handler import Crash, handle_crash
from corebox.gather.handlerscript import NO_BUNDLE
from corebox.gather.live import held_process
from corebox.gather.options import make_parser
from corebox.gather.proc import held_place, is_crash_of, owner_of, place_of, read_runtime
from corebox.gather.retention import close_queue
from corebox.unbundle.read import read_manifest
from tests.unit.gather.handlers import GONE, feed, log_of, stub

CRASH = Crash(int(GONE), 1700000001, 0, "!opt!app")


@contextmanager
def locked(handler: Path, *names: str) -> Iterator[None]:
    """These places of the queue are taken."""
    descriptors = [os.open(handler / "queue" / name, os.O_CREAT | os.O_WRONLY, 0o600) for name in names]
    for descriptor in descriptors:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    yield
    for descriptor in descriptors:
        os.close(descriptor)


@pytest.mark.parametrize(("earlier", "places"), [(1, 18), (0, 66)], ids=["another", "the first of the hour"])
def test_one_that_finds_all_places_taken_is_counted(handler: Path, core_path: Path, earlier: int, places: int) -> None:
    stub(handler, 0)
    for number in range(earlier):
        assert feed(handler, core_path, GONE, str(1700000000 + number), "0", "!app") == 0
    with locked(handler, *(str(number) for number in range(1, places + 1))):
        assert feed(handler, core_path, GONE, "1700000001", "0", "!app") == 0
    assert "too many crashes at once" in log_of(handler)[-1]
    assert feed(handler, core_path, GONE, "1700000002", "0", "!app") == 0
    assert len(log_of(handler)) == 1


def test_a_user_has_half_of_the_places(handler: Path, core_path: Path) -> None:
    stub(handler, 0)
    with locked(handler, *(f"1000.{number}" for number in range(1, 34))):
        assert feed(handler, core_path, GONE, "1700000001", "1000", "!app") == 0
        assert feed(handler, core_path, GONE, "1700000002", "1001", "!app") == 0
    (line,) = log_of(handler)
    assert line.endswith("user 1000): only counted, number 1 of this program in this hour: "
                         "too many crashes of this user at once")  # fmt: skip
    assert {path.name for path in (handler / "hours").iterdir() if path.name.endswith(".1")} == {
        f"{1700000002 // 3600}.1001.{checksum('!app')}.1"
    }


def checksum(program: str) -> str:
    done = subprocess.run(["cksum"], input=program, capture_output=True, text=True, check=True)
    return "-".join(done.stdout.split())


def test_a_user_leaves_a_place_to_run_to_others(handler: Path, core_path: Path) -> None:
    """One of a user's is at work and does not end: his next one waits, and another user's does not."""
    stub(handler, 0)
    with locked(handler, "running.0", "1000.running.0"):
        assert feed(handler, core_path, GONE, "1700000001", "1001", "!app") == 0
        with core_path.open("rb") as core:
            command = [str(handler / "corebox-handler"), GONE, "1700000002", "1000", "!app"]
            waiting = subprocess.Popen(command, stdin=core, env={}, cwd="/")
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(0.5)
    assert waiting.wait() == 0


def test_subordinate_users_are_the_one_whom_they_belong_to(handler: Path, core_path: Path, tmp_path: Path) -> None:
    stub(handler, 0)
    table = tmp_path / "subuid"
    table.write_text("# a omission\nnobody:100000:65536\n65534:900000:10\n:1:2\nx:08:\n")
    script = handler / "corebox-handler"
    script.write_text(script.read_text().replace("/etc/subuid", str(table)))
    for user in ("100000", "165535", "165536", "900009"):
        assert feed(handler, core_path, GONE, "1700000001", user, "!app") == 0
    owners = {path.name.split(".")[1] for path in (handler / "hours").iterdir()}
    assert owners == {"65534", "165536"}


def test_places_of_users_go_when_nobody_uses_them(tmp_path: Path) -> None:
    names = ["1000.1", "1000.running.0", "1001.1", "1002.1", "1", "running.0", "plan"]
    (tmp_path / "queue").mkdir()
    for name in names:
        (tmp_path / "queue" / name).touch()
        if name != "1001.1":
            os.utime(tmp_path / "queue" / name, (1700000000, 1700000000))
    with locked(tmp_path, "1002.1"):
        close_queue(str(tmp_path))
    assert {path.name for path in (tmp_path / "queue").iterdir()} == {"1001.1", "1002.1", "1", "running.0", "plan"}


def test_one_that_takes_too_long_is_given_up(tmp_path: Path, core_path: Path) -> None:
    """It waits here for more of the core."""
    reading, writing = os.pipe()
    os.write(writing, core_path.read_bytes()[:8192])
    options = make_parser().parse_args(["--no-nice", "--max-seconds", "7"])
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    with os.fdopen(reading, "rb") as core:
        status = handle_crash(str(tmp_path), core, CRASH, options)
    os.close(writing)
    assert status == NO_BUNDLE
    assert "given up after 7 s; what it has read of the core is kept" in log_of(tmp_path)[0]
    assert (tmp_path / (CRASH.base + ".core")).stat().st_size == 8192


def test_one_that_cannot_even_give_up_is_ended(tmp_path: Path, core_path: Path) -> None:
    place = tmp_path / "dumps"
    assert main(["--install-handler", str(place), "--max-seconds", "1", "--keep-free", "1M"]) == 0
    (place / "corebox-gather.pyz").write_text("import time\ntime.sleep(60)\n")
    assert feed(place, core_path, GONE, "1700000001", "0", "!app") == 124
    assert "the gatherer ended with status 124; kept the raw core" in log_of(place)[0]


def test_another_process_that_has_the_number_by_now_tells_nothing(handler: Path, core_path: Path) -> None:
    """It is root's here, and the crash another user's: nothing of root's may be seen with its rights."""
    now = int(time.time())
    with subprocess.Popen(["sleep", "60"]) as other:
        try:
            for user in ("1000", "0"):
                assert feed(handler, core_path, str(other.pid), str(now), user, "!app") == 0
                now += 1
            assert not is_crash_of(place_of(other.pid), 1000, now)
            assert not is_crash_of(place_of(other.pid), 0, now)
            with held_process(other.pid, 0, now) as held:
                assert (held.root, held.files, held.owner) == ("/", {}, None)
        finally:
            other.kill()
    bundles = list(handler.glob("*.corebox"))
    assert len(bundles) == 2
    assert all(read_manifest(bundle).runtime is None for bundle in bundles)
    assert len([line for line in log_of(handler) if "; the process had ended" in line]) == 2


def test_a_kernel_that_does_not_tell_of_crashes_tells_when_a_process_started(monkeypatch: pytest.MonkeyPatch) -> None:
    real = proc._status

    def old(path: str) -> dict[str, str]:
        return {name: value for name, value in real(path).items() if name != "CoreDumping"}

    monkeypatch.setattr(proc, "_status", old)
    user = os.getuid()
    with held_place(os.getpid()) as place:
        assert is_crash_of(place, user, int(time.time()))
        assert not is_crash_of(place, user + 1, int(time.time()))
        assert not is_crash_of(place, user, 1700000000)
    assert not is_crash_of(place_of(int(GONE)), user, int(time.time()))


def test_a_process_that_is_held_is_never_taken_for_another() -> None:
    with subprocess.Popen(["sleep", "60"]) as process, held_place(process.pid) as place:
        assert read_runtime(place, HANDLER)
        process.kill()
        process.wait()
        assert read_runtime(place, HANDLER) is None
        assert owner_of(place) is None


def test_a_kernel_that_falls_silent_is_not_waited_for(
    tmp_path: Path, core_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("corebox.gather.handler._SILENCE", 1)
    begun = core_path.read_bytes()[:8192]
    reading, writing = os.pipe()
    os.write(writing, begun)
    with os.fdopen(reading, "rb") as core:
        status = handle_crash(str(tmp_path), core, CRASH, make_parser().parse_args(["--no-nice"]))
    os.close(writing)
    assert "the core is truncated: the kernel sent nothing for 1 s; " in log_of(tmp_path)[0]
    assert [path.suffix for path in tmp_path.glob("app-*")] == [".core" if status else ".corebox"]
