"""A crash whose core does not compress, and what is in it; and what is mounted and runs for it."""

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tests.support.lab import Lab
from tests.support.programs import FOLDER

MiB = 1 << 20
#: Commands of gdb that show what a debugger reads of a core: all stacks, and some of the memory.
LOOK = ("set style enabled off", "thread apply all backtrace", "info registers", "x/16gx $sp")


def crash_dense(folder: Path, mebibytes: int = 48) -> Path:
    """Compile the program and crash it; its core."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "dense"
    subprocess.run(["gcc", "-g", "-O1", "-pthread", FOLDER / "ondemand/dense.c", "-o", program], check=True)
    subprocess.run([program, str(mebibytes)], cwd=folder, check=False, capture_output=True)
    (core,) = folder.glob("core*")
    return core


def gather(core: Path, bundle: Path) -> Path:
    """Gather it on this machine."""
    Lab(bundle.parent / "gathering").done("gather", core, "-o", bundle, "--no-nice")
    return bundle


def frames_in(output: str) -> list[str]:
    """What gdb printed of stacks and memory; where a file is that it cannot find is no matter here."""
    return [line for line in output.splitlines() if line.startswith(("#", "Thread", "0x", "rip", "rsp"))]


def mounts_in(place: Path) -> list[str]:
    """What is mounted beneath ``place``."""
    lines = Path("/proc/self/mounts").read_text().splitlines()
    return [line.split()[1] for line in lines if line.split()[1].startswith(str(place))]


def servers_of(place: Path) -> list[int]:
    """The processes that serve cores, or hold a mount, beneath ``place``."""
    return [pid for pid, words in _processes() if "corebox.ondemand" in words and _serves(pid, place)]


def _processes() -> Iterator[tuple[int, str]]:
    for each in Path("/proc").iterdir():
        if each.name.isdigit():
            try:
                yield int(each.name), (each / "cmdline").read_text().replace("\0", " ")
            except OSError:
                continue


def _serves(pid: int, place: Path) -> bool:
    """Whether the process has its store there: its environment says so."""
    try:
        return str(place).encode() in Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False


def nothing_is_left(place: Path, seconds: float = 20.0) -> bool:
    """Whether, after a while at most, nothing is mounted beneath ``place``, and nothing serves there."""
    deadline = time.monotonic() + seconds
    while mounts_in(place) or servers_of(place):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def size_of(folder: Path) -> int:
    """Bytes that the files of a folder take on the disk."""
    return sum(path.lstat().st_blocks * 512 for path in folder.rglob("*") if not os.path.ismount(path))
