"""Cores of every shape, each one real: ``tests/cores/Makefile`` says how it was made."""

import tarfile
from pathlib import Path

import pytest

from corebox.coredump.core import open_core
from tests.support.calls import calls_of
from tests.support.realcores import CORES
from tests.unit.conftest import RealCore

LIBC = ("/usr/lib/x86_64-linux-gnu/libc.so.6", "93ac61ec5a8eb1396f9fbd350e3169a558528a40")
LINKER = ("/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", "7ebc65e52f2bbea498b4040fa92f7238377aaba9")
AS_OPENED = ("/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2")
FAULT = 0xDEAD0

Modules = list[tuple[str, str | None]]


def modules_of(path: Path) -> Modules:
    """Path and build ID of each module."""
    with open_core(str(path)) as core:
        return [(module.path, module.build_id) for module in core.modules]


def opened_as(path: Path) -> list[tuple[str, ...]]:
    with open_core(str(path)) as core:
        return [module.opened_as for module in core.modules]


def test_says_who_crashed_of_what_and_where(real_core: RealCore) -> None:
    with open_core(str(real_core("dynamic"))) as core:
        process = core.process
        crashed, sleeper = process.threads
    assert (core.machine, core.bits, core.byte_order, core.truncation) == ("x86_64", 64, "little", None)
    assert (process.name, process.arguments) == ("dynamic", "./dynamic first second")
    assert (process.executable, process.uid, process.gid) == ("./dynamic", 0, 0)
    assert (process.signal, process.signal_name, process.signal_code) == (11, "SIGSEGV", 1)
    assert process.fault_address == FAULT
    assert (crashed.tid, crashed.signal) == (process.pid, 11)
    assert sleeper.tid == crashed.tid + 1
    assert (crashed.program_counter, crashed.stack_pointer) == (0x55D5261241D5, 0x7FFC26055460)  # as gdb says


@pytest.mark.parametrize(
    ("name", "build_id"),
    [("dynamic", "c0de01"), ("nopie", "c0de02"), ("patched", "c0de05"), ("patchednopie", "c0de06")],
)
def test_names_every_module_with_the_build_id_in_memory(real_core: RealCore, name: str, build_id: str) -> None:
    assert modules_of(real_core(name)) == [("/opt/corebox-cores/" + name, build_id), LIBC, LINKER]
    assert opened_as(real_core(name)) == [("./" + name,), (AS_OPENED[0],), (AS_OPENED[1],)]


@pytest.mark.parametrize(("name", "build_id"), [("static", "c0de03"), ("staticpie", "c0de04")])
def test_a_static_executable_is_its_only_module(real_core: RealCore, name: str, build_id: str) -> None:
    assert modules_of(real_core(name)) == [("/opt/corebox-cores/" + name, build_id)]


def test_reads_gcore_whose_notes_are_last_and_count_bytes(real_core: RealCore) -> None:
    with open_core(str(real_core("gcore"))) as core:
        assert core.table.notes[0].offset > max(segment.offset for segment in core.segments)
        libc = [mapping for mapping in core.mappings if mapping.path == LIBC[0]]
        assert [mapping.file_offset for mapping in libc] == [0, 0x26000, 0x17C000, 0x1CF000, 0x1D3000]
        assert (core.process.signal, core.process.signal_code, core.process.fault_address) == (None, None, None)
        assert len(core.process.threads) == 2
    assert modules_of(real_core("gcore")) == [("/opt/corebox-cores/gcored", "c0de08"), LIBC, LINKER]


def test_without_elf_headers_in_the_core_names_are_known_and_build_ids_are_not(real_core: RealCore) -> None:
    path = real_core("filter23")
    assert modules_of(path) == [("/opt/corebox-cores/filter23", None), (LIBC[0], None), (LINKER[0], None)]
    # The name of the dynamic linker lies in the executable's read-only data, which is not in the core either.
    assert opened_as(path) == [("./filter23",), (AS_OPENED[0],), ()]


def test_a_32_bit_core_is_read_on_a_64_bit_host(real_core: RealCore) -> None:
    with open_core(str(real_core("i386"))) as core:
        assert (core.machine, core.bits) == ("i386", 32)
        assert (core.process.fault_address, core.process.arguments) == (FAULT, "./i386")
        assert core.process.threads[0].program_counter == 0x5661722B
    assert modules_of(real_core("i386")) == [
        ("/opt/corebox-cores/i386", "c0de09"),
        ("/usr/lib32/libc.so.6", "edc10157ce09e1a8e6937b4a7ab908f786bc02e6"),
        ("/usr/lib32/ld-linux.so.2", "3b44bfe611b1ec05fc96af038659ab997042e095"),
    ]


def test_a_core_of_another_machine_without_nt_file_is_read_through_the_link_map(real_core: RealCore) -> None:
    with open_core(str(real_core("aarch64"))) as core:
        assert (core.machine, core.mappings) == ("aarch64", ())
        assert (core.process.signal_name, core.process.executable) == ("SIGSEGV", "./aarch64")
        assert len(core.process.threads) == 2
        assert [entry.name for entry in core.link_map] == ["", "/lib/libc.so.6", ""]
    # This qemu leaves the pages with ELF headers out, so that no build ID is in the core.
    assert modules_of(real_core("aarch64")) == [("./aarch64", None), ("/lib/libc.so.6", None)]


def test_a_small_program_whose_data_begins_in_the_first_page_of_its_file_is_one_module(tmp_path: Path) -> None:
    path = tmp_path / "core"
    with tarfile.open(CORES / "riscv64.tar.xz") as archive, path.open("wb") as file:
        core_in_archive = archive.extractfile("core")
        assert core_in_archive
        file.write(core_in_archive.read())
    with open_core(str(path)) as core:
        program, *libraries = core.modules
        mapped = [each for each in core.mappings if each.path == "/opt/acme/bin/orders"]
    assert [each.file_offset for each in mapped] == [0, 0, 0x1000]
    assert (program.path, program.is_executable) == ("/opt/acme/bin/orders", True)
    assert (program.start, program.end) == (mapped[0].start, mapped[-1].end)
    assert not any(each.is_executable for each in libraries)


def test_seventy_thousand_segments_without_nt_file_take_a_few_calls_each(real_core: RealCore) -> None:
    path = real_core("segments")

    def understand() -> None:
        with open_core(str(path)) as core:
            assert (len(core.segments), core.truncation) == (70023, None)
            # Its NT_FILE would have been above the kernel's core_file_note_size_limit.
            assert core.mappings == ()
            assert [(module.path, module.build_id) for module in core.modules] == [
                ("./segments", "c0de0b"),
                (AS_OPENED[0], LIBC[1]),
                (AS_OPENED[1], LINKER[1]),
            ]

    assert calls_of(understand) < 10 * 70023, "it is five; with each looked at for each it would be thousands"


def test_the_vdso_is_no_module_and_data_files_are_listed_apart(real_core: RealCore) -> None:
    with open_core(str(real_core("dynamic"))) as core:
        assert "linux-vdso.so.1" in [entry.name for entry in core.link_map]
        assert not [module for module in core.modules if "vdso" in module.path]
        assert core.other_files == ()
