"""Building images and opening them, against `docker build` and the bare gdb."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from benchmarks.cores import MIX, crash
from benchmarks.gather import COREBOX
from benchmarks.measure import Measured, Row, median, run

TAG = "corebox-benchmark"


def rows(work: Path) -> Iterator[Row]:
    """Build and open one crash, then a second of the same program."""
    home = {"COREBOX_HOME": str(work / "home")}
    first = _bundle(crash(MIX, work / "first"), work / "first.corebox")
    second = _bundle(crash(MIX, work / "second", "b"), work / "second.corebox")
    run([*COREBOX, "toolbox", "build"], env=home)
    ours = run([*COREBOX, "build", first, "--no-load"], env=home)
    again = run([*COREBOX, "build", second, "--no-load"], env=home)
    docker = _docker_build(_unpacked(first, work / "first-context"))
    yield Row("build into the store", ours, "`docker build` of the same files and core", docker)
    yield Row("build a second crash of the program", again, "`docker build` of it", docker)
    yield from _open(first, home, work)
    subprocess.run(["docker", "rmi", "-f", TAG], capture_output=True, check=False)


def _open(bundle: Path, home: dict[str, str], work: Path) -> Iterator[Row]:
    root = work / "first-context" / "rootfs"
    manifest = json.loads((work / "first-context" / "corebox.json").read_bytes())
    executable = root / manifest["process"]["executable"].lstrip("/")
    core = work / "first-context" / "core"
    bare = median(5, lambda: run(["gdb", "-nx", "-batch", "-ex", f"set sysroot {root}", "-ex", "bt", executable, core]))
    for engine in ("bubblewrap", "docker"):
        command = [*COREBOX, "shell", bundle, "--engine", engine, "--", "-batch", "-ex", "bt"]
        run(command, env=home)
        ours = median(5, lambda command=command: run(command, env=home))  # type: ignore[misc]
        yield Row(f"shell to the first backtrace, {engine}", ours, "the bare gdb", bare)


def _bundle(core: Path, out: Path) -> Path:
    run([*COREBOX, "gather", core, "-o", out])
    return out


def _unpacked(bundle: Path, folder: Path) -> Path:
    folder.mkdir()
    subprocess.run(["tar", "--zstd", "-xf", bundle, "-C", folder], check=True)
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY rootfs /\nCOPY core /core\n")
    return folder


def _docker_build(context: Path) -> Measured:
    environment = {"DOCKER_BUILDKIT": "0"} if shutil.which("docker") else dict(os.environ)
    return run(["docker", "build", "--no-cache", "-q", "-t", TAG, context], env=environment)
