"""What goes into a toolbox, of a small gdb and a small standard library: which files, under which names, and a list."""

import json
import sys
from pathlib import Path

import pytest

from corebox.errors import HostError
from corebox.image.findgdb import Debugger, find_gdb
from corebox.image.parts import TOOLBOX_HOME
from corebox.image.sbom import SBOM, describe_toolbox
from corebox.image.tar import Entry
from corebox.image.toolboxparts import gather_entries
from corebox.resources import shipped

VERSION = ".".join(map(str, sys.version_info[:3]))
SHORT = "python" + VERSION.rpartition(".")[0]
TAG = "cpython-" + "".join(VERSION.split(".")[:2])
STDLIB = {"os.py": "x = 1\n", "encodings/utf_8.py": "", "test/test_os.py": "", "sqlite3/dbapi2.py": "", "x.txt": ""}
PACKAGE = {"__init__.py": "", "command/pretty_printers.py": ""}
DATA = {"syscalls/amd64-linux.xml": "<x/>", "auto-load/x.py": "", "python/gdb/__init__.py": ""}


def tree(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@pytest.fixture
def debugger(tmp_path: Path) -> Debugger:
    """A program of this machine in the place of gdb."""
    return Debugger(
        gdb=Path("/bin/true").resolve(),
        gdb_version="99.1",
        package=tree(tmp_path / "package", PACKAGE),
        data=tree(tmp_path / "data", DATA),
        libpython=None,
        stdlib=tree(tmp_path / "stdlib", STDLIB),
        dynload=tree(tmp_path / "dynload", {"_testcapi.so": "left out"}),
        python_version=VERSION,
        interpreter=(sys.executable, "-s", "-S", "-B"),
        packages={"share/libstdcxx/libstdcxx": tree(tmp_path / "printers", {"v6/printers.py": "y = 2\n"})},
    )


@pytest.fixture
def entries(debugger: Debugger, tmp_path: Path) -> dict[str, Entry]:
    """The toolbox's files by their names in it."""
    (tmp_path / "work").mkdir()
    found = gather_entries(debugger, shipped("images/toolbox"), tmp_path / "work")
    return {each.path.removeprefix(f"{TOOLBOX_HOME}/"): each for each in found}


def test_what_gdb_needs_is_there_and_what_nobody_needs_is_not(entries: dict[str, Entry]) -> None:
    assert {
        "bin/gdb",
        "lib/ld.so",
        "lib/libc.so.6",
        "lib/gconv/gconv-modules",
        f"python/lib/{SHORT}/os.pyc",
        f"python/lib/{SHORT}/encodings/utf_8.pyc",
        "share/gdb/python/gdb/__init__.py",
        f"share/gdb/python/gdb/__pycache__/__init__.{TAG}.pyc",
        "share/gdb/syscalls/amd64-linux.xml",
        "share/libstdcxx/libstdcxx/v6/printers.py",
        "versions.json",
    } <= set(entries)
    assert not [name for name in entries if "test_os" in name or "sqlite3" in name or "_testcapi" in name]
    assert f"python/lib/{SHORT}/os.py" not in entries, "compiled alone"
    assert "share/gdb/auto-load/x.py" not in entries
    assert entries["bin/gdb"].mode == 0o755
    assert entries["lib/ld.so"].target in {name.rpartition("/")[2] for name in entries}
    assert any(name.startswith("share/corebox/corebox/gdbside/") or "gdbside" in name for name in entries)


def test_compiled_files_do_not_look_for_their_sources(entries: dict[str, Entry]) -> None:
    """Flags 1: unchecked, by the hash of the source (PEP 552), so that they are the same on every machine."""
    source = entries[f"python/lib/{SHORT}/os.pyc"].source
    assert isinstance(source, Path)
    assert source.read_bytes()[4:8] == b"\x01\0\0\0"


def test_each_file_is_a_part_of_a_component(entries: dict[str, Entry], debugger: Debugger) -> None:
    described = describe_toolbox(entries.values(), debugger)
    assert described.path == f"{TOOLBOX_HOME}/{SBOM}"
    assert isinstance(described.source, bytes)
    document = json.loads(described.source)
    components = {each["name"]: each for each in document["components"]}
    assert {"corebox", "gdb", "cpython", "glibc", "libstdc++-printers"} <= set(components)
    assert components["cpython"]["version"] == VERSION
    listed = [file["name"] for each in components.values() for file in each["components"]]
    assert sorted(listed) == sorted(name for name, each in entries.items() if each.source is not None)
    (gdb,) = (each for each in components["gdb"]["components"] if each["name"] == "bin/gdb")
    assert {each["alg"] for each in gdb["hashes"]} == {"SHA-256"}


def test_a_program_that_lacks_a_library_makes_no_toolbox(debugger: Debugger, tmp_path: Path) -> None:
    broken = tree(tmp_path / "broken", {"_ours.so": "no ELF file"})
    (tmp_path / "work").mkdir()
    with pytest.raises(HostError) as raised:
        gather_entries(debugger._replace(dynload=broken), shipped("images/toolbox"), tmp_path / "work")
    assert raised.value.code == "gdb-unusable"


def test_a_source_that_cannot_be_compiled_makes_no_toolbox(debugger: Debugger, tmp_path: Path) -> None:
    tree(debugger.stdlib, {"bad.py": "def"})
    (tmp_path / "work").mkdir()
    with pytest.raises(HostError) as raised:
        gather_entries(debugger, shipped("images/toolbox"), tmp_path / "work")
    assert raised.value.code == "gdb-unusable"


# Another gdb of this machine


def another(folder: Path, answer: str, status: int = 0) -> Path:
    path = folder / "gdb"
    path.write_text(f"#!/bin/sh\necho noise\necho '{answer}'\nexit {status}\n")
    path.chmod(0o755)
    return path


def test_another_gdb_tells_where_its_parts_are(tmp_path: Path) -> None:
    facts = {
        "gdb_version": "13.1", "package": "/usr/share/gdb/python/gdb", "data": "/usr/share/gdb", "stdlib": "/usr/lib/x",
        "dynload": "/usr/lib/x/lib-dynload", "prefix": sys.base_prefix, "python_version": VERSION,
    }  # fmt: skip
    found = find_gdb(another(tmp_path, "corebox:" + json.dumps(facts)))
    assert (found.gdb_version, found.python_version, found.stdlib) == ("13.1", VERSION, Path("/usr/lib/x"))
    assert (found.libpython, found.from_pypi) == (None, False)
    assert found.versions()["gdb"] == "13.1"
    facts["python_version"] = "2.1.0"
    with pytest.raises(HostError, match=r"no python2\.1"):
        find_gdb(another(tmp_path, "corebox:" + json.dumps(facts)))


def test_a_gdb_without_python_or_none_at_all_is_told(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="built without Python"):
        find_gdb(another(tmp_path, "GNU gdb"))
    with pytest.raises(HostError) as raised:
        find_gdb(tmp_path / "none")
    assert raised.value.code == "gdb-unusable"
