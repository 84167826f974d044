"""What is a call on each processor, as gdb's disassembler says of the C library that programs there run with."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from corebox.gdbside.frames.processors import PROCESSORS
from tests.support.architectures import ARCHITECTURES, Architecture
from tests.support.programs import TOOLBOX_GDB

#: gdb's name of each processor, and how its calls are written.
CALLS = {
    "aarch64": ("aarch64", r"blr?\b"),
    "ppc64le": ("powerpc:common64", r"(b\w*l|bl)\b(?!.*,20,31)|b\w+lrl\b|b\w*ctrl\b"),
    "s390x": ("s390:64-bit", r"(brasl|bras|bas)\b|basr\s+%r\d+,%r[1-9]"),
    "i386": ("i386", r"(\w+ )*call\b"),
    "riscv64": ("riscv:rv64", r"jalr?\s+(?!x?zero|t[0-9]\b(?<!t0)|a\d)"),
}
_LIST = """
import gdb, json
start = int(gdb.parse_and_eval("(unsigned long) &qsort_r"))
listed = gdb.selected_inferior().architecture().disassemble(start, count=COUNT)
memory = gdb.selected_inferior().read_memory(start - 8, listed[-1]["addr"] - start + 16).tobytes()
found = [(each["addr"] - start + each["length"], each["asm"]) for each in listed]
print("answer:" + json.dumps({"memory": memory.hex(), "instructions": found}))
"""
_COUNT = 8000


def listed(library: Path) -> Any:
    """Code of a library: its bytes from 8 before it on, and where each instruction of it ends."""
    words = [TOOLBOX_GDB, "-nx", "-batch", str(library), "-ex", f"python exec({_LIST.replace('COUNT', str(_COUNT))!r})"]
    shown = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    return json.loads(shown.partition("answer:")[2])


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=lambda each: each.name)
def test_what_follows_a_call_is_known(architecture: Architecture, tmp_path: Path) -> None:
    root = architecture.crash(tmp_path)[0] if not architecture.compiler else Path("/usr") / architecture.compiler
    code = listed(root / "lib" / "libc.so.6")
    memory, (name, calls) = bytes.fromhex(code["memory"]), CALLS[architecture.name]
    processor = PROCESSORS[name]
    seen, wrong = 0, []
    for end, text in code["instructions"]:
        wanted = bool(re.match(calls, text))
        seen += wanted
        if processor.is_call(memory[8 + end - processor.max_call_length : 8 + end]) != wanted:
            wrong.append(text)
    assert seen > 100
    # Where instructions have no fixed size, bytes of others may end like a call; a call is never overlooked.
    assert not [text for text in wrong if re.match(calls, text)]
    assert len(wrong) < _COUNT / 100, wrong
