"""Signatures of real cores."""

import re
from pathlib import Path

from corebox.actions.fault import fault_place
from corebox.coredump.core import open_core
from tests.support.realcores import unpack_core


def test_signal_module_and_offset(tmp_path: Path) -> None:
    core = unpack_core("dynamic", tmp_path)
    with open_core(str(core)) as opened:
        counter = opened.process.threads[0].program_counter
        module = next(each for each in opened.modules if each.start <= (counter or 0) < each.end)
    assert fault_place(core) == f"SIGSEGV {Path(module.path).name}+{(counter or 0) - module.start:#x}"


def test_no_address_is_in_it(tmp_path: Path) -> None:
    """The same program under different address-space layouts: the cores lie elsewhere, the fault is one."""
    for name in ("dynamic", "nopie", "static", "staticpie"):
        signature = fault_place(unpack_core(name, tmp_path))
        offset = re.fullmatch(r"SIG[A-Z]+ \S+\+0x([0-9a-f]+)", signature)
        assert offset, signature
        assert int(offset[1], 16) < 1 << 24
