"""Real software: a Python process with numpy, most of whose shared objects were opened with dlopen."""

import html
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.documents import validate
from tests.support.evidence import gdb_alone, sound_report
from tests.support.lab import Lab
from tests.support.programs import FOLDER, HOST_GDB
from tests.support.site import Crash, Site


def mapped_elf_files(crash: Crash, site: Site) -> set[str]:
    """The ELF files among the names in NT_FILE, as another reader of cores than ours sees them."""
    command = [HOST_GDB, "-nx", "-batch", "-iex", "set debuginfod enabled off", "-ex", "info proc mappings"]
    shown = subprocess.run([*command, "-c", str(crash.core)], capture_output=True, text=True, check=False).stdout
    names = set(re.findall(r"^ +0x.* (/.*\S)", shown, re.MULTILINE))
    paths = {name: site.root / name.lstrip("/") for name in names}
    return {name for name, path in paths.items() if path.is_file() and path.read_bytes()[:4] == b"\x7fELF"}


#: The Python frames of tests/programs/arrays/crash.py, the innermost first; each of its last lines calls the next.
STACK = ("string_at", "weigh", "<lambda>", "arrange", "<module>")
SCRIPT = "/usr/src/arrays/crash.py"


@pytest.fixture(scope="module")
def numpy_crash(site: Site) -> Crash:
    """The Python that died in C."""
    return site.crash_numpy()


@pytest.fixture(scope="module")
def numpy_bundle(numpy_crash: Crash, site: Site, zipapp: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its bundle."""
    out = tmp_path_factory.mktemp(site.suite) / "numpy.corebox"
    assert site.gather_inside(numpy_crash, zipapp, out) == 0
    return out


def line_of(text: str) -> int:
    """The line of the script that begins so."""
    lines = (FOLDER / "arrays" / "crash.py").read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.strip().startswith(text))


def test_every_mapped_elf_file_is_in_the_bundle_and_verified(
    site: Site, numpy_crash: Crash, numpy_bundle: Path, lab: Lab
) -> None:
    named_by_ldd = len(site.run("ldd /usr/bin/python3").stdout.splitlines())
    manifest = lab.done("info", numpy_bundle, "--json").json["manifest"]
    modules = {module["path"]: module["verdict"] for module in manifest["modules"]}
    assert set(modules.values()) == {"verified"}
    assert len(modules) > 20
    assert len(modules) > 3 * named_by_ldd
    assert any("_multiarray_umath" in path for path in modules)
    taken = {file["path"] for file in manifest["files"]}
    assert mapped_elf_files(numpy_crash, site) == set(modules) <= taken
    assert lab.done("verify", numpy_bundle, "--json").json["ok"]
    shown = lab.gdb(numpy_bundle, "bubblewrap", "bt").output
    for name in ("_ctypes.cpython", "Py_RunMain", "__libc_start_main"):
        assert name in shown, shown


@pytest.fixture(scope="module")
def report(numpy_crash: Crash, numpy_bundle: Path, site: Site, lab: Lab) -> Any:
    """The report of the crash, with no less than the machine's gdb shows of the site's files."""
    python = site.root / numpy_crash.executable.lstrip("/")
    alone = gdb_alone(numpy_crash.core, python, root=site.root)
    document = sound_report(lab, numpy_bundle, numpy_crash.core, alone)
    validate(document, "report")
    return document


def test_the_report_has_the_python_frames_at_the_native_ones(report: Any) -> None:
    crashed, waiting = report["threads"]
    python = crashed["python"]
    assert [each["function"] for each in python] == list(STACK)
    places = [(each["file"], each["line"]) for each in python[1:]]
    assert places == [
        (SCRIPT, line_of("return ctypes")),
        (SCRIPT, line_of("return sorted")),
        (SCRIPT, line_of("return sorted")),
        (SCRIPT, line_of("arrange([8])")),
    ]
    runs_in = [frame for frame in crashed["frames"] if frame["language"] == "Python"]
    assert "_PyEval_EvalFrameDefault" not in [frame["function"] for frame in crashed["frames"]]
    functions = [each["function"] for frame in runs_in for each in (frame, *frame["inlined_into"])]
    assert functions == list(STACK), "each call of the evaluator has its frames"
    # sorted() is C: what its key calls is run by another call of the evaluator than what called it.
    by_name = {each["function"]: each["native"] for each in python}
    assert by_name["string_at"] <= by_name["weigh"] <= by_name["<lambda>"] < by_name["arrange"] <= by_name["<module>"]
    assert waiting["python"][0]["function"] == "wait"


def test_text_and_page_have_them_too(numpy_bundle: Path, lab: Lab, tmp_path: Path) -> None:
    text = lab.done("report", numpy_bundle, "--engine", "bubblewrap").output
    crashed = text.partition("\nthread 1 (")[2].partition("\nthread 2 (")[0]
    found = re.findall(r"^ +(?:#\d+|called by) +(\S+) at (\S+):(\d+)(?: in \S+ \[Python\])?$", crashed, re.MULTILINE)
    assert tuple(function for function, _, _ in found) == STACK
    assert found[1][1:] == (SCRIPT, str(line_of("return ctypes")))
    page = lab.done("report", numpy_bundle, "--engine", "bubblewrap", "--format", "html").output
    functions = re.findall(r"<(?:b><bdi>|bdi>called by )(.+?)(?: at .*)?</bdi>", page)
    assert [each for each in map(html.unescape, functions) if each in STACK][: len(STACK)] == list(STACK)
    assert SCRIPT in page


def test_the_session_says_the_same(numpy_bundle: Path, lab: Lab, engine: str) -> None:
    shown = lab.gdb(numpy_bundle, engine, "py-bt", "thread 2", "corebox python").output
    first, second = shown.split("Traceback (most recent call last):\n")[1:]
    found = re.findall(r'^  File "(.*)", line (\d+), in (.*)$', first, re.MULTILINE)
    assert tuple(reversed([function for _, _, function in found])) == STACK
    assert found[-2] == (SCRIPT, str(line_of("return ctypes")), "weigh")
    assert re.findall(r", in (.*)$", second, re.MULTILINE)[-1] == "wait"
