"""Programs that run from odd places: what is gathered is theirs, and what is not there is told."""

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from corebox.bundle.manifest import Manifest, ModuleEntry
from corebox.coredump.elffile import read_elf
from corebox.gather.cli import main
from corebox.unbundle.read import read_manifest
from corebox.unbundle.verify import verify_bundle
from tests.support.evidence import gdb_alone, sound_report
from tests.support.lab import Lab
from tests.support.programs import FOLDER

LOADER = "/lib64/ld-linux-x86-64.so.2"


class Gathered(NamedTuple):
    status: int
    manifest: Manifest
    path: Path

    @property
    def program(self) -> ModuleEntry:
        (program,) = (module for module in self.manifest.modules if module.executable)
        return program


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    program = tmp_path / "odd"
    subprocess.run(["gcc", "-g", "-o", program, FOLDER / "odd" / "odd.c"], check=True)
    return program


def crash(folder: Path, *command: object, name: str = "core*") -> Path:
    subprocess.run([*map(str, command)], cwd=folder, check=False, capture_output=True)
    (core,) = folder.glob(name)
    return core


def gather(core: Path, *options: object) -> Gathered:
    out = core.parent / "x.corebox"
    out.unlink(missing_ok=True)
    status = main([str(core), "-o", str(out), "--no-nice", *map(str, options)])
    return Gathered(status, read_manifest(out), out)


def assert_verified(found: Gathered, program: Path) -> None:
    assert (found.status, found.program.path, found.program.verdict) == (0, str(program), "verified")
    assert verify_bundle(found.path).ok
    assert [module.path for module in found.manifest.modules].count(str(program)) == 1


def test_a_program_in_memory_is_missing_until_it_is_given(odd: Path) -> None:
    """It was executed as ``/dev/fd/3``, which is the core itself in the process that gathers."""
    core = crash(odd.parent, odd, "memory")
    found = gather(core)
    assert found.status == 1
    assert (found.program.path, found.program.verdict) == ("/memfd:payload", "missing")
    assert "memfd" in str(found.program.detail)
    assert not [entry.path for entry in found.manifest.files if entry.role == "executable"]
    assert not [link for link in found.manifest.symlinks if link.path.startswith(("/dev", "/proc"))]
    given = gather(core, "-e", odd)
    assert (given.status, given.program.verdict) == (0, "verified")


def test_a_program_that_runs_itself_by_proc_is_itself(odd: Path) -> None:
    found = gather(crash(odd.parent, odd, "proc"))
    assert_verified(found, odd)
    assert not [link for link in found.manifest.symlinks if link.path.startswith("/proc")]
    identity = verify_bundle(found.path).identity
    assert verify_bundle(gather(odd.parent / "core").path).identity == identity


def test_a_program_that_has_removed_itself_is_missing(odd: Path) -> None:
    found = gather(crash(odd.parent, odd, "proc", "unlink"))
    assert (found.status, found.program.path, found.program.verdict) == (1, str(odd), "missing")
    assert "python" not in " ".join(entry.path for entry in found.manifest.files if entry.role == "executable")


@pytest.mark.parametrize("flags", [(), ("-no-pie",)], ids=["pie", "no-pie"])
def test_a_program_that_its_loader_runs_is_named(odd: Path, flags: tuple[str, ...]) -> None:
    subprocess.run(["gcc", "-g", *flags, "-o", odd, FOLDER / "odd" / "odd.c"], check=True)
    found = gather(crash(odd.parent, LOADER, odd))
    assert_verified(found, odd)
    assert found.manifest.process.executable == str(odd)


@pytest.mark.parametrize("how", ["code", "headers"])
def test_code_that_was_moved_into_anonymous_memory_is_of_its_file(odd: Path, how: str) -> None:
    assert_verified(gather(crash(odd.parent, odd, how)), odd)


def test_moved_code_without_build_id_is_compared_where_it_was(odd: Path) -> None:
    subprocess.run(["gcc", "-g", "-Wl,--build-id=none", "-o", odd, FOLDER / "odd" / "odd.c"], check=True)
    found = gather(crash(odd.parent, odd, "headers"))
    assert (found.program.path, found.program.verdict) == (str(odd), "cannot-verify")
    assert "dumped bytes equal the file's" in str(found.program.detail)


