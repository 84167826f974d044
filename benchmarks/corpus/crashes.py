"""Make the crashes: build each release in each site, let it die there, and gather the bundle."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.corpus.plan import NATIVE, Case
from corebox.gather.cli import main as gather
from tests.support.programs import FOLDER
from tests.support.shared import locked
from tests.support.site import Site

SOURCES = FOLDER / "corpus"
FLAGS = "-std=c++17 -g -pthread -fstack-protector-strong"
STACK = 512  # KiB: an endless recursion need not fill 8 MiB


def make(cases: Sequence[Case], out: Path) -> dict[str, Case]:
    """The path of each bundle, with its case."""
    made: dict[str, Case] = {}
    for suite in dict.fromkeys(case.site for case in cases):
        site = Site(suite)
        here = [case for case in cases if case.site == suite]
        with locked(f"corpus-{suite}"):
            _build(site, {(case.release, case.level, case.program) for case in here if case.bug in NATIVE})
            made.update(_crash(site, here, out))
    return made


def _build(site: Site, wanted: set[tuple[int, str, str]]) -> None:
    site.put(SOURCES / "ledger.cc", "/usr/src/corpus/ledger.cc")
    site.put(SOURCES / "invoices.py", "/opt/corpus/invoices.py")
    words = [
        f"g++ {FLAGS} {level} -DRELEASE={release} -o {program} ledger.cc" for release, level, program in sorted(wanted)
    ]
    site.run(" && ".join(["cd /usr/src/corpus", *words]))


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
