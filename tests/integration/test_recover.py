"""Only a core came: its files come out of every kind of place, each proved, and gdb shows what it shows at the site."""

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from corebox.bundle.manifest import Manifest
from corebox.coredump.elffile import read_elf
from corebox.unbundle.read import read_manifest
from tests.support import places
from tests.support.crashes import PROGRAM, build_library, build_program
from tests.support.debuginfod import serving
from tests.support.lab import Lab
from tests.support.programs import HOST_GDB
from tests.support.registry import free_port

SYSTEM = ("libc.so.6", "ld-linux-x86-64.so.2", "libthread_db.so.1")
LIBRARIES = "usr/lib/x86_64-linux-gnu"


@dataclass(frozen=True)
class Lost:
    """A core whose files are not where it says; ``tree`` is the root of a file system that has them all."""

    core: Path
    tree: Path
    program: Path
    library: Path

    def at(self, path: Path) -> Path:
        """Where ``tree`` has the file that was at this path."""
        return self.tree / str(path)[1:]


@pytest.fixture(scope="module")
def lost(machine: None, tmp_path_factory: pytest.TempPathFactory) -> Lost:
    folder = tmp_path_factory.mktemp("lost")
    program = build_program(folder / "app", "libfail.so")
    source = folder / "app.c"
    source.write_text(PROGRAM)
    subprocess.run(["gcc", "-g", str(source), "-o", str(program.executable), "-ldl"], check=True)
    core = program.crash()
    tree = folder / "tree"
    (tree / LIBRARIES).mkdir(parents=True)
    for name in SYSTEM:
        shutil.copy(f"/{LIBRARIES}/{name}", tree / LIBRARIES)
    (tree / "etc").mkdir()
    (tree / "etc/os-release").symlink_to("../usr/lib/os-release")
    (tree / "usr/lib/os-release").write_text('ID=test\nPRETTY_NAME="A test"\n')
    found = Lost(core, tree, program.executable, program.library)
    for path in (found.program, found.library):
        found.at(path).parent.mkdir(parents=True, exist_ok=True)
        shutil.move(path, found.at(path))
    strip(found.at(found.program), tree)
    return found


def strip(program: Path, tree: Path) -> None:
    """Move the debug information to where distributions have it, as debhelper and rpmbuild do."""
    build_id = str(read_elf(str(program)).build_id)
    debug = tree / f"usr/lib/debug/.build-id/{build_id[:2]}/{build_id[2:]}.debug"
    debug.parent.mkdir(parents=True)
    subprocess.run(["objcopy", "--only-keep-debug", program, debug], check=True)
    subprocess.run(["objcopy", "--strip-debug", program], check=True)


