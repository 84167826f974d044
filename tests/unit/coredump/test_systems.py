"""Cores of other systems, and of Linux on processors whose signals and notes are not x86's."""

import struct
from pathlib import Path

import pytest

from corebox.coredump.core import CoreFile, open_core
from corebox.coredump.machines import runs_on
from corebox.coredump.signals import signal_name
from corebox.reduce.slim import plan_slim
from tests.support.elfwriter import NT_AUXV, NT_FILE, NT_PRPSINFO, NT_PRSTATUS, NT_SIGINFO, PAGE, CoreWriter, Format

STACK = 0x7F7FFF000000
AMD64, I386, MIPS, SPARC = Format(), Format(32, "<", 3), Format(32, ">", 8), Format(32, ">", 2)


def opened(tmp_path: Path, writer: CoreWriter) -> CoreFile:
    return open_core(str(writer.write(tmp_path / "core")))


def placed(size: int, order: str, **fields: tuple[int, object]) -> bytes:
    """A structure of ``size`` bytes with numbers and texts at their places."""
    data = bytearray(size)
    for at, value in fields.values():
        if isinstance(value, bytes):
            data[at : at + len(value)] = value
        else:
            struct.pack_into(order + ("i" if -(1 << 31) <= int(str(value)) < 1 << 31 else "Q"), data, at, value)
    return bytes(data)


@pytest.mark.parametrize(
    ("system", "machine", "number", "name"),
    [
        ("Linux", 62, 7, "SIGBUS"),
        ("Linux", 62, 16, "SIGSTKFLT"),
        ("Linux", 62, 29, "SIGIO"),
        ("Linux", 62, 34, "SIGRTMIN"),
        ("Linux", 62, 64, "SIGRTMAX"),
        ("Linux", 62, 77, "SIG77"),
        ("Linux", 8, 10, "SIGBUS"),
        ("Linux", 8, 7, "SIGEMT"),
        ("Linux", 8, 18, "SIGCHLD"),
        ("Linux", 0x9026, 10, "SIGBUS"),
        ("Linux", 0x9026, 30, "SIGUSR1"),
        ("Linux", 43, 10, "SIGBUS"),
        ("Linux", 15, 10, "SIGBUS"),
        ("Linux", 15, 31, "SIGSYS"),
        ("NetBSD", 62, 10, "SIGBUS"),
        ("FreeBSD", 183, 29, "SIGINFO"),
        ("OpenBSD", 62, 32, "SIGTHR"),
        ("Solaris", 2, 33, "SIGLWP"),
    ],
)
def test_names_signals_as_their_system_does(system: str, machine: int, number: int, name: str) -> None:
    assert signal_name(system, machine, number) == name


@pytest.mark.parametrize(("form", "fields", "code"), [(MIPS, (10, 2, 0), 2), (SPARC, (10, 0, 2), 2)])
def test_mips_has_the_code_of_a_signal_before_the_error(
    tmp_path: Path, form: Format, fields: tuple[int, int, int], code: int
) -> None:
    writer = CoreWriter(form)
    writer.note(NT_PRSTATUS, form.prstatus(7, 10, [0] * 45))
    writer.note(NT_SIGINFO, form.ints(*fields) + form.words(0x1234) + bytes(100))
    with opened(tmp_path, writer) as core:
        process = core.process
    assert (process.signal_name, process.signal_code, process.fault_address) == ("SIGBUS", code, 0x1234)


def test_m68k_aligns_to_two_bytes(tmp_path: Path) -> None:
    form = Format(32, ">", 4)
    status = bytearray(154)
    struct.pack_into(">h", status, 12, 11)
    struct.pack_into(">i", status, 22, 99)
    struct.pack_into(">20I", status, 70, *range(100, 120))
    writer = CoreWriter(form)
    writer.note(NT_PRSTATUS, bytes(status))
    with opened(tmp_path, writer) as core:
        (thread,) = core.process.threads
    assert thread == (99, 11, 118, 115)


