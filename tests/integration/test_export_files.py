"""The files of a customer's crash for other debuggers: gdb and lldb of this machine, on another C library's core."""

import json
import posixpath
import subprocess
import zipfile
from pathlib import Path

from corebox.coredump.core import open_core
from tests.support.lab import Lab


def words(*command: object) -> str:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True, timeout=120)
    return done.stdout


def test_a_sysroot_and_a_zip_file_are_enough(lab: Lab, bundle: Path, tmp_path: Path) -> None:
    root, core, archive = tmp_path / "root", tmp_path / "core", tmp_path / "x.zip"
    said = lab.done("export", bundle, "--sysroot", root, "--core", core, "--zip", archive).output
    assert f"open it  gdb -iex 'set sysroot {root}' {root}/opt/acme/bin/pipeline {core}\n" in said
    report = json.loads(lab.done("report", bundle, "--engine", "bubblewrap", "--format", "json").output)
    frames = [each for each in report["threads"][0]["frames"] if each["kind"] == "normal"]

    program = root / "opt/acme/bin/pipeline"
    gdb = ("gdb", "-q", "-batch", "-nx", "-iex", f"set sysroot {root}", program, core)
    shown = words(*gdb, "-ex", "bt", "-ex", "info sharedlibrary")
    assert all(f" {each['function']} (" in shown for each in frames if each["function"]), shown
    assert shown.count(f" {root}/") >= len(report["manifest"]["modules"]) - 1, "every library is the customer's"
    lldb = ("lldb-16", "--batch", "--no-lldbinit", "-o", f"platform select --sysroot {root} remote-linux")
    shown = words(*lldb, "-o", f"target create --core {core} {program}", "-o", "bt")
    for frame in frames[:3]:
        assert f"frame #{frames.index(frame)}: {int(frame['pc'], 16):#018x} " in shown, shown

    with zipfile.ZipFile(archive) as opened:
        assert opened.testzip() is None
        opened.extractall(tmp_path / "unpacked")
        names = set(opened.namelist())
    for module in report["manifest"]["modules"]:
        called = (posixpath.normpath(name) for name in (module["path"], *module["opened_as"]) if name.startswith("/"))
        assert {name.strip("/") for name in called} <= names
    with open_core(str(tmp_path / "unpacked/core")) as inside, open_core(str(core)) as original:
        assert inside.modules == original.modules
        assert [each.tid for each in inside.process.threads] == [each.tid for each in original.process.threads]


def test_a_folder_that_has_something_is_refused(lab: Lab, bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    done = lab.corebox("export", bundle, "--sysroot", tmp_path)
    assert (done.status, "is not empty" in done.errors) == (4, True)
    assert [each.name for each in tmp_path.iterdir()] == ["mine"]
