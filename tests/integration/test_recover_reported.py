"""Cores of which people have told in public that nobody could open them, made again with programs of our own."""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from corebox.bundle.manifest import Manifest
from corebox.coredump.elffile import read_elf
from corebox.unbundle.read import read_manifest
from tests.support import places
from tests.support.crashes import PROGRAM, Program, build_program
from tests.support.lab import Lab
from tests.support.programs import HOST_GDB

LIBRARIES = Path("/usr/lib/x86_64-linux-gnu")
SYSTEM = ("libc.so.6", "ld-linux-x86-64.so.2", "libthread_db.so.1")


@pytest.fixture(scope="module")
def system(machine: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The system's libraries, as a place."""
    folder = tmp_path_factory.mktemp("system")
    for name in SYSTEM:
        shutil.copy(LIBRARIES / name, folder)
    return folder


@pytest.fixture
def mounted(machine: None) -> Iterator[Path]:
    """Where an AppImage was mounted while it ran, and is not any more."""
    folder = Path(tempfile.mkdtemp(prefix=".mount_acme", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


def completed(lab: Lab, core: Path, out: Path, *named: object, status: int = 0) -> Manifest:
    words = [word for each in named for word in ("--from", each)]
    done = lab.corebox("recover", core, *words, "-o", out)
    assert done.status == status, done.output + done.errors
    return read_manifest(out)


def shows_its_stack(lab: Lab, manifest: Manifest, bundle: Path) -> None:
    assert {module.verdict for module in manifest.modules} == {"verified"}
    assert not manifest.missing
    # The kernel's own library has a build ID, which servers were asked for in vain (abrt/retrace-server, issue 243).
    assert not any("vdso" in module.path for module in manifest.modules)
    shown = lab.gdb(bundle, "bubblewrap", "backtrace").output
    assert re.search(r"#0 .* fail \(\)(.|\n)*#1 .* main \(", shown), shown


def test_an_appimage_that_was_mounted(lab: Lab, mounted: Path, system: Path, tmp_path: Path) -> None:
    """All paths begin with the folder of a mount that is gone (LMMS, issue 4286)."""
    program = build_program(mounted)
    core = Path(shutil.move(program.crash(), tmp_path / "core"))
    tree = tmp_path / "tree"
    for path, folder in ((program.executable, tree / "usr/bin"), (program.library, tree / "usr/lib")):
        folder.mkdir(parents=True)
        shutil.move(path, folder)
    image = places.make("appimage", tree, tmp_path / "work")
    manifest = completed(lab, core, tmp_path / "out.corebox", image, system)
    assert str(program.library) in {entry.path for entry in manifest.files}
    shows_its_stack(lab, manifest, tmp_path / "out.corebox")


def test_a_core_that_a_debugger_wrote(lab: Lab, system: Path, tmp_path: Path) -> None:
    """Tools that look for the libraries of gcore's files missed some (eclipse-openj9, issue 16079)."""
    program = build_program(tmp_path / "app")
    words = ["-ex", f"run {program.library}", "-ex", f"gcore {tmp_path}/core"]
    subprocess.run([HOST_GDB, "-nx", "-batch", *words, program.executable], check=True, capture_output=True)
    shutil.move(tmp_path / "app", tmp_path / "elsewhere")
    manifest = completed(lab, tmp_path / "core", tmp_path / "out.corebox", tmp_path / "elsewhere", system)
    shows_its_stack(lab, manifest, tmp_path / "out.corebox")


def test_an_interpreter_with_a_name_of_slashes(lab: Lab, system: Path, tmp_path: Path) -> None:
    """As a tool writes it that makes room for another name (scylladb, issue 6494)."""
    program = compiled(tmp_path / "app", f"-Wl,--dynamic-linker={'/' * 300}lib64/ld-linux-x86-64.so.2")
    core = Path(shutil.move(program.crash(), tmp_path / "core"))
    shutil.move(tmp_path / "app", tmp_path / "elsewhere")
    manifest = completed(lab, core, tmp_path / "out.corebox", tmp_path / "elsewhere", system)
    shows_its_stack(lab, manifest, tmp_path / "out.corebox")


def test_an_installed_program_without_build_id(lab: Lab, system: Path, tmp_path: Path) -> None:
    """The package has another file than was installed from it, and neither has a build ID (scylladb, issue 22367)."""
    program = compiled(tmp_path / "app", "-Wl,--build-id=none")
    core = Path(shutil.move(program.crash(), tmp_path / "core"))
    shutil.move(tmp_path / "app", tmp_path / "elsewhere")
    ours = tmp_path / "elsewhere" / program.executable.name
    package = tmp_path / "package" / ours.name
    package.parent.mkdir()
    subprocess.run(["objcopy", "--strip-all", ours, package], check=True)
    shutil.move(ours, tmp_path / "kept")
    manifest = completed(lab, core, tmp_path / "out.corebox", package.parent, ours.parent, system, status=1)
    module = next(each for each in manifest.modules if each.executable)
    assert module.verdict == "missing"
    assert f"{package.parent} has /{ours.name} with" in str(module.detail)
    assert not any(entry.path == module.path for entry in manifest.files)
    shutil.move(tmp_path / "kept", ours)
    manifest = completed(lab, core, tmp_path / "out.corebox", package.parent, ours.parent, system, status=1)
    module = next(each for each in manifest.modules if each.executable)
    assert module.verdict == "cannot-verify"
    assert "equal" in str(module.detail)
    assert read_elf(str(ours)).build_id is None


def compiled(folder: Path, *flags: str) -> Program:
    program = build_program(folder)
    source = folder / "app.c"
    source.write_text(PROGRAM)
    subprocess.run(["gcc", str(source), "-o", str(program.executable), "-ldl", *flags], check=True)
    return program