def test_n32_has_wide_registers_in_a_narrow_file(tmp_path: Path) -> None:
    form = Format(32, "<", 8)
    status = bytearray(440)
    struct.pack_into("<h", status, 12, 11)
    struct.pack_into("<i", status, 24, 5)
    struct.pack_into("<45Q", status, 72, *range(1000, 1045))
    writer = CoreWriter(form)
    writer.note(NT_PRSTATUS, bytes(status))
    with opened(tmp_path, writer) as core:
        assert core.process.threads == ((5, 11, 1034, 1029),)


def test_files_that_an_old_kernel_listed_in_wide_numbers_are_read(tmp_path: Path) -> None:
    form = Format(32, "<", 8)
    writer = CoreWriter(form)
    writer.note(NT_FILE, struct.pack("<5Q", 1, PAGE, 0x400000, 0x401000, 0) + b"/opt/app\0")
    with opened(tmp_path, writer) as core:
        assert [(each.start, each.path) for each in core.mappings] == [(0x400000, "/opt/app")]


def test_a_signal_and_a_process_of_no_number_are_not_told(tmp_path: Path) -> None:
    writer = CoreWriter()
    writer.note(NT_PRSTATUS, AMD64.prstatus(7, -1, [0] * 27))
    writer.note(NT_PRPSINFO, placed(136, "<", pid=(24, -5), name=(40, b"app")))
    with opened(tmp_path, writer) as core:
        process = core.process
    assert (process.name, process.pid, process.signal, process.signal_name) == ("app", None, None, None)


def test_a_breakpoint_without_address_has_none(tmp_path: Path) -> None:
    writer = CoreWriter(MIPS)
    writer.note(NT_PRSTATUS, MIPS.prstatus(7, 5, [0] * 45))
    writer.note(NT_SIGINFO, MIPS.ints(5, 1, 0) + MIPS.words(0) + bytes(100))
    with opened(tmp_path, writer) as core:
        assert (core.process.signal_name, core.process.fault_address) == ("SIGTRAP", None)


def add(writer: CoreWriter, owner: bytes, kind: int, data: bytes) -> None:
    writer.notes.append(writer.format.note(kind, data, owner + b"\0"))


def netbsd() -> CoreWriter:
    writer = CoreWriter()
    info = placed(160, "<", signal=(8, 11), pid=(80, 693), uid=(96, 1000), gid=(108, 100), name=(124, b"server"))
    add(writer, b"NetBSD-CORE", 1, info)
    add(writer, b"NetBSD-CORE", 2, AMD64.words(7, 0x1000, 2014, STACK + 8, 25, 0xFFFF, 0, 0))
    add(writer, b"NetBSD-CORE@3", 33, placed(208, "<", rip=(168, 0x200AD0), rsp=(192, STACK)))
    writer.memory(STACK, (bytes(8) + b"/opt/server\0").ljust(PAGE, b"\0"))
    return writer


def openbsd() -> CoreWriter:
    writer = CoreWriter()
    info = placed(104, "<", signal=(8, 11), pid=(32, 693), uid=(48, 1000), gid=(60, 100), name=(72, b"server"))
    add(writer, b"OpenBSD", 10, info)
    add(writer, b"OpenBSD", 11, AMD64.words(7, 0x1000, 25, 0xFFFF, 0, 0))
    add(writer, b"OpenBSD@3", 20, placed(184, "<", rsp=(120, STACK), rip=(128, 0x200AD0)))
    writer.memory(STACK, bytes(PAGE))
    return writer


