"""Cores that gdb can read in part or not at all: the report has what the core says, and an empty one is an error."""

import struct
from pathlib import Path

import pytest

from tests.integration.test_why import die
from tests.support.crashes import compile_cxx
from tests.support.documents import validate
from tests.support.lab import Lab
from tests.support.programs import FOLDER

_EM_ALPHA = 0x9026  # elf.h


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real core."""
    source = FOLDER / "faults" / "faults.cc"
    return die(compile_cxx(source, tmp_path_factory.mktemp("unreadable") / "faults", "-O0", "-g"), "null-read")


@pytest.fixture(scope="module")
def foreign(core: Path) -> Path:
    """The same of a processor that gdb knows, but not the registers in its cores."""
    data = bytearray(core.read_bytes())
    struct.pack_into("<H", data, 18, _EM_ALPHA)
    path = core.with_name("alpha.core")
    path.write_bytes(data)
    return path


def test_without_registers_the_rest_is_told(foreign: Path, lab: Lab) -> None:
    bundle = foreign.with_suffix(".corebox")
    lab.corebox("gather", foreign, "-o", bundle)
    result = lab.corebox("report", bundle, "--engine", "bubblewrap", "--format", "json")
    assert result.status == 1
    assert result.errors.startswith("error: gdb could not read the crash: ")
    document = result.json
    validate(document, "report")
    parts = {each["part"]: each["reason"] for each in document["missing"]}
    assert {"stacks", "registers"} <= parts.keys()
    assert document["manifest"]["process"]["signal_name"] == "SIGSEGV"
    assert document["manifest"]["memory"]
    text = lab.corebox("report", bundle, "--engine", "bubblewrap").output
    assert "crash:     " in text
    assert f" could not be read: {parts['stacks']}" in text
    page = lab.corebox("report", bundle, "--engine", "bubblewrap", "--format", "html")
    assert page.status == 1
    assert "gdb could not read a thread." in page.output or "What is missing" in page.output


def test_crashes_of_which_none_could_be_read_are_an_error(foreign: Path, core: Path, lab: Lab) -> None:
    bundle, other = foreign.with_suffix(".corebox"), core.with_name("whole.corebox")
    lab.corebox("gather", foreign, "-o", bundle)
    lab.done("gather", core, "-o", other)
    alone = lab.corebox("similar", bundle, "--engine", "bubblewrap", "--json")
    assert alone.status == 3
    assert alone.json["groups"] == []
    (failed,) = alone.json["failed"]
    assert failed["code"] == "no-answer"
    both = lab.corebox("similar", bundle, other, "--engine", "bubblewrap", "--json")
    assert both.status == 1
    assert [group["names"] for group in both.json["groups"]] == [[str(other)]]
    compared = lab.corebox("diff", bundle, other, "--engine", "bubblewrap")
    assert (compared.status, compared.output) == (3, "")
