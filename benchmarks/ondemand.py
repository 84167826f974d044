"""How long the first backtrace of all threads takes while the core stays where it is, and how much of it is read."""

import ctypes
import mmap
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks import cores
from benchmarks.measure import Measured, median, run
from corebox.ondemand.mount import served
from corebox.ondemand.request import Request
from corebox.ondemand.sealed import open_sealed
from corebox.unbundle.around import AroundReader
from tests.support.registry import Registry, running

MiB = 1 << 20
HEADER = (
    "| core, dense | how | first backtrace of all threads | processors | read or moved | store grows by |\n"
    "|---|---|---|---|---|---|"
)
_SHAPES = [cores.Shape(f"{size} MiB", size * MiB, 6 * MiB, 6 * MiB) for size in (64, 1024, 8192)]
_REPEAT = 3
_LOOK = ("-batch", "-ex", "thread apply all backtrace")
#: Bytes a second: 100 Mbit/s.
_SLOW = 12_500_000
_PIECE = 1 << 14


@dataclass(frozen=True)
class Opening:
    """A way to the first backtrace."""

    core: str
    how: str
    measured: Measured
    read: int | None
    grown: int | None

    def markdown(self) -> str:
        """One line of the table."""
        seconds = f"{self.measured.seconds:.2f} s"
        sizes = [f"{size / 1e6:.1f} MB" if size is not None else "" for size in (self.read, self.grown)]
        cells = [self.core, self.how, seconds, f"{self.measured.processor:.2f} s", *sizes]
        return "| " + " | ".join(cells) + " |"


class SlowNetwork:
    """Forwards connections to a port of this machine at a bounded rate, all together; ``passed`` counts the answers."""

    def __init__(self, target: int, rate: float) -> None:
        self._target, self._rate = target, rate
        self._lock, self._free = threading.Lock(), 0.0
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self.passed = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            near, _ = self._server.accept()
            far = socket.create_connection(("127.0.0.1", self._target))
            for source, sink, bounded in ((near, far, False), (far, near, True)):
                threading.Thread(target=self._forward, args=(source, sink, bounded), daemon=True).start()

    def _forward(self, source: socket.socket, sink: socket.socket, bounded: bool) -> None:
        try:
            while data := source.recv(_PIECE):
                if bounded:
                    self._wait(len(data))
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            source.close()
            sink.close()

    def _wait(self, count: int) -> None:
        with self._lock:
            self.passed += count
            self._free = max(self._free, time.monotonic()) + count / self._rate
            until = self._free
        time.sleep(max(0.0, until - time.monotonic()))


def rows(work: Path) -> Iterator[Opening]:
    """Each size, smallest first, as long as the disk has room for the core, its bundle and its image."""
    for shape in _SHAPES:
        if shutil.disk_usage(work).free < 3.5 * shape.size:
            print(f"not enough disk for {shape.name}: left out", file=sys.stderr)
            return
        yield from _of(shape, work / shape.name.replace(" ", "-"))


def _of(shape: cores.Shape, folder: Path) -> Iterator[Opening]:
    core, bundle, home = cores.crash(shape, folder / "crash"), folder / "x.corebox", folder / "home"
    program = folder / "program" / "fill"
    corebox = [sys.executable, "-m", "corebox"]
    env = {"COREBOX_HOME": str(home), "DEBUGINFOD_URLS": ""}
    run([*corebox, "gather", core, "-o", bundle, "--no-nice"])
    run([*corebox, "toolbox", "build"], env)
    gdb = ["gdb", "-nx", "-iex", "set debuginfod enabled off", *_LOOK, "-c", str(core), str(program)]
    yield Opening(shape.name, "bare gdb on the raw core", median(_REPEAT, lambda: run(gdb)), None, None)
    look = [*corebox, "shell", str(bundle), "--engine", "bubblewrap"]
    before = _size(home)
    first = run([*look, "--core", "on-demand", "--", *_LOOK], env)
    yield Opening(shape.name, "from the bundle, the first time", first, None, _size(home) - before)
    again = median(_REPEAT, lambda: run([*look, "--core", "on-demand", "--", *_LOOK], env), lambda: _forget(bundle))
    yield Opening(shape.name, "from the bundle", again, _resident(bundle), _size(home) - before)
    yield _sequential(shape, bundle, folder)
    core.unlink()
    yield from _whole_and_far(shape, bundle, home, folder)
    shutil.rmtree(folder)