def freebsd() -> CoreWriter:
    writer = CoreWriter()
    status = placed(224, "<", signal=(36, 11), tid=(40, 3), rip=(48 + 17 * 8, 0x200AD0), rsp=(48 + 20 * 8, STACK))
    add(writer, b"FreeBSD", 1, status)
    add(writer, b"FreeBSD", 3, placed(120, "<", name=(16, b"server"), words=(33, b"server -d"), pid=(116, 693)))
    add(writer, b"FreeBSD", 16, AMD64.ints(16) + AMD64.words(7, 0x1000, 15, STACK + 8, 25, 0xFFFF, 0, 0))
    add(writer, b"FreeBSD", 17, placed(164, "<", flags=(12, 0x20), signal=(52, 11), code=(60, 1), address=(76, 0x1234)))
    entry = placed(160, "<", entry=(0, 160), start=(8, 0x200000), end=(16, 0x201000), path=(136, b"/opt/server"))
    add(writer, b"FreeBSD", 10, AMD64.ints(160) + entry + placed(160, "<", entry=(0, 160), start=(8, 0x800000)))
    writer.memory(STACK, (bytes(8) + b"/opt/server\0").ljust(PAGE, b"\0"))
    return writer


@pytest.mark.parametrize("make", [netbsd, openbsd, freebsd])
def test_a_core_of_a_bsd_is_told_as_that(tmp_path: Path, make: "type[CoreWriter]") -> None:
    with opened(tmp_path, make()) as core:
        process = core.process
        assert (core.system, process.name, process.pid) == (
            {"netbsd": "NetBSD", "openbsd": "OpenBSD", "freebsd": "FreeBSD"}[make.__name__],
            "server",
            693,
        )
        assert process.signal_name == "SIGSEGV"
        (thread,) = process.threads
        assert (thread.tid, thread.program_counter, thread.stack_pointer) == (3, 0x200AD0, STACK)
        assert 25 not in core.auxv  # AT_RANDOM is Linux'
        assert process.executable == (None if make is openbsd else "/opt/server")
        assert plan_slim(core).kept_memory == PAGE
        if make is freebsd:
            assert process.fault_address == 0x1234
            assert [(each.start, each.path) for each in core.mappings] == [(0x200000, "/opt/server")]


def test_a_core_of_solaris_is_told_as_that(tmp_path: Path) -> None:
    writer = CoreWriter(SPARC)
    info = placed(260, ">", uid=(8, 5), gid=(12, 6), pid=(16, 693), name=(84, b"server"), words=(100, b"server -d"))
    writer.note(3, info)
    status = bytearray(
        placed(508, ">", signal=(8, 11), code=(12, -1), tid=(308, 6), pc=(488, 0x7F0000), sp=(412, 0x60))
    )
    struct.pack_into(">h", status, 136, 11)
    writer.note(1, bytes(status))
    writer.note(NT_AUXV, SPARC.words(3, 0x10034, 2014, 0, 0, 0))
    with opened(tmp_path, writer) as core:
        process = core.process
        assert (core.system, core.machine, process.name, process.pid) == ("Solaris", "sparc", "server", 693)
        assert (process.arguments, process.signal_name, process.signal_code) == ("server -d", "SIGSEGV", -1)
        assert process.threads == ((6, 11, 0x7F0000, 0x60),)


def test_a_core_of_a_microcontroller_is_told_as_that(tmp_path: Path) -> None:
    form = Format(32, "<", 94)
    writer = CoreWriter(form)
    writer.note(NT_PRSTATUS, form.prstatus(1, 0, [0] * 80))
    add(writer, b"ESP_CORE_DUMP_INFO", 8266, bytes(40))
    with opened(tmp_path, writer) as core:
        assert (core.system, core.machine) == ("ESP-IDF", "xtensa")


def test_notes_that_are_cut_anywhere_are_no_error(tmp_path: Path) -> None:
    for make in (netbsd, openbsd, freebsd):
        whole = make()
        for note in list(whole.notes):
            for size in range(12, len(note), 7):
                writer = CoreWriter(notes=[note[:4] + struct.pack("<I", size - 12) + note[8:size]])
                with opened(tmp_path, writer) as core:
                    assert core.process.threads is not None


@pytest.mark.parametrize(
    ("machine", "host", "runs"),
    [("x86_64", "x86_64", True), ("i386", "x86_64", True), ("mipsel", "x86_64", False), ("arm", "aarch64", True)],
)
def test_knows_whose_programs_a_machine_runs(machine: str, host: str, runs: bool) -> None:
    assert runs_on(machine, host) is runs