@pytest.mark.parametrize("field", [40, 58, 60, 62], ids=["offset", "size", "count", "names"])
def test_a_nonsense_table_of_sections_costs_nothing(odd: Path, field: int) -> None:
    """The fields of the ELF header that tell of it (ELF gABI, chapter 4): no program needs them to run."""
    data = bytearray(odd.read_bytes())
    data[field : field + 2] = b"\x8f\x97"
    odd.write_bytes(data)
    assert_verified(gather(crash(odd.parent, odd)), odd)


def test_valgrind_names_no_program(odd: Path) -> None:
    """Its cores have neither NT_FILE nor an auxiliary vector."""
    place = odd.parent / "elsewhere"
    place.mkdir()
    core = crash(place, "valgrind", "-q", odd, name="vgcore*")
    found = gather(core)
    assert (found.status, found.program.verdict) == (1, "missing")
    libraries = [module.path for module in found.manifest.modules if module.verdict == "verified"]
    assert any("libc.so.6" in path for path in libraries)
    assert_verified(gather(core, "-e", odd), odd)


def test_a_relative_name_is_verified_by_both(odd: Path) -> None:
    """qemu-user keeps the name as it was called by, and writes the core into the working directory."""
    assert_verified(gather(crash(odd.parent, "qemu-x86_64", "./odd", name="qemu*.core")), odd)


def test_a_debug_file_is_no_executable(odd: Path, capsys: pytest.CaptureFixture[str]) -> None:
    debug = odd.parent / "odd.debug"
    subprocess.run(["objcopy", "--only-keep-debug", odd, debug], check=True)
    core = crash(odd.parent, odd)
    assert main([str(core), "-e", str(debug), "-o", str(odd.parent / "y.corebox")]) == 3
    assert "is a debug file" in capsys.readouterr().err


@pytest.mark.parametrize("how", ["debug", "cut"])
def test_a_file_without_the_code_is_not_verified_by_its_build_id(odd: Path, how: str) -> None:
    core = crash(odd.parent, odd)
    if how == "debug":
        subprocess.run(["objcopy", "--only-keep-debug", odd], check=True)
    else:
        odd.write_bytes(odd.read_bytes()[:4096])
    found = gather(core)
    assert (found.status, found.program.verdict) == (1, "mismatch")
    assert [proof.verdict for proof in verify_bundle(found.path).modules if proof.path == str(odd)] == ["mismatch"]


def test_elf_files_that_are_data_of_the_program_are_left(odd: Path) -> None:
    """A debugger's or linker's crash: it had a core and an object file mapped."""
    source = """
        #include <fcntl.h>
        #include <stdlib.h>
        #include <sys/mman.h>
        int main(int count, char **words) {
            for (; *++words; ) *(volatile char *)mmap(0, 4096, PROT_READ, MAP_PRIVATE, open(*words, O_RDONLY), 0);
            abort();
        }"""
    place = odd.parent
    other = crash(place, odd).rename(place / "other.dump")
    reader, compiled = place / "reader", place / "odd.o"
    subprocess.run(["gcc", "-x", "c", "-", "-o", reader], input=source, text=True, check=True)
    subprocess.run(["gcc", "-c", FOLDER / "odd" / "odd.c", "-o", compiled], check=True)
    found = gather(crash(place, reader, other, compiled))
    assert_verified(found, reader)
    assert {str(other), str(compiled)} <= {omission.path for omission in found.manifest.not_taken}
    assert main([str(place / "core"), "-e", str(other), "-o", str(place / "y.corebox")]) == 3


def test_files_that_were_moved_are_found_by_build_id(odd: Path, tmp_path: Path) -> None:
    """An AppImage is mounted somewhere else each time, and gone afterwards."""
    build_id = read_elf(str(odd)).build_id
    core = crash(tmp_path, odd)
    kept = tmp_path / "unpacked" / "usr" / "bin"
    kept.mkdir(parents=True)
    (kept / "decoy").write_bytes(Path("/bin/true").read_bytes())
    odd.rename(kept / "other-name")
    assert gather(core).program.verdict == "missing"
    found = gather(core, "--also", tmp_path / "unpacked")
    assert found.program.build_id == (build_id, build_id)
    assert_verified(found, odd)


