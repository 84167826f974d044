"""What is taken for a core, under which names, with which verdicts."""

import os
import struct
import zlib
from pathlib import Path

import pytest

from corebox.bundle.corecontent import CompactCore
from corebox.bundle.manifest import Manifest, Omission, SymlinkEntry
from corebox.bundle.write import Content, write_bundle
from corebox.coredump.core import open_core
from corebox.errors import InputError
from corebox.files.diskroot import DiskRoot
from corebox.gather.collect import Collection, GatherOptions, collect
from corebox.unbundle.verify import verify_bundle
from tests.support.elfwriter import Format
from tests.support.realcores import unpack_core
from tests.unit.conftest import RealCore
from tests.unit.gather.sites import BUILD_IDS, EXECUTABLE, LIBC, LINKER, OTHER_ID, elf_with_sections, link, put, put_elf


def gather(core: Path, root: Path, wishes: GatherOptions | None = None) -> Collection:
    with open_core(str(core)) as opened, DiskRoot(str(root)) as disk:
        return collect(opened, disk, wishes or GatherOptions())


def manifest_of(core: Path, root: Path, wishes: GatherOptions | None = None) -> Manifest:
    return gather(core, root, wishes).manifest


def verdicts(manifest: Manifest) -> dict[str, str]:
    return {module.path: module.verdict for module in manifest.modules}


def test_takes_every_module_with_the_links_that_lead_to_it(core_path: Path, root: Path) -> None:
    manifest = manifest_of(core_path, root)
    assert verdicts(manifest) == dict.fromkeys(BUILD_IDS, "verified")
    assert [(entry.path, entry.role) for entry in manifest.files] == [
        (EXECUTABLE, "executable"),
        ("/usr/lib/os-release", "os-release"),
        (LINKER, "module"),
        (LIBC, "module"),
        ("/usr/lib/x86_64-linux-gnu/libthread_db.so.1", "libthread_db"),
    ]
    assert manifest.symlinks == (
        SymlinkEntry("/etc/os-release", "../usr/lib/os-release"),
        SymlinkEntry("/lib", "usr/lib"),
        SymlinkEntry("/lib64", "usr/lib64"),
        SymlinkEntry("/usr/lib64/ld-linux-x86-64.so.2", "../.." + LINKER),
    )
    assert manifest.missing == ()


def test_describes_process_and_site(core_path: Path, root: Path) -> None:
    manifest = manifest_of(core_path, root)
    assert manifest.process.executable == EXECUTABLE
    assert (manifest.process.signal_name, manifest.process.fault_address) == ("SIGSEGV", 0xDEAD0)
    assert manifest.process.threads == 2
    assert manifest.site.os_release == {"ID": "debian", "VERSION_ID": "12", "PRETTY_NAME": "Debian 12 (bookworm)"}
    assert (manifest.site.machine, manifest.site.kernel, manifest.site.hostname) == ("x86_64", None, None)
    assert manifest.core.included
    assert manifest.core.size == core_path.stat().st_size


def test_hostname_needs_consent(core_path: Path, root: Path) -> None:
    assert manifest_of(core_path, root, GatherOptions(consent_hostname=True)).site.hostname == os.uname().nodename


def test_bundle_of_it_is_verified_anew(core_path: Path, root: Path, tmp_path: Path) -> None:
    with open_core(str(core_path)) as core, DiskRoot(str(root)) as disk:
        collection = collect(core, disk, GatherOptions())
        written = write_bundle(
            str(tmp_path / "x.corebox"), Content(collection.manifest, collection.sources, CompactCore(core))
        )
    verification = verify_bundle(written.path)
    assert verification.ok
    assert verification.identity == written.identity
    assert [proof.file for proof in verification.modules] == list(BUILD_IDS.values())


def test_library_upgraded_since_is_a_mismatch_with_both_build_ids(core_path: Path, root: Path) -> None:
    put_elf(root, LIBC, OTHER_ID)
    libc = manifest_of(core_path, root).modules[1]
    assert (libc.path, libc.verdict, *libc.build_id) == (LIBC, "mismatch", BUILD_IDS[LIBC], OTHER_ID)


