"""Disks that are full, fail or cannot be written, files that change while they are read, and a clock that jumps."""

import os
import random
import re
import subprocess
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from corebox.unbundle.verify import verify_bundle
from tests.support.aftermath import Desk, tries
from tests.support.bench import COMMANDS, Bench
from tests.support.disks import mounted
from tests.support.lab import Lab, Result
from tests.support.programs import FOLDER

DISK = 512 << 20
REFUSED = (3, 4)  # bad input, or a machine that lacks something; never 5, a bug


def used(folder: Path) -> int:
    return int(
        subprocess.run(["du", "-s", "-B1", folder], capture_output=True, text=True, check=True).stdout.split()[0]
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_a_full_disk(bench: Bench, tmp_path: Path, command: str) -> None:
    expected = bench.outcome(command)
    disk, chance, refused = tmp_path / "disk", random.Random(command), 0
    disk.mkdir()
    with mounted(disk, "-t", "tmpfs", "-o", f"size={DISK}", "none"):
        desk = bench.lay(command, disk / "desk")
        before = used(disk)
        desk.run()
        needed = used(disk) - before
        for free in [0, *(chance.randrange(needed) for _ in range(tries(2)))]:
            desk = bench.lay(command, disk / "desk")
            with (disk / "ballast").open("wb") as ballast:
                os.posix_fallocate(ballast.fileno(), 0, max(4096, DISK - used(disk) - free))
            done = desk.run()
            assert done.status in (0, 4), done.errors
            assert done.status == 0 or re.search("space|free", done.errors), done.errors
            refused += done.status == 4
            (disk / "ballast").unlink()
            desk.must_be_whole(expected)
    assert refused, "the disk was never full"


@pytest.mark.parametrize("command", COMMANDS)
def test_a_store_and_a_folder_that_cannot_be_written(bench: Bench, command: str) -> None:
    desk, expected = bench.lay(command), bench.outcome(command)
    with mounted(desk.folder, "--bind", str(desk.folder)):
        subprocess.run(["mount", "-o", "remount,ro,bind", str(desk.folder)], check=True)
        done = desk.run()
    assert done.status == 4, done.errors
    assert "Read-only" in done.errors
    desk.must_be_whole(expected)


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that changes a file while it is read."""
    library = tmp_path_factory.mktemp("faulty") / "faulty.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, FOLDER / "faulty.c", "-ldl"], check=True)
    return library


def disturbed(desk: Desk, faulty: Path, fault: str, file: Path, at: int) -> Result:
    """Run the desk's command; at the read number ``at`` of the file it changes."""
    return desk.run({"LD_PRELOAD": str(faulty), "FAULT": fault, "FAULT_FILE": str(file), "FAULT_AT": str(at)})


def unreadable(desk: Desk, file: Path, at: int) -> Result:
    """Run the desk's command; the reads of the file from number ``at`` on fail (strace(1), by ptrace)."""
    calls = "read,pread64,readv,preadv,copy_file_range,sendfile"
    words = ["strace", "--follow-forks", "--quiet=all", "--output=/dev/null", f"--trace-path={file}"]
    words += [f"--inject={calls}:error=EIO:when={at + 1}+"]
    return Lab(desk.lab.home, (*words, *desk.lab.command)).corebox(*desk.words)


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("gather", "{core}"),
        ("gather --slim", "{core}"),
        ("gather", "{core.parent}/libnew.so"),
        ("build", "{bundle}"),
        ("shell", "{bundle}"),
        ("push", "{largest}"),
    ],
)
def test_a_disk_that_cannot_be_read(bench: Bench, command: str, name: str) -> None:
    expected, refused = bench.outcome(command), 0
    for at in (0, 1, 2, 5, 20, *range(50, tries(2) * 25, 25)):
        desk = bench.lay(command)
        largest = max(desk.lab.home.glob("oci/blobs/sha256/*"), key=lambda path: path.stat().st_size)
        file = Path(name.format(core=bench.core, bundle=bench.bundle, largest=largest))
        done = unreadable(desk, file, at)
        if command.startswith("gather") and done.status == 1:
            assert "libnew.so" in done.output  # said to be missing, the rest is there
            (desk.folder / "out/x.corebox").unlink()
            refused += 1
        else:
            assert done.status in (0, *REFUSED), done.errors
            refused += done.status != 0
        desk.must_be_whole(expected)
    assert refused, "the file was never read"


@pytest.mark.parametrize("fault", ["truncate", "grow", "unlink"])
@pytest.mark.parametrize("command", ["gather", "gather --slim"])
def test_a_core_that_changes_while_it_is_read(
    bench: Bench, faulty: Path, tmp_path: Path, command: str, fault: str
) -> None:
    # Each try has a copy of its own, with the holes that a copy has.
    mine = replace(bench, core=tmp_path / "core", known={})
    copy = ["cp", "--preserve", "--sparse=always", str(bench.core), str(mine.core)]
    subprocess.run(copy, check=True)
    expected, refused = mine.outcome(command), 0
    for at in (0, 1, 5, 20, *range(50, tries(3) * 25, 25)):
        desk = mine.lay(command)
        done = disturbed(desk, faulty, fault, mine.core, at)
        mine.core.unlink(missing_ok=True)
        subprocess.run(copy, check=True)
        assert done.status in (0, 1, *REFUSED), done.errors
        refused += done.status in REFUSED
        if done.status in (0, 1):  # it changed before it was opened, or went on to be read without a name
            exact = verify_bundle(desk.folder / "out/x.corebox").ok
            assert exact if fault != "truncate" else "TRUNCATED" in done.output, done.output
            (desk.folder / "out/x.corebox").unlink()
        desk.must_be_whole(expected)
    assert refused or fault == "unlink", "the change was never seen"


@pytest.mark.parametrize("command", [each for each in COMMANDS if each != "shell"])  # bwrap does not start with it
def test_a_clock_that_jumps(bench: Bench, tmp_path: Path, command: str) -> None:
    """By years, forth and back, every few milliseconds; the monotonic clock goes on, as with settimeofday(2)."""
    desk, expected, over = bench.lay(command), bench.outcome(command), threading.Event()
    now, new, chance = tmp_path / "now", tmp_path / "new", random.Random(command)

    def jump() -> None:
        while not over.wait(0.005):
            new.write_text(f"@{chance.randrange(1971, 2037)}-06-01 00:00:00\n")
            new.replace(now)

    now.write_text("@1971-01-01 00:00:00\n")
    library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    clock = {
        "NO_FAKE_STAT": "1",
        "FAKETIME_DISABLE_SHM": "1",
        "FAKETIME_TIMESTAMP_FILE": str(now),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    jumping = threading.Thread(target=jump)
    jumping.start()
    try:
        done = desk.run({"LD_PRELOAD": str(library), **clock})
    finally:
        over.set()
        jumping.join()
    assert done.status == 0, done.errors
    assert desk.verb.essence(desk, done) == expected.essence
    desk.must_be_whole(expected)