def test_each_file_is_opened_and_parsed_once(odd: Path, tmp_path: Path) -> None:
    core = crash(tmp_path, odd)
    out = tmp_path / "strace"
    command = [sys.executable, "-m", "corebox", "gather", str(core), "-o", str(tmp_path / "x.corebox")]
    subprocess.run(["strace", "-f", "-e", "trace=openat,open", "-o", out, *command], check=False, capture_output=True)
    lines = [line for line in out.read_text().splitlines() if "O_PATH" not in line and "ENOENT" not in line]
    for module in read_manifest(tmp_path / "x.corebox").modules:
        name = Path(module.path).name
        opened = [line for line in lines if f'"{name}", O_RDONLY' in line]
        assert len(opened) == 1, (name, opened)


def test_a_core_that_names_no_library_is_not_exact(odd: Path) -> None:
    """It has no list of files, and no memory in which the dynamic linker's list could be."""
    shell = f"echo 0 >/proc/self/coredump_filter; exec {odd}"
    core = crash(odd.parent, "sh", "-c", shell)
    core.write_bytes(core.read_bytes().replace(b"ELIF", b"ELIX", 1))  # the type of NT_FILE
    found = gather(core, "-e", odd)
    assert found.status == 1
    assert str(odd) in {entry.path for entry in found.manifest.files if entry.role == "executable"}
    (why,) = [each.why for each in found.manifest.missing if each.path == "[libraries]"]
    assert why.startswith("the core does not say which libraries were mapped: libc.so.6")
    assert not verify_bundle(found.path).ok


def test_unusual_shapes_are_gathered_like_others(tmp_path: Path) -> None:
    """2,000 threads, a second namespace of the linker, an auditor, faults in code that is no file's."""
    held, library = tmp_path / "held", tmp_path / "plug.so"
    subprocess.run(["gcc", "-g", "-pthread", "-o", held, FOLDER / "odd" / "held.c", "-ldl"], check=True)
    source = "unsigned la_version(unsigned version) { return version; }"
    audit: list[str | Path] = ["gcc", "-shared", "-x", "c", "-", "-o", library]
    subprocess.run(audit, input=source, text=True, check=True)
    for how, environment in (
        *((how, ()) for how in ("threads", "title", "namespace", "made", "vdso")),
        ("audited", ("env", f"LD_AUDIT={library}")),
    ):
        place = tmp_path / how
        place.mkdir()
        found = gather(crash(place, *environment, held, how, library))
        assert (how, found.status) == (how, 0)
        assert verify_bundle(found.path).ok, how
        paths = [module.path for module in found.manifest.modules]
        assert paths.count(str(held)) == 1, how
        assert (str(library) in paths) == (how in ("namespace", "audited")), how
        assert how != "threads" or found.manifest.process.threads == 2001


def test_code_that_was_announced_to_debuggers_has_its_name(tmp_path: Path, lab: Lab) -> None:
    program, elf, code = tmp_path / "announced", tmp_path / "made.elf", tmp_path / "made.bin"
    subprocess.run(["gcc", "-g", "-o", program, FOLDER / "odd" / "announced.c"], check=True)
    source = "int made_at_run_time(int *number) { return *number; }"
    link = ["-nostdlib", "-static", "-Wl,-Ttext=0x20000000", "-Wl,-e,made_at_run_time"]
    subprocess.run(["gcc", "-g", *link, "-x", "c", "-", "-o", elf], input=source, text=True, check=True)
    subprocess.run(["objcopy", "-O", "binary", "-j", ".text", elf, code], check=True)
    found = gather(crash(tmp_path, program, elf, code))
    assert found.status == 0
    (core,) = tmp_path.glob("core*")
    report = sound_report(lab, found.path, core, gdb_alone(core, program))
    assert [each["function"] for each in report["threads"][0]["frames"][:2]] == ["made_at_run_time", "main"]