def test_what_is_no_elf_file_any_more_is_not_taken_for_the_library(core_path: Path, root: Path) -> None:
    put(root, LIBC, b"INPUT(libc.so.7)")
    manifest = manifest_of(core_path, root)
    assert manifest.modules[1].verdict == "missing"
    assert "not the file that was mapped" in str(manifest.modules[1].detail)
    assert LIBC not in [entry.path for entry in manifest.files]


def test_library_deleted_since_is_missing(core_path: Path, root: Path) -> None:
    Path(str(root) + LIBC).unlink()
    manifest = manifest_of(core_path, root)
    assert verdicts(manifest)[LIBC] == "missing"
    assert Omission(LIBC, "no such file") in manifest.missing


def test_file_without_build_id_cannot_have_been_one_with(core_path: Path, root: Path) -> None:
    put_elf(root, LIBC, None)
    assert manifest_of(core_path, root).modules[1].verdict == "mismatch"


def test_executable_replaced_since_is_found_out_and_another_may_be_given(core_path: Path, root: Path) -> None:
    put_elf(root, EXECUTABLE, OTHER_ID)
    put_elf(root, "/backup/dynamic", BUILD_IDS[EXECUTABLE])
    assert verdicts(manifest_of(core_path, root))[EXECUTABLE] == "mismatch"
    collection = gather(core_path, root, GatherOptions(executable=str(root) + "/backup/dynamic"))
    assert verdicts(collection.manifest)[EXECUTABLE] == "verified"
    assert collection.sources[EXECUTABLE].name == str(root) + "/backup/dynamic"


def test_executable_of_another_machine_is_refused(core_path: Path, root: Path) -> None:
    put_elf(root, "/arm/dynamic", "aa", Format(machine=183))
    with pytest.raises(InputError) as caught:
        gather(core_path, root, GatherOptions(executable=str(root) + "/arm/dynamic"))
    assert caught.value.code == "wrong-machine"


def test_executable_can_be_left_out(core_path: Path, root: Path) -> None:
    manifest = manifest_of(core_path, root, GatherOptions(without_executable=True))
    assert EXECUTABLE not in [entry.path for entry in manifest.files]
    assert verdicts(manifest)[EXECUTABLE] == "verified"
    assert manifest.not_taken[0] == Omission(EXECUTABLE, "left out on request; give it with -e EXECUTABLE")


def test_name_whose_link_has_moved_on_leads_to_the_mapped_file(core_path: Path, root: Path) -> None:
    """The process opened /lib64/ld-linux-x86-64.so.2; the site has a newer one there since, beside the old."""
    put_elf(root, "/usr/lib/x86_64-linux-gnu/ld-3.so", OTHER_ID)
    link(root, "/usr/lib64/ld-linux-x86-64.so.2", "../lib/x86_64-linux-gnu/ld-3.so")
    links = {entry.path: entry.target for entry in manifest_of(core_path, root).symlinks}
    assert links["/usr/lib64/ld-linux-x86-64.so.2"] == "../lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"


def test_name_reached_by_a_bind_mount_leads_to_the_mapped_file(core_path: Path, root: Path) -> None:
    Path(str(root) + "/lib").unlink()
    Path(str(root) + "/lib/x86_64-linux-gnu").mkdir(parents=True)
    os.link(str(root) + LIBC, str(root) + "/lib/x86_64-linux-gnu/libc.so.6")
    links = {entry.path: entry.target for entry in manifest_of(core_path, root).symlinks}
    assert links["/lib/x86_64-linux-gnu/libc.so.6"] == "../../usr/lib/x86_64-linux-gnu/libc.so.6"


