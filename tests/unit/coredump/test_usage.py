"""Memory by kind."""

import os
from pathlib import Path

import pytest

from corebox.coredump.core import open_core
from corebox.coredump.usage import MemoryUse, measure_memory
from tests.support.elfwriter import NT_AUXV, NT_FILE, NT_PRSTATUS, PAGE, CoreWriter, Format, module
from tests.unit.conftest import RealCore

BASE, HEAP, STACK, OTHER = 0x40000, 0x900000, 0x7F0000000000, 0x600000000000


def test_tells_files_stacks_heap_and_the_rest(tmp_path: Path) -> None:
    form = Format()
    writer = CoreWriter(form)
    registers = [0] * 27
    registers[19] = STACK + PAGE + 8
    writer.note(NT_PRSTATUS, form.prstatus(1, 11, registers))
    writer.note(NT_AUXV, form.words(9, BASE + PAGE, 0, 0))
    writer.note(NT_FILE, form.mappings([(BASE, BASE + 2 * PAGE, 0, b"/app")]))
    writer.memory(BASE, module(form, None), 2 * PAGE)
    writer.memory(HEAP, b"h" * PAGE, PAGE)
    writer.memory(OTHER, b"", 9 * PAGE)
    writer.memory(STACK, b"s" * (4 * PAGE))
    with open_core(str(writer.write(tmp_path / "core"))) as core:
        assert measure_memory(core) == (
            MemoryUse("file", 2 * PAGE, 2 * PAGE, None, 1),
            MemoryUse("stack", 4 * PAGE, 4 * PAGE, None, 1),
            MemoryUse("heap", PAGE, PAGE, None, 1),
            MemoryUse("arena", 0, 0, None, 0),
            MemoryUse("anonymous", 9 * PAGE, 0, None, 1),
        )


def test_holes_that_a_decompressor_made_tell_nothing(real_core: RealCore) -> None:
    with open_core(str(real_core("dynamic"))) as core:
        found = measure_memory(core)
        assert sum(use.dumped for use in found) == sum(segment.file_size for segment in core.segments)
        assert core.stored_size < core.size
    assert {use.resident for use in found} == {None}


@pytest.mark.parametrize(("kept", "resident"), [(PAGE, 2 * PAGE), (0, None)])
def test_only_a_core_that_keeps_pages_of_zeros_has_the_kernels_holes(
    kept: int, resident: int | None, tmp_path: Path
) -> None:
    writer = CoreWriter(Format())
    writer.memory(HEAP, b"h" * PAGE + bytes(8 * PAGE) + b"h")
    data = writer.write(tmp_path / "whole").read_bytes()
    begin = data.index(b"h" * PAGE) + PAGE + kept
    with (tmp_path / "core").open("wb") as file:
        file.write(data[:begin])
        file.seek(8 * PAGE - kept, os.SEEK_CUR)
        file.write(data[begin + 8 * PAGE - kept :])
    with open_core(str(tmp_path / "core")) as core:
        (found,) = (use for use in measure_memory(core) if use.virtual)
        assert found.resident is None if resident is None else found.resident in range(resident, resident + PAGE)
