"""Real programs that really crash, with 2 modules to 400, each with all that it has loaded when it is at work."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from benchmarks.cores import SMALL, crash

_PATIENCE = 60.0  # seconds until a program must be at work
_LIBRARIES = 400
_OFFICE = "/usr/lib/libreoffice/program/soffice.bin"

_NUMPY = """
import ctypes, json, sqlite3, ssl
import numpy, numpy.fft, numpy.linalg, numpy.random
data = numpy.random.default_rng(1).random((1000, 1000))
numpy.linalg.svd(data[:100, :100])
ctypes.string_at(0)
"""
_NODE = """
const orders = Array.from({length: 200000}, (_, id) => ({id, name: `order ${id}`, total: id * 1.5}));
for (const module of ["crypto", "http", "zlib", "dns"]) require(module);
setTimeout(() => { orders.sort((a, b) => b.total - a.total); process.abort(); }, 100);
"""
_LIBRARY = "int number%d(int *p) { return *p + %d; } const char data%d[200000] = {%d};"
_LOADER = r"""
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
int main(int count, char **arguments) {
    void *library = 0;
    for (int i = 0; i < atoi(arguments[2]); ++i) {
        char name[4096];
        snprintf(name, sizeof name, "%s/lib%d.so", arguments[1], i);
        if (!(library = dlopen(name, RTLD_NOW))) return puts(dlerror());
    }
    return ((int (*)(int *))dlsym(library, arguments[3]))(0);
}
"""


class Crash(NamedTuple):
    """An executable, and the core that it left."""

    executable: Path
    core: Path


def small(folder: Path) -> Crash:
    """A program with four threads that has libc and its loader only."""
    core = crash(SMALL, folder / "crash")
    return Crash(folder / "program" / "fill", core)


def redis(folder: Path) -> Crash:
    """A server with some keys, that gets a signal."""
    socket = folder / "socket"
    options = f"--port 0 --unixsocket {socket} --enable-debug-command yes --save".split()
    command = ["redis-server", *options, ""]

    def at_work(_: int) -> bool:
        fill = ["redis-cli", "-s", str(socket), "DEBUG", "POPULATE", "20000"]
        return socket.exists() and subprocess.run(fill, capture_output=True, check=False).returncode == 0

    return _killed(command, folder, at_work)


def node(folder: Path) -> Crash:
    """A script that aborts, with 200,000 objects."""
    return _crashed(["node", "-e", _NODE], folder)


def numpy(folder: Path) -> Crash:
    """Debian's Python, which reads at address 0 by ctypes."""
    return _crashed(["/usr/bin/python3", "-c", _NUMPY], folder)


def office(folder: Path) -> Crash:
    """LibreOffice with a document open, that gets a signal which it does not handle itself."""
    document = folder / "letter.txt"
    document.write_text("Dear customer,\n" * 1000)
    settings = f"-env:UserInstallation=file://{folder}/settings"
    command = [_OFFICE, "--headless", "--norestore", "--nologo", settings, "--writer", str(document)]
    subprocess.run([*command, "--terminate_after_init"], check=False, capture_output=True)  # it makes its settings
    return _killed(command, folder, lambda pid: "libswlo" in _maps(pid) and (folder / ".~lock.letter.txt#").exists())


def libraries(folder: Path) -> Crash:
    """A program that has opened 400 libraries of 200 kB."""
    for number in range(_LIBRARIES):
        _compile(_LIBRARY % (number, number, number, number % 255 + 1), folder / f"lib{number}.so", "-shared", "-fPIC")
    _compile(_LOADER, folder / "loader")
    last = f"number{_LIBRARIES - 1}"
    return _crashed([str(folder / "loader"), str(folder), str(_LIBRARIES), last], folder)


PROGRAMS: dict[str, Callable[[Path], Crash]] = {
    "a small program": small,
    "redis": redis,
    "node": node,
    "Python with numpy": numpy,
    "LibreOffice": office,
    "400 libraries": libraries,
}


def _crashed(command: list[str], folder: Path) -> Crash:
    """Run a program that crashes by itself."""
    subprocess.run(command, cwd=folder, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return _left(command[0], folder)


def _killed(command: list[str], folder: Path, at_work: Callable[[int], bool]) -> Crash:
    """Run a program until it is at work, and send it SIGSYS, whose default is a core."""
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        end = time.monotonic() + _PATIENCE
        while not at_work(process.pid):
            assert process.poll() is None, f"{command} has ended"
            assert time.monotonic() < end, f"{command} is not at work after {_PATIENCE} s"
            time.sleep(0.2)
        process.send_signal(signal.SIGSYS)
    return _left(command[0], folder)


def _left(program: str, folder: Path) -> Crash:
    (core,) = folder.glob("core*")
    found = subprocess.run(["which", program], check=True, capture_output=True, text=True).stdout.strip()
    os.sync()
    return Crash(Path(found).resolve(), core)


def _maps(pid: int) -> str:
    return Path(f"/proc/{pid}/maps").read_text()


def _compile(source: str, out: Path, *options: str) -> None:
    command = ["gcc", "-g", "-O0", "-x", "c", "-", "-o", str(out), *options]
    subprocess.run(command, input=source.encode(), check=True)
