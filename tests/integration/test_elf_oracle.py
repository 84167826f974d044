"""Our reader of ELF files beside pyelftools: the same facts of every ELF file of this machine and of the sites."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from corebox.coredump.elffile import read_elf
from corebox.coredump.values import ElfFile
from corebox.errors import InputError
from tests.support.site import Site

_HOLLOW = (".interp", ".dynamic", ".text")


def elf_files(root: Path) -> Iterator[Path]:
    """Each ELF file once, whatever it is called."""
    seen = set()
    for top in ("usr", "lib", "opt"):
        for folder, _, names in os.walk(root / top):
            for path in (Path(folder, name) for name in names):
                if not path.is_file() or path.is_symlink() or path.stat().st_ino in seen:
                    continue
                seen.add(path.stat().st_ino)
                with path.open("rb") as file:
                    if file.read(4) == b"\x7fELF":
                        yield path


def facts(path: Path) -> dict[str, Any] | None:
    """What both readers can tell; None where pyelftools gives up."""
    with path.open("rb") as file:
        try:
            return _facts(ELFFile(file))  # type: ignore[no-untyped-call]
        except ELFError:
            return None


def _facts(elf: Any) -> dict[str, Any]:
    sections = {section.name: section for section in elf.iter_sections()}
    hollow = any(name in sections and sections[name]["sh_type"] == "SHT_NOBITS" for name in _HOLLOW)
    segments = [] if hollow else list(elf.iter_segments())
    tags = [tag for segment in segments if segment["p_type"] == "PT_DYNAMIC" for tag in segment.iter_tags()]
    # Debug files have it in a section only, and so do some programs of Go.
    notes = [each for each in segments if each["p_type"] == "PT_NOTE"]
    notes += [sections[name] for name in (".note.gnu.build-id",) if name in sections]
    ids = [note["n_desc"] for part in notes for note in part.iter_notes() if note["n_type"] == "NT_GNU_BUILD_ID"]
    return {
        "build_id": next(iter(ids), None),
        "soname": next((tag.soname for tag in tags if tag.entry.d_tag == "DT_SONAME"), None),
        "needed": tuple(tag.needed for tag in tags if tag.entry.d_tag == "DT_NEEDED"),
        "interpreter": next((s.get_interp_name() for s in segments if s["p_type"] == "PT_INTERP"), None),
        "has_debug_info": bool({".debug_info", ".zdebug_info"} & set(sections)),
        "stripped": not {".debug_info", ".zdebug_info", ".symtab"} & set(sections),
        "hollow": hollow,
    }


def differences(root: Path) -> tuple[int, list[str]]:
    compared, found = 0, []
    for path in elf_files(root):
        expected, ours = facts(path), _ours(path)
        if expected is None or ours is None:
            continue
        compared += 1
        for name, value in expected.items():
            if getattr(ours, name) != value:
                found.append(f"{path}: {name} is {value!r}, and we say {getattr(ours, name)!r}")
    return compared, found


def _ours(path: Path) -> ElfFile | None:
    try:
        return read_elf(str(path))
    except InputError:
        return None


def test_the_same_facts_of_every_file_of_this_machine() -> None:
    compared, found = differences(Path("/"))
    assert compared > 1000
    assert found == []


def test_the_same_facts_of_every_file_of_a_site(site: Site) -> None:
    compared, found = differences(site.root)
    assert compared > 300
    assert found == []
