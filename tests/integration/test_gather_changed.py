"""The site has changed since the crash, or has odd names: what the gatherer says is true, and proved anew."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from corebox.bundle.manifest import Manifest
from corebox.gather.cli import main
from corebox.unbundle.read import read_manifest
from corebox.unbundle.verify import verify_bundle
from tests.support.crashes import Program, build_library, build_program


def gather(core: Path, out: Path, *more: str) -> tuple[int, Manifest]:
    status = main([str(core), "-o", str(out), "--no-nice", *more])
    return status, read_manifest(out)


def verdict(manifest: Manifest, path: Path) -> str:
    return next(module.verdict for module in manifest.modules if module.path == str(path))


def test_untouched_site_is_exact(program: Program, tmp_path: Path) -> None:
    status, manifest = gather(program.crash(), tmp_path / "x.corebox")
    assert status == 0
    assert verdict(manifest, program.library) == "verified"
    assert verify_bundle(tmp_path / "x.corebox").ok


def test_library_upgraded_since(program: Program, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    core = program.crash()
    build_library(program.library, 2)
    status, manifest = gather(core, tmp_path / "x.corebox")
    assert status == 1
    assert verdict(manifest, program.library) == "mismatch"
    module = next(module for module in manifest.modules if module.path == str(program.library))
    memory, file = module.build_id
    assert f"in the crashed process {memory}, in the file {file}" in capsys.readouterr().out
    verification = verify_bundle(tmp_path / "x.corebox")
    assert not verification.ok
    assert [proof.path for proof in verification.modules if proof.verdict != "verified"] == [str(program.library)]


def test_library_deleted_while_the_process_ran(program: Program, tmp_path: Path) -> None:
    status, manifest = gather(program.crash("unlink"), tmp_path / "x.corebox")
    assert status == 1
    assert verdict(manifest, program.library) == "missing"


def test_deleted_library_that_came_back_the_same_is_verified(program: Program, tmp_path: Path) -> None:
    content = program.library.read_bytes()
    core = program.crash("unlink")
    program.library.write_bytes(content)
    status, manifest = gather(core, tmp_path / "x.corebox")
    assert status == 0
    assert verdict(manifest, program.library) == "verified"


def test_deleted_library_with_another_in_its_place(program: Program, tmp_path: Path) -> None:
    core = program.crash("unlink")
    build_library(program.library, 3)
    status, manifest = gather(core, tmp_path / "x.corebox")
    assert status == 1
    module = next(module for module in manifest.modules if module.path == str(program.library))
    assert (module.verdict, module.detail) == (
        "mismatch",
        "the file was deleted while the process ran, and another is in its place",
    )


def test_executable_replaced_since_and_the_old_one_given(program: Program, tmp_path: Path) -> None:
    core = program.crash()
    old = program.executable.rename(tmp_path / "old")
    subprocess.run(
        ["gcc", "-x", "c", "-", "-o", str(program.executable)], input="int main(){return 0;}", text=True, check=True
    )
    status, manifest = gather(core, tmp_path / "x.corebox")
    assert (status, verdict(manifest, program.executable)) == (1, "mismatch")
    status, manifest = gather(core, tmp_path / "y.corebox", "-e", str(old))
    assert (status, verdict(manifest, program.executable)) == (0, "verified")


@pytest.mark.parametrize(
    "name", [b"lib with spaces.so", b"lib\nnewline.so", b"lib\xff\xfe.so", b"lib'quote\\.so", b"-lib.so"], ids=repr
)
def test_odd_names(tmp_path: Path, name: bytes) -> None:
    program = build_program(tmp_path / "app", os.fsdecode(name))
    status, manifest = gather(program.crash(), tmp_path / "x.corebox")
    assert status == 0
    assert verdict(manifest, program.library) == "verified"
    assert verify_bundle(tmp_path / "x.corebox").ok
    out = tmp_path / "out"
    out.mkdir()
    subprocess.run(["tar", "--zstd", "-xf", str(tmp_path / "x.corebox"), "-C", str(out)], check=True)
    subprocess.run(["sha256sum", "--quiet", "-c", "SHA256SUMS"], cwd=out, check=True)


def test_library_opened_through_a_link_that_moved_on(tmp_path: Path) -> None:
    program = build_program(tmp_path / "app", "libfail.so.1.1")
    link = program.folder / "libfail.so.1"
    link.symlink_to("libfail.so.1.1")
    core = Program(program.folder, program.executable, link).crash()
    build_library(program.folder / "libfail.so.1.2", 4)
    link.unlink()
    link.symlink_to("libfail.so.1.2")
    status, manifest = gather(core, tmp_path / "x.corebox")
    assert status == 0
    assert {entry.path: entry.target for entry in manifest.symlinks}[str(link)] == "libfail.so.1.1"


@pytest.fixture
def mounted(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A folder that a bind mount or an overlay shows, with what the test puts below ``lower``."""
    lower, shown = tmp_path / "lower", tmp_path / "shown"
    lower.mkdir()
    shown.mkdir()
    if request.param == "bind":
        command = ["mount", "--bind", str(lower), str(shown)]
    else:
        # A file system of its own: overlayfs does not stack on every kind.
        subprocess.run(["mount", "-t", "tmpfs", "none", str(lower)], check=True)
        for name in ("base", "upper", "work"):
            (lower / name).mkdir()
        options = f"lowerdir={lower}/base,upperdir={lower}/upper,workdir={lower}/work"
        command = ["mount", "-t", "overlay", "none", "-o", options, str(shown)]
    subprocess.run(command, check=True)
    try:
        yield shown
    finally:
        subprocess.run(["umount", str(shown)], check=True)
        if request.param == "overlay":
            subprocess.run(["umount", str(lower)], check=True)


