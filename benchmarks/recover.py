"""Bare cores of real programs of four releases of Debian, completed from Debian's archive: what is found, and how fast.

``python -m benchmarks.recover`` makes the table of benchmarks/README.md. It needs root, mmdebstrap and the
archive.
"""

import contextlib
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.support.site import cached_root

SUITES = ("bullseye", "bookworm", "trixie", "forky")
PACKAGES = ("redis-server", "nodejs", "python3-numpy", "ruby", "nginx")
_NUMPY = "import ctypes, json, sqlite3, ssl, numpy, numpy.fft, numpy.linalg, numpy.random; ctypes.string_at(0)"
_NODE = 'for (const each of ["crypto", "http", "zlib", "dns"]) require(each); process.abort()'
_RUBY = 'require "openssl"; require "json"; require "socket"; require "zlib"; Process.kill("ABRT", $$); sleep 9'
_NGINX = "include /etc/nginx/modules-enabled/*.conf; events {} http { server { listen unix:/var/crash/nginx; } }"
_NGINX_OPTIONS = "daemon off; master_process off; pid /var/crash/nginx.pid;"
#: What is run in the root, in the folder of the crash.
PROGRAMS = {
    "redis": "redis-server --port 0 --unixsocket $PWD/socket --save '' & P=$!; sleep 3; kill -SYS $P; wait",
    "node": f"node -e '{_NODE}'",
    "Python with numpy": f"python3 -c '{_NUMPY}'",
    "ruby": f"ruby -e '{_RUBY}'",
    "nginx": f"rm -f ../nginx; echo '{_NGINX}' > conf; nginx -c $PWD/conf -g '{_NGINX_OPTIONS}' & P=$!;"
    " sleep 3; kill -ABRT $P; wait",
}
_ENTER = 'mount -t proc proc "$0/proc" && cd "$0" && exec chroot "$0" sh -c "$1"'
#: Runs in a process of its own, so that its memory is that of one search.
_ONE = """
import json, sys, time
from pathlib import Path
begun = time.monotonic()
from corebox.actions.recover import recover
from corebox.actions.subject import BareCore
from corebox.locate.places import SymbolOptions, open_places
from corebox.store.store import Store
core, place, home, out = sys.argv[1:]
store, told = Store(Path(home)), []
places = open_places(SymbolOptions((place,)), store, {}, told.append, lambda _: None)
found = recover(store, BareCore(Path(core)), places, Path(out)).search
gaps = [gap.wanted.names[0] for gap in found.gaps]
received = places.sources[0].received
print(json.dumps({"seconds": time.monotonic() - begun, "found": len(found.taken), "gaps": gaps, "bytes": received}))
"""


class Search(NamedTuple):
    """One search: seconds, of these the processor's, modules found, those missing, bytes received and of memory."""

    seconds: float
    processor: float
    found: int
    gaps: list[str]
    received: int
    memory: int


def crash(root: Path, name: str, folder: str) -> Path:
    """The core that the program of this name leaves in the root."""
    place = root / "var" / "crash" / folder
    place.mkdir(parents=True, exist_ok=True)
    for old in place.glob("core*"):
        old.unlink()
    command = f"cd /var/crash/{folder}; ulimit -c unlimited; {PROGRAMS[name]}"
    environment = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C.UTF-8", "HOME": "/root"}
    words = ["unshare", "--mount", "sh", "-c", _ENTER, str(root), command]
    subprocess.run(words, env=environment, check=False, capture_output=True, timeout=30)
    (core,) = place.glob("core*")
    return core


def search(core: Path, place: str, home: Path, out: Path) -> Search:
    """Recover in a process of its own."""
    words = [sys.executable, "-c", _ONE, str(core), place, str(home), str(out)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        answer = json.loads(process.stdout.read())
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    processor = usage.ru_utime + usage.ru_stime
    memory = usage.ru_maxrss * 1024
    return Search(answer["seconds"], processor, answer["found"], answer["gaps"], answer["bytes"], memory)


def rows() -> Iterator[str]:
    """The table, a row for each core; what is missing stands on standard error."""
    yield "| release | program | modules found | cold, processor | warm, processor | downloaded | memory |"
    yield "|---|---|---|---|---|---|---|"
    found = wanted = 0
    for suite in SUITES:
        root = cached_root(suite, PACKAGES)
        for name in PROGRAMS:
            core = crash(root, name, "recover")
            with tempfile.TemporaryDirectory() as folder:
                home, out = Path(folder, "home"), Path(folder, "out.corebox")
                cold, warm = (search(core, f"debian:{suite}", home, out) for _ in range(2))
            with contextlib.suppress(FileNotFoundError):
                core.unlink()
            print(f"{suite} {name}: missing {', '.join(cold.gaps)}" if cold.gaps else "", end="", file=sys.stderr)
            total = cold.found + len(cold.gaps)
            found, wanted = found + cold.found, wanted + total
            peak = max(cold.memory, warm.memory) / 1e6
            times = [f"{each.seconds:.1f} s, {each.processor:.1f} s" for each in (cold, warm)]
            cells = (suite, name, f"{cold.found} of {total}", *times)
            yield f"| {' | '.join(cells)} | {cold.received / 1e6:.0f} MB | {peak:.0f} MB |"
    yield f"\n{found} of {wanted} modules, {100 * found / wanted:.1f} %"


def main() -> None:
    """Print the table."""
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    print(f"`python -m benchmarks.recover`, {platform.platform()}, {time.strftime('%Y-%m-%d')}\n")
    for row in rows():
        print(row, flush=True)


if __name__ == "__main__":
    main()
