"""A pytest plugin: what crashes while the tests run, a child of a test or the interpreter itself, becomes a bundle.

It does nothing unless ``--crashes DIR`` or the setting ``crashes`` names a folder. After each test its temporary folder
and its working directory are looked through, at the end the whole tree. If the interpreter dies, a process that waits
for its end does that.
"""

import os
import re
import resource
import subprocess
import sys
import time
import zlib
from collections.abc import Generator, Iterable, Iterator
from itertools import chain, islice
from pathlib import Path

import pytest

_CORE = re.compile(r"core([.-].*)?|.*\.core|vgcore\..*")
_PATTERN = Path("/proc/sys/kernel/core_pattern")
#: Entries that are looked at, bundles that are made of one run, seconds for each.
_MAX_ENTRIES, _MAX_BUNDLES, _TIME_LIMIT = 200_000, 10, 120
_SKIPPED = {".git", ".tox", ".nox", ".venv", "node_modules", "__pycache__"}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Say how it is turned on."""
    words = "Make bundles of what crashes while the tests run, in the folder DIR (corebox)."
    parser.getgroup("corebox").addoption("--crashes", metavar="DIR", help=words)
    parser.addini("crashes", words)


def pytest_configure(config: pytest.Config) -> None:
    """Allow cores, here and in what the tests start."""
    folder = config.getoption("crashes") or config.getini("crashes")
    if folder:
        limit = resource.getrlimit(resource.RLIMIT_CORE)[1]
        resource.setrlimit(resource.RLIMIT_CORE, (limit, limit))
        out = (config.rootpath / folder).absolute()
        config.pluginmanager.register(_Plugin(config, Crashes(out)), "corebox-crashes")


class Crashes:
    """The folder of the bundles of one run. The name of a bundle ends with what tells its core from others."""

    def __init__(self, folder: Path, since: float | None = None) -> None:
        self.folder = folder
        self.since = since or time.time() - 1  # file systems keep time less exactly

    def bundle(self, cores: Iterable[Path], test: str | None = None) -> Iterator[str]:
        """Make those that are not there yet, and say what became of each core."""
        for core in cores:
            mark = f"{zlib.crc32(f'{core.absolute()} {core.stat().st_mtime_ns}'.encode()):08x}"
            if any(self.folder.glob(f"*-{mark}.*")):
                continue
            self.folder.mkdir(parents=True, exist_ok=True)
            if sum(1 for _ in self.folder.glob("*.corebox")) >= _MAX_BUNDLES:
                yield f"{core} stays as it is: {self.folder} has {_MAX_BUNDLES} bundles"
                return
            name = re.sub(r"[^\w.]+", "-", test or core.name).strip("-.")[-100:]
            yield _gathered(core, self.folder / f"{name}-{mark}.corebox")

    def cores_of(self, *folders: Path) -> list[Path]:
        """The cores directly in these folders."""
        there = [path for each in set(folders) if each.is_dir() for path in each.iterdir()]
        return [path for path in there if self._is_new_core(path)]

    def cores_below(self, *folders: Path) -> list[Path]:
        """The cores in these folders and in what is beneath them."""
        paths = islice(chain.from_iterable(map(_walk, folders)), _MAX_ENTRIES)
        return sorted({path for path in paths if self._is_new_core(path)})

    def _is_new_core(self, path: Path) -> bool:
        if not _CORE.fullmatch(path.name):
            return False
        try:
            if not path.is_file() or path.is_symlink() or path.stat().st_mtime < self.since:
                return False
            with path.open("rb") as file:
                start = file.read(18)
        except OSError:
            return False
        return start.startswith(b"\x7fELF") and 4 in start[16:18]  # ET_CORE, of either byte order


def _walk(top: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(top):
        folders[:] = [name for name in folders if name not in _SKIPPED]
        yield from (Path(folder, name) for name in names)


def _gathered(core: Path, bundle: Path) -> str:
    """The environment of a job holds its secrets, and bundles of a job are published: its values are blanked."""
    options = ["--slim", "--redact", "env", "--no-nice"]
    command = [sys.executable, "-m", "corebox", "gather", str(core), *options, "-o", str(bundle)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIME_LIMIT, check=False)
    except subprocess.TimeoutExpired:
        return f"{core}: no bundle within {_TIME_LIMIT} seconds"
    if not bundle.exists():
        return f"{core}: {done.stderr.strip()}"
    return f"{core} is in {bundle}; corebox report {bundle}"


class _Plugin:
    def __init__(self, config: pytest.Config, crashes: Crashes) -> None:
        self._config, self._crashes = config, crashes
        self._lines: list[str] = []
        self._watcher: subprocess.Popen[bytes] | None = None
        if not hasattr(config, "workerinput"):  # with pytest-xdist, the process that starts the workers does that
            self._places = [config.rootpath, config.invocation_params.dir]
            self._watcher = self._watched()

    def _watched(self) -> subprocess.Popen[bytes]:
        """A process that outlives this one if it dies."""
        words = [str(self._crashes.folder), str(self._crashes.since), *map(str, self._places)]
        return subprocess.Popen([sys.executable, "-m", __name__, *words], stdin=subprocess.PIPE, start_new_session=True)

    def pytest_report_header(self) -> str:
        """Where cores will go; nothing can be found that another program takes."""
        pattern = _PATTERN.read_text().strip()
        taken = f"; none will be found, for cores go to {pattern}" if pattern.startswith("|") else ""
        return f"crashes: bundles in {self._crashes.folder}{taken}"

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Before the test's folders are removed."""
        report = yield
        if call.when == "call":
            folder = getattr(item, "funcargs", {}).get("tmp_path")
            cores = self._crashes.cores_of(Path.cwd())
            cores += self._crashes.cores_below(folder) if folder else []
            report.sections += [("crash", line) for line in self._crashes.bundle(cores, item.nodeid)]
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember what the workers say, too."""
        if report.when == "call":
            self._lines += [line for title, line in report.sections if title == "crash"]

    def pytest_sessionfinish(self) -> None:
        """Look for the cores of workers and of what no test waited for."""
        if self._watcher:
            assert self._watcher.stdin
            self._watcher.communicate(b"done")
            self._lines += self._crashes.bundle(self._crashes.cores_below(*self._places))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """List all."""
        if self._lines:
            terminalreporter.section("crashes")
            for line in self._lines:
                terminalreporter.line(line)


def main(folder: str, since: str, *places: str) -> None:
    """Wait for the end of the process at the other end of the standard input, and look for its core if it died."""
    if sys.stdin.buffer.read() != b"done":
        crashes = Crashes(Path(folder), float(since))
        for line in crashes.bundle(crashes.cores_below(*map(Path, places))):
            print(f"crashes: {line}", file=sys.stderr)  # noqa: T201  # pytest itself is gone


if __name__ == "__main__":
    main(*sys.argv[1:])
