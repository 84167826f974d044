"""Cores of other machines, gathered here: no file of this machine is taken for theirs, and the bundle can be read."""

import struct
from pathlib import Path

import pytest

from corebox.coredump.core import open_core
from corebox.files.diskroot import DiskRoot
from corebox.gather.cli import main
from corebox.gather.collect import GatherOptions, collect
from corebox.unbundle.read import read_manifest
from tests.support.elfwriter import NT_FILE, NT_PRPSINFO, NT_PRSTATUS, PAGE, CoreWriter, Format, module
from tests.unit.gather.sites import make_site, put_elf

AMD64, MIPS, SPARC = Format(), Format(32, "<", 8), Format(32, ">", 2)
NAME = "/usr/bin/ls"


def crashed(form: Format) -> CoreWriter:
    """A core with a mapping of ``ls``."""
    writer = CoreWriter(form)
    writer.note(NT_FILE, form.mappings([(0x400000, 0x400000 + 2 * PAGE, 0, NAME.encode())]))
    writer.memory(0x400000, module(form, b"\x01\x02"), flags=5)
    return writer


@pytest.mark.parametrize("form", [MIPS, Format(32, "<", 3)], ids=["mips", "i386"])
def test_a_file_for_another_processor_is_missing_whatever_its_name(form: Format, tmp_path: Path) -> None:
    """Even one with the same build ID."""
    root = make_site(tmp_path / "root")
    put_elf(root, NAME, "0102")
    core = crashed(form).write(tmp_path / "core")
    with open_core(str(core)) as opened, DiskRoot(str(root)) as disk:
        manifest = collect(opened, disk, GatherOptions()).manifest
    (entry,) = manifest.modules
    assert (entry.path, entry.verdict) == (NAME, "missing")
    assert "is for x86_64, the core is" in str(entry.detail)
    assert NAME not in {file.path for file in manifest.files}


@pytest.mark.parametrize("signal", [-1, 0, 200])
def test_what_is_written_of_odd_numbers_can_be_read(signal: int, tmp_path: Path) -> None:
    """A signal and a process of a negative number: seen in a core of SPARC."""
    writer = crashed(SPARC)
    writer.note(NT_PRSTATUS, SPARC.prstatus(-7, signal, [0] * 38))
    writer.note(NT_PRPSINFO, struct.pack(">4bIhhiiii16s80s", 0, 0, 0, 0, 0, 0, 0, -5, 0, 0, 0, b"app", b"app"))
    out = tmp_path / "x.corebox"
    root = make_site(tmp_path / "root")
    core = writer.write(tmp_path / "core")
    assert main([str(core), "--root", str(root), "-o", str(out), "--no-nice"]) == 1
    process = read_manifest(out).process
    assert (process.pid, process.name) == (None, "app")
    assert process.signal == (200 if signal == 200 else None)