@pytest.fixture(scope="module")
def bare(lost: Lost, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What gdb alone shows to whoever has unpacked the files, and tells it where."""
    shown = gdb_alone(lost.core, f"set sysroot {lost.tree}", f"set debug-file-directory {lost.tree}/usr/lib/debug",
                      f"file {lost.at(lost.program)}", env={})  # fmt: skip
    assert frames(shown) == ["fail", "main"], shown
    return lines_of_frames(shown)


def gdb_alone(core: Path, *before: str, env: dict[str, str], after: tuple[str, ...] = ("backtrace",)) -> str:
    words = [word for each in before for word in ("-iex", each)]
    words += [word for each in (f"core {core}", *after) for word in ("-ex", each)]
    # It looks at ~/.config and into folders of the system, where a developer's machine has files of its own.
    shown = subprocess.run([HOST_GDB, "-nx", "-batch", *words], env={**os.environ, **env},
                           capture_output=True, text=True, check=False)  # fmt: skip
    return shown.stdout


@pytest.fixture(params=[*places.KINDS, *places.IMAGES])
def place(request: pytest.FixtureRequest, lost: Lost, tmp_path: Path) -> Iterator[str]:
    """A place of each kind."""
    if request.param in places.KINDS:
        yield places.make(request.param, lost.tree, tmp_path / "place")
        return
    request.getfixturevalue("docker")
    with places.image(request.param, lost.tree, tmp_path / "place") as name:
        yield name


def recover(lab: Lab, subject: Path, out: Path, *named: object, status: int = 0) -> Manifest:
    words = [word for each in named for word in ("--from", each)]
    result = lab.corebox("recover", subject, *words, "-o", out)
    assert result.status == status, result.output + result.errors
    return read_manifest(out)


def test_each_kind_of_place(lab: Lab, lost: Lost, place: str, bare: list[str], tmp_path: Path) -> None:
    """Each file is proved and has its origin, and gdb shows at least what it shows alone with the same files."""
    out = tmp_path / "out.corebox"
    manifest = recover(lab, lost.core, out, place)
    assert {module.verdict for module in manifest.modules} == {"verified"}
    roles = {entry.role: entry for entry in manifest.files}
    assert {"executable", "module", "libthread_db", "os-release"} <= set(roles)
    assert manifest.site.os_release["ID"] == "test"
    assert {entry.origin.place for entry in manifest.files if entry.origin} == {place}
    assert all(entry.origin for entry in manifest.files)
    if place.endswith((".deb", ".rpm", ".apk", ".whl")):
        origin = roles["executable"].origin
        assert origin
        assert (origin.package, str(origin.version).split("-")[0]) == (places.NAME, places.VERSION)
    assert not list(tmp_path.rglob("was-run"))
    shown = lab.gdb(lost.core, "bubblewrap", "backtrace", options=["--from", place])
    assert lines_of_frames(shown.output) == bare, shown.output + shown.errors
    assert lab.corebox("verify", out).status == 0
    assert place in lab.done("info", out).output


def test_a_session_of_a_core_alone_and_of_an_incomplete_bundle(lab: Lab, lost: Lost, tmp_path: Path) -> None:
    ours = lost.at(lost.program).parent
    bundle = tmp_path / "part.corebox"
    manifest = recover(lab, lost.core, bundle, lost.at(lost.program), status=1)
    assert [module.verdict for module in manifest.modules].count("missing") == 3
    for subject in (lost.core, bundle):
        shown = lab.gdb(
            subject,
            "bubblewrap",
            "backtrace",
            options=["--from", ours, "--symbols", lost.tree / LIBRARIES, "--symbols", lost.tree / "usr/lib/debug"],
        )
        assert re.search(r"#0 .* fail \(\)(.|\n)*#1 .* main \(.*\) at ", shown.output), shown.output
        assert "missing" not in shown.errors
    incomplete = lab.gdb(bundle, "bubblewrap", "backtrace", options=["--from", lost.tree / LIBRARIES])
    library = next(module for module in manifest.modules if module.path.endswith("libfail.so"))
    assert (
        f"{lost.library} is missing: not found in {lost.tree / LIBRARIES} (build ID {library.build_id.memory})"
        in incomplete.errors
    )
    the_customer_answers(lab, lost, bundle, incomplete.errors, tmp_path)
    in_report = lab.corebox("report", bundle, "--engine", "bubblewrap", "--from", lost.at(lost.program))
    assert (
        f"libfail.so: missing (not found in {lost.at(lost.program)} (build ID {library.build_id.memory})"
        in in_report.output
    )
    assert f"ask the customer for it: corebox request {bundle} -o request.sh" in in_report.output
    report = lab.corebox("report", lost.core, "--engine", "bubblewrap", "--from", ours)
    assert f"libc.so.6: missing (not found in {ours} (build ID" in report.output
    assert lab.corebox("verify", bundle, "--from", lost.tree).status == 0
    built = lab.build(bundle, "-t", "whole:1", "--from", lost.tree)
    info = lab.done("info", built["image_id"], "--json").json
    assert {each["verdict"] for each in info["manifest"]["modules"]} == {"verified"}


def the_customer_answers(lab: Lab, lost: Lost, bundle: Path, told: str, folder: Path) -> None:
    """Type the command that was told; the customer, who has all files in their places, runs what it writes."""
    found = re.search(r"corebox (request .*) -o request.sh", told)
    assert found, told
    script = folder / "request.sh"
    said = lab.done(*shlex.split(found[1]), "-o", script).errors
    at_home = f"mount --bind {lost.at(lost.program).parent} {lost.program.parent}; cd {folder}; sh request.sh"
    subprocess.run(["unshare", "--mount", "sh", "-ec", at_home], check=True, capture_output=True)
    then = re.search(r"corebox (recover .*) -o complete.corebox", said)
    assert then, said
    words = [str(folder / word) if word == "libs.tar.gz" else word for word in shlex.split(then[1])]
    lab.done(*words, "-o", folder / "complete.corebox")


def test_a_bundle_and_an_image_of_the_store_are_places(lab: Lab, lost: Lost, tmp_path: Path) -> None:
    whole = tmp_path / "whole.corebox"
    recover(lab, lost.core, whole, lost.tree)
    lab.build(whole, "-t", "earlier:1")
    for name in (whole, "earlier:1"):
        manifest = recover(lab, lost.core, tmp_path / "out.corebox", name)
        assert {module.verdict for module in manifest.modules} == {"verified"}
        assert {entry.role for entry in manifest.files} >= {"libthread_db", "os-release"}


def test_another_build_of_the_name_is_refused_with_both_build_ids(lab: Lab, lost: Lost, tmp_path: Path) -> None:
    other = tmp_path / "other/libfail.so"
    other.parent.mkdir()
    build_library(other, 7)
    out = tmp_path / "out.corebox"
    manifest = recover(lab, lost.core, out, other.parent, lost.at(lost.program), lost.tree / LIBRARIES, status=1)
    module = next(each for each in manifest.modules if each.path == str(lost.library))
    assert module.verdict == "missing"
    assert f"build ID {module.build_id.memory}" in str(module.detail)
    assert f"has /libfail.so with the build ID {read_elf(str(other)).build_id}" in str(module.detail)
    assert not any(entry.path == module.path for entry in manifest.files)


def test_at_least_what_bare_gdb_shows_with_the_same_server(lab: Lab, lost: Lost, tmp_path: Path) -> None:
    """gdb takes executables, libraries, symbols and sources of a core from a debuginfod server."""
    served = shutil.copytree(lost.tree, tmp_path / "served", symlinks=True)
    build_ids = [str(read_elf(str(lost.at(path))).build_id) for path in (lost.program, lost.library)]
    shown = ("backtrace", "frame function main", "list")
    with serving(served, tmp_path, build_ids[:1]) as server:
        ours = lab.gdb(lost.core, "bubblewrap", *shown, options=["--symbols", server.url, "--source", "debuginfod"],
                       env={"DEBUGINFOD_CACHE_PATH": str(tmp_path / "cache")})  # fmt: skip
        environment = {"DEBUGINFOD_URLS": server.url, "DEBUGINFOD_CACHE_PATH": str(tmp_path / "gdb cache")}
        theirs = gdb_alone(lost.core, "set debuginfod enabled on", "set sysroot /nonexistent",
                           env=environment, after=shown)  # fmt: skip
    assert {"main"} <= set(frames(theirs)) <= set(frames(ours.output))
    assert frames(ours.output)[:2] == ["fail", "main"], ours.output + ours.errors
    assert re.search(r"main \(.*\) at ", ours.output)
    source = [line for line in theirs.splitlines() if re.match(r"\d+\t", line)]
    assert len(source) > 3
    assert [line for line in ours.output.splitlines() if re.match(r"\d+\t", line)] == source


def test_names_that_are_relative(lab: Lab, lost: Lost, tmp_path: Path) -> None:
    """As in cores of old kernels and of other tools, which have no list of mapped files (NT_FILE)."""
    work = tmp_path / "work"
    shutil.copytree(lost.at(lost.program).parent, work / "bin")
    command = f"ulimit -c unlimited; cd bin; exec ./{lost.program.name} ./{lost.library.name}"
    subprocess.run(["sh", "-c", command], cwd=work, check=False)
    core = tmp_path / "core"
    core.write_bytes((work / "bin/core").read_bytes().replace(b"ELIF", bytes(4)))
    shutil.move(work / "bin", tmp_path / "elsewhere")
    manifest = recover(lab, core, tmp_path / "out.corebox", tmp_path / "elsewhere", lost.tree)
    assert {module.verdict for module in manifest.modules} == {"verified"}
    assert f"/working-directory/{lost.library.name}" in {entry.path for entry in manifest.files}
    shown = lab.gdb(tmp_path / "out.corebox", "bubblewrap", "backtrace")
    assert frames(shown.output) == ["fail", "main"], shown.output


def lines_of_frames(shown: str) -> list[str]:
    """What is told of each frame, without its address."""
    return re.findall(r"(?m)^#\d+ +(?:0x[0-9a-f]+ in )?(.*?)(?: from .*)?$", shown[shown.rindex("#0") :])


def frames(shown: str) -> list[str]:
    return re.findall(r"(?m)^#\d+ .*?(\w+) \(", shown.partition("#0")[2] and shown[shown.rindex("#0") :])


def test_a_place_that_is_none_and_no_place_at_all(lab: Lab, lost: Lost, tmp_path: Path) -> None:
    out = tmp_path / "out.corebox"
    cases: list[tuple[list[object], int, str]] = [
        ([], 2, "there is no place to look in"),
        (["--from", tmp_path / "nothing"], 3, "does not exist"),
        (["--from", f"docker://127.0.0.1:{free_port()}/x/y:1"], 4, "127.0.0.1"),
        (["--from", "oci:/nothing"], 3, "there is no folder"),
    ]
    for words, code, told in cases:
        refused = lab.corebox("recover", lost.core, *words, "-o", out)
        assert refused.status == code, refused.errors
        assert told in refused.errors
        assert not out.exists()