def test_link_out_of_the_root_is_read_as_inside(core_path: Path, root: Path) -> None:
    link(root, "/etc/os-release", "../../../../../usr/lib/os-release")
    manifest = manifest_of(core_path, root)
    assert manifest.site.os_release["ID"] == "debian"
    assert manifest.symlinks[0] == SymlinkEntry("/etc/os-release", "../usr/lib/os-release")


def test_links_in_a_circle_are_missing_not_endless(core_path: Path, root: Path) -> None:
    link(root, LIBC, "libd.so")
    link(root, "/usr/lib/x86_64-linux-gnu/libd.so", "libc.so.6")
    assert Omission(LIBC, "too many symbolic links") in manifest_of(core_path, root).missing


def test_fifo_in_place_of_a_library_does_not_hang(core_path: Path, root: Path) -> None:
    Path(str(root) + LIBC).unlink()
    os.mkfifo(str(root) + LIBC)
    assert Omission(LIBC, "not a regular file") in manifest_of(core_path, root).missing


def test_gdb_scripts_come_with_the_printers_that_they_import(core_path: Path, root: Path) -> None:
    script = "/usr/share/gdb/auto-load/lib/x86_64-linux-gnu/libc.so.6-gdb.py"
    put(root, script, b"import sys\nsys.path.insert(0, '/usr/share/libc/python')\n")
    put(root, "/usr/share/libc/python/libcxx/printers.py", b"pass\n")
    put(root, "/usr/share/libc/python/libcxx/data.bin", b"no")
    put(root, EXECUTABLE + "-gdb.py", b"import os\nopen('/etc/passwd')\n")
    taken = [entry.path for entry in manifest_of(core_path, root).files if entry.role == "auto-load"]
    assert taken == [EXECUTABLE + "-gdb.py", "/usr/share/gdb/auto-load/lib/x86_64-linux-gnu/libc.so.6-gdb.py",
                     "/usr/share/libc/python/libcxx/printers.py"]  # fmt: skip


def test_debug_file_is_found_by_build_id(core_path: Path, root: Path) -> None:
    build_id = BUILD_IDS[LIBC]
    path = f"/usr/lib/debug/.build-id/{build_id[:2]}/{build_id[2:]}.debug"
    put_elf(root, path, build_id)
    assert path in [entry.path for entry in manifest_of(core_path, root).files if entry.role == "debug"]


@pytest.mark.parametrize("place", ["", "/.debug", "/usr/lib/debug"])
def test_debug_file_is_found_by_debuglink_and_checksum(core_path: Path, root: Path, place: str) -> None:
    debug = b"\x7fELF debug information"
    link_section = b"app.debug\0\0\0" + struct.pack("<I", zlib.crc32(debug))
    put(root, EXECUTABLE, elf_with_sections("c0de01", {".gnu_debuglink": link_section}))
    folder = str(Path(EXECUTABLE).parent)
    path = (place + folder if place.startswith("/usr") else folder + place) + "/app.debug"
    put(root, path, debug)
    assert [entry.path for entry in manifest_of(core_path, root).files if entry.role == "debug"] == [path]
    put(root, path, debug + b" of another build")
    assert [entry.path for entry in manifest_of(core_path, root).files if entry.role == "debug"] == []


def test_file_that_debug_files_share_comes_with_them(core_path: Path, root: Path) -> None:
    build_id = BUILD_IDS[LIBC]
    debug = f"/usr/lib/debug/.build-id/{build_id[:2]}/{build_id[2:]}.debug"
    shared = "/usr/lib/debug/.dwz/x86_64-linux-gnu/libc6.debug"
    section = b"../../.dwz/x86_64-linux-gnu/libc6.debug\0" + bytes.fromhex(OTHER_ID)
    put(root, debug, elf_with_sections(build_id, {".gnu_debugaltlink": section}))
    put_elf(root, shared, OTHER_ID)
    assert [entry.path for entry in manifest_of(core_path, root).files if entry.role == "debug"] == [debug, shared]
    put_elf(root, shared, "22" * 20)
    assert [entry.path for entry in manifest_of(core_path, root).files if entry.role == "debug"] == [debug]