def encrypted_rows(work: Path) -> Iterator[Opening]:
    """One bundle that is encrypted, whose whole core is decrypted beside it."""
    (shape,) = [each for each in _SHAPES if each.size == 1024 * MiB]
    folder = work / "encrypted"
    core, bundle, home, key = (
        cores.crash(shape, folder / "crash"),
        folder / "x.corebox",
        folder / "home",
        folder / "key",
    )
    made = subprocess.run(["age-keygen", "-o", key], check=True, capture_output=True, text=True)
    corebox = [sys.executable, "-m", "corebox"]
    env = {"COREBOX_HOME": str(home), "DEBUGINFOD_URLS": ""}
    gather = [*corebox, "gather", str(core), "-o", str(bundle), "--no-nice", "--encrypt-to", made.stderr.split()[-1]]
    yield Opening(shape.name, "gather, encrypted", run(gather), None, None)
    run([*corebox, "toolbox", "build"], env)
    look = [*corebox, "shell", str(bundle), "--engine", "bubblewrap", "--identity", str(key), "--core"]
    before = _size(home)
    again = median(_REPEAT, lambda: run([*look, "on-demand", "--", *_LOOK], env), lambda: _forget(bundle))
    yield Opening(shape.name, "from the encrypted bundle", again, _resident(bundle), _size(home) - before)
    yield _sequential(shape, bundle, folder, key)
    before = _size(home)
    whole = run([*look, "whole", "--", *_LOOK], env)
    yield Opening(shape.name, "`--core whole`", whole, bundle.stat().st_size, _size(home) - before)
    shutil.rmtree(folder)


def _sequential(shape: cores.Shape, bundle: Path, folder: Path, identity: Path | None = None) -> Opening:
    """A read of the whole core through the mount."""
    with AroundReader(bundle, open_sealed(bundle, identity) if identity else None) as reader:
        around = reader.around()
    mounted = folder / "mounted"
    mounted.mkdir()
    (folder / "core.digests").write_bytes(around.digests)
    request = Request(mounted, around.place, folder / "core.digests", bundle, identity=identity)
    with served(request) as serving:
        measured = run(["dd", f"if={serving.path()}", "of=/dev/null", "bs=1M", "status=none"])
    rate = around.place.size / measured.seconds / 1e6
    return Opening(shape.name, f"a read of all of it, {rate:.0f} MB/s", measured, around.place.size, None)


def _whole_and_far(shape: cores.Shape, bundle: Path, home: Path, folder: Path) -> Iterator[Opening]:
    corebox = [sys.executable, "-m", "corebox"]
    env = {"COREBOX_HOME": str(home), "DEBUGINFOD_URLS": ""}
    before = _size(home)
    look = [*corebox, "shell", str(bundle), "--engine", "bubblewrap", "--core", "whole", "--", *_LOOK]
    whole = run(look, env)
    yield Opening(shape.name, "`--core whole`", whole, bundle.stat().st_size, _size(home) - before)
    with running(Registry(folder / "registry")) as registry:
        run([*corebox, "push", bundle, f"{registry.host}/a/crash:1", "--compression", "zstd"], env)
        shutil.rmtree(home)
        run([*corebox, "toolbox", "build"], env)
        network = SlowNetwork(registry.port, _SLOW)
        name = f"127.0.0.1:{network.port}/a/crash:1"
        for command in (
            ["shell", name, "--engine", "bubblewrap", "--", *_LOOK],
            ["report", name, "--engine", "bubblewrap"],
        ):
            before, passed = _size(home), network.passed
            measured = run([*corebox, *command], env)
            how = f"`{command[0]}` from a registry at 100 Mbit/s"
            yield Opening(shape.name, how, measured, network.passed - passed, _size(home) - before)
            shutil.rmtree(home / "cache/partial")


def _size(folder: Path) -> int:
    """Bytes of the store but for the toolbox, laid out, which all crashes share."""
    toolbox = (".corebox", "toolbox")
    return sum(path.lstat().st_blocks * 512 for path in folder.rglob("*") if not set(toolbox) <= set(path.parts))


def _forget(path: Path) -> None:
    """Take the file out of the page cache."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _resident(path: Path) -> int:
    """Bytes of the file that are in the page cache: what was read of it, and what the kernel read ahead."""
    size = path.stat().st_size
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), size, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE) as m,
    ):
        pages = -(-size // mmap.PAGESIZE)
        found = (ctypes.c_ubyte * pages)()
        start = ctypes.addressof(ctypes.c_char.from_buffer(m))
        ctypes.CDLL(None).mincore(ctypes.c_void_p(start), ctypes.c_size_t(size), found)
        resident = sum(each & 1 for each in found)
    return resident * mmap.PAGESIZE
