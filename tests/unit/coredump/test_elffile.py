"""Facts of ELF files, and the comparison of memory with a file."""

import struct
from pathlib import Path

import pytest

from corebox.coredump.compare import compare_with_file
from corebox.coredump.core import open_core
from corebox.coredump.elffile import is_elf, read_elf
from corebox.coredump.values import PageComparison
from corebox.errors import InputError
from tests.support.elfwriter import NT_FILE, PAGE, CoreWriter, Format, module

BASE = 0x40000


@pytest.mark.parametrize("form", [Format(64, "<", 62), Format(32, ">", 20), Format(32, "<", 3)])
def test_reads_a_stripped_module(tmp_path: Path, form: Format) -> None:
    path = tmp_path / "a.so"
    path.write_bytes(module(form, b"\xde\xad"))
    assert is_elf(str(path))
    facts = read_elf(str(path))
    assert (facts.bits, facts.byte_order, facts.kind) == (form.bits, "little" if form.order == "<" else "big", "dyn")
    assert (facts.build_id, facts.stripped, facts.has_debug_info) == ("dead", True, False)
    assert (facts.soname, facts.needed, facts.interpreter, facts.debuglink) == (None, (), None, None)


def with_sections(form: Format, sections: dict[str, bytes]) -> bytes:
    """A module with named sections, as ``objcopy`` adds them."""
    names = b"\0" + b"".join(name.encode() + b"\0" for name in sections) + b".shstrtab\0"
    body = bytearray(module(form, b"\x77"))
    rows = [bytes(64)]
    for name, data in [*sections.items(), (".shstrtab", names)]:
        kind = 3 if name == ".shstrtab" else 1
        at = names.index(b"\0" + name.encode() + b"\0") + 1
        rows.append(struct.pack(form.order + "IIQQQQIIQQ", at, kind, 0, 0, len(body), len(data), 0, 0, 4, 0))
        body += data + bytes(-len(data) % 8)
    body[40:48] = form.words(len(body))
    body[60:64] = struct.pack(form.order + "HH", len(rows), len(rows) - 1)
    return bytes(body) + b"".join(rows)


def test_reads_the_debuglink_and_the_debug_sections(tmp_path: Path) -> None:
    path = tmp_path / "a.so"
    link = b"a.debug\0" + struct.pack("<I", 0xCAFE)
    path.write_bytes(with_sections(Format(), {".gnu_debuglink": link, ".debug_info": b"x"}))
    facts = read_elf(str(path))
    assert (facts.debuglink, facts.stripped, facts.has_debug_info) == (("a.debug", 0xCAFE), False, True)


def test_a_script_is_no_elf_file(tmp_path: Path) -> None:
    path = tmp_path / "script"
    path.write_text("#!/bin/sh\n")
    assert not is_elf(str(path))
    with pytest.raises(InputError) as caught:
        read_elf(str(path))
    assert caught.value.code == "not-elf"


@pytest.mark.parametrize(
    ("on_disk", "expected"),
    [
        (b"code", PageComparison(2 * PAGE, 0, None)),
        (b"cody", PageComparison(2 * PAGE - 1, 1, PAGE + 3)),
    ],
)
def test_compares_dumped_pages_with_a_file(tmp_path: Path, on_disk: bytes, expected: PageComparison) -> None:
    form = Format()
    writer = CoreWriter(form)
    writer.note(NT_FILE, form.mappings([(BASE, BASE + 2 * PAGE, 0, b"/lib/a.so")]))
    writer.memory(BASE, module(form, None), flags=5)
    (tmp_path / "a.so").write_bytes(module(form, None, code=on_disk))
    with open_core(str(writer.write(tmp_path / "core"))) as core, (tmp_path / "a.so").open("rb") as file:
        assert core.modules[0].build_id is None
        assert compare_with_file(core, core.modules[0], file.fileno()) == expected


def test_nothing_is_compared_where_nothing_was_dumped(tmp_path: Path) -> None:
    form = Format()
    writer = CoreWriter(form)
    writer.note(NT_FILE, form.mappings([(BASE, BASE + 2 * PAGE, 0, b"/lib/a.so")]))
    writer.memory(BASE, b"", 2 * PAGE, flags=5)
    (tmp_path / "a.so").write_bytes(module(form, None))
    with open_core(str(writer.write(tmp_path / "core"))) as core, (tmp_path / "a.so").open("rb") as file:
        assert compare_with_file(core, core.modules[0], file.fileno()) == PageComparison(0, 0, None)