def test_missing_thread_library_is_said(core_path: Path, root: Path) -> None:
    Path(str(root) + "/usr/lib/x86_64-linux-gnu/libthread_db.so.1").unlink()
    assert [omission.path for omission in manifest_of(core_path, root).missing] == [
        "/usr/lib/x86_64-linux-gnu/libthread_db.so.1"
    ]


def test_more_files_are_taken_on_request(core_path: Path, root: Path) -> None:
    put(root, "/var/log/app.log", b"42\n")
    manifest = manifest_of(core_path, root, GatherOptions(extra=("/var/log/app.log", "/var/log/none")))
    assert "/var/log/app.log" in [entry.path for entry in manifest.files if entry.role == "extra"]
    assert manifest.missing == (Omission("/var/log/none", "no such file"),)


def test_mapped_file_of_the_living_process_wins_over_the_one_of_its_name(core_path: Path, root: Path) -> None:
    put_elf(root, LIBC, OTHER_ID)
    put_elf(root, "/held", BUILD_IDS[LIBC])
    start = manifest_of(core_path, root).modules[1].start
    collection = gather(core_path, root, GatherOptions(live={start: str(root) + "/held"}))
    assert verdicts(collection.manifest)[LIBC] == "verified"
    assert collection.sources[LIBC].name == str(root) + "/held"


def test_odd_names_are_taken_as_they_are(tmp_path: Path, core_path: Path, root: Path) -> None:
    odd = os.fsdecode(b"/var/a b\n\xff'\\.log")
    put(root, odd, b"odd")
    with open_core(str(core_path)) as core, DiskRoot(str(root)) as disk:
        collection = collect(core, disk, GatherOptions(extra=(odd,)))
        written = write_bundle(
            str(tmp_path / "x.corebox"), Content(collection.manifest, collection.sources, CompactCore(core))
        )
    assert odd in [entry.path for entry in collection.manifest.files]
    assert verify_bundle(written.path).ok


def test_truncated_core_is_used_as_far_as_it_goes(tmp_path: Path, root: Path) -> None:
    core = unpack_core("dynamic", tmp_path)
    os.truncate(core, core.stat().st_size - 5000)
    manifest = manifest_of(core, root)
    assert manifest.core.truncated is not None
    assert manifest.core.truncated.missing_bytes == 5000
    assert [module.path for module in manifest.modules] == list(BUILD_IDS)


def test_other_root_must_be_a_directory(core_path: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        gather(core_path, tmp_path / "none")
    assert caught.value.code == "no-such-root"


@pytest.fixture
def relative(tmp_path: Path, real_core: RealCore) -> Path:
    """The core of a program that was started by a relative name, where the kernel puts it."""
    core = tmp_path / "core"
    core.hardlink_to(real_core("segments"))
    return core


def test_executable_of_a_relative_name_is_found_beside_the_core(relative: Path, tmp_path: Path) -> None:
    """Such a core has no NT_FILE; the working directory of the process is where the kernel put it."""
    put_elf(tmp_path, "/segments", "c0de0b")
    manifest = manifest_of(relative, Path("/"))
    assert manifest.modules[0].verdict == "verified"
    assert manifest.process.executable == str(tmp_path / "segments")


def test_executable_of_a_relative_name_can_be_given(relative: Path, tmp_path: Path) -> None:
    put_elf(tmp_path, "/builds/segments", "c0de0b")
    path = str(tmp_path / "builds" / "segments")
    manifest = manifest_of(relative, Path("/"), GatherOptions(executable=path))
    assert (manifest.modules[0].verdict, manifest.process.executable) == ("verified", path)


def test_memory_of_the_process_is_measured_at_the_site(core_path: Path, root: Path) -> None:
    uses = {entry.kind: entry for entry in manifest_of(core_path, root).memory}
    assert list(uses) == ["file", "stack", "heap", "arena", "anonymous"]
    for use in uses.values():
        assert use.resident is None  # the core has been decompressed
        assert 0 <= use.dumped <= use.virtual
