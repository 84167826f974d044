"""Make the crashes: build each release in each site, let it die there, and gather the bundle."""

import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.corpus.plan import MUSL, NATIVE, Case
from corebox.gather.cli import main as gather
from tests.support.programs import FOLDER
from tests.support.shared import CACHE, locked
from tests.support.site import Site

SOURCES = FOLDER / "corpus"
FLAGS = "-std=c++17 -g -pthread -fstack-protector-strong"
STACK = 512  # KiB: an endless recursion need not fill 8 MiB
ZIG = "ziglang==0.17.1"  # a package of PyPI: Clang, libc++ and musl
MUSL_FLAGS = f"-target x86_64-linux-musl -dynamic -fno-sanitize=undefined -Wl,--build-id=sha1 {FLAGS}"


def make(cases: Sequence[Case], out: Path) -> dict[str, Case]:
    """The path of each bundle, with its case; ``out / "symbols"`` gets the programs with their debug information."""
    made: dict[str, Case] = {}
    for name in dict.fromkeys(case.site for case in cases):
        site = Site("trixie", ("musl", "binutils")) if name == MUSL else Site(name)
        here = [case for case in cases if case.site == name]
        with locked(f"corpus-{name}"):
            _build(site, name, {(case.release, case.level) for case in here if case.bug in NATIVE})
            shutil.copytree(site.root / "opt" / "corpus" / "debug", out / "symbols" / name)
            made.update(_crash(site, here, out))
    return made


def _build(site: Site, name: str, wanted: set[tuple[int, str]]) -> None:
    """Each program with debug information, without it, and without any symbol."""
    site.put(SOURCES / "ledger.cc", "/usr/src/corpus/ledger.cc")
    site.put(SOURCES / "invoices.py", "/opt/corpus/invoices.py")
    site.run("cd /opt/corpus && rm -rf debug names stripped && mkdir debug names stripped")
    for release, level in sorted(wanted):
        program = f"ledger-{release}{level}"
        words = f"{level} -DRELEASE={release} -o /opt/corpus/debug/{program} /usr/src/corpus/ledger.cc"
        if name == MUSL:
            _zig(site, words.replace(" /", f" {site.root}/"))
        else:
            site.run(f"g++ {FLAGS} {words}")
        strip = f"strip -g -o names/{program} debug/{program} && strip -o stripped/{program} debug/{program}"
        site.run(f"cd /opt/corpus && {strip}")


def _zig(site: Site, words: str) -> None:
    folder = CACHE / ZIG
    if not folder.exists():
        subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--target", folder, ZIG], check=True)
    command = [str(folder / "ziglang" / "zig"), "c++", *MUSL_FLAGS.split(), *words.split()]
    subprocess.run(command, check=True, cwd=site.root)


def _crash(site: Site, cases: Sequence[Case], out: Path) -> Iterator[tuple[str, Case]]:
    place = site.root / "var" / "crash" / "corpus"
    shutil.rmtree(place, ignore_errors=True)
    lines = [f"(mkdir -p {case.name} && cd {case.name} && {case.command})" for case in cases]
    script = "\n".join(["ulimit -c unlimited", f"ulimit -s {STACK}", *lines])
    site.run(f"mkdir -p /var/crash/corpus && cd /var/crash/corpus\n{script}", check=False)
    for case in cases:
        cores = list((place / case.name).glob("core*"))
        assert len(cores) == 1, f"{case.name} left {cores}"
        bundle = out / f"{case.name}.corebox"
        status = gather([str(cores[0]), "--root", str(site.root), "--no-nice", "-o", str(bundle)])
        assert status in (0, 1), f"{case.name}: {status}"
        yield str(bundle), case
    shutil.rmtree(place)