@pytest.mark.parametrize("mounted", ["bind", "overlay"], indirect=True)
def test_mounts_are_seen_as_the_process_saw_them(mounted: Path, tmp_path: Path) -> None:
    program = build_program(mounted / "app")
    status, manifest = gather(program.crash(), tmp_path / "x.corebox")
    assert status == 0
    assert verdict(manifest, program.library) == "verified"


def test_a_runtimes_debugging_library_is_taken_from_beside_it(tmp_path: Path) -> None:
    """SOS reads a .NET core only with the libmscordaccore.so of the very runtime; nothing maps it."""
    program = build_program(tmp_path / "app", "libcoreclr.so")
    beside = program.folder / "libmscordaccore.so"
    build_library(beside, 1)
    _, manifest = gather(program.crash(), tmp_path / "x.corebox")
    assert str(beside) in {entry.path for entry in manifest.files}


def test_the_gdb_script_of_cpython_is_taken(tmp_path: Path) -> None:
    """Debian has it in a package of its own, as a file that only gdb's auto-load directory names."""
    version = subprocess.run(
        ["/usr/bin/python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    subprocess.run(["apt-get", "download", "-q", f"python{version}-dbg"], cwd=tmp_path, check=True, capture_output=True)
    (package,) = tmp_path.glob("*.deb")
    subprocess.run(["dpkg", "-x", str(package), str(tmp_path / "dbg")], check=True)
    subprocess.run(["/usr/bin/python3", "-c", "import os; os.abort()"], cwd=tmp_path, check=False)
    (core,) = tmp_path.glob("core*")
    script = (
        'mount -t overlay none -o "lowerdir=$1/dbg/usr:/usr" /usr && '  # as if it were installed
        'exec "$2" -m corebox gather "$3" -o "$1/x.corebox"'
    )
    words = [str(tmp_path), sys.executable, str(core)]
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    taken = {entry.path: entry.role for entry in read_manifest(tmp_path / "x.corebox").files}
    assert taken[f"/usr/share/gdb/auto-load/usr/bin/python{version}-gdb.py"] == "auto-load"
    assert "debug" in taken.values()
