"""Environment and patterns are blanked, and nothing that a debugger needs."""

from pathlib import Path

import pytest

from corebox.coredump.core import CoreFile, open_core
from corebox.coredump.redact import RedactionPlan, plan_redaction, read_current_environment, read_initial_environment
from corebox.coredump.values import Extent
from corebox.errors import UsageError
from tests.support.elfwriter import CoreWriter
from tests.unit.coredump.conftest import RealCore

SHAPES = ["dynamic", "nopie", "static", "staticpie", "filter23", "gcore", "i386", "aarch64", "segments"]
SECRET = b"hunter2-hunter2"


def redacted(core: CoreFile, plan: RedactionPlan, step: int = 100_000) -> bytes:
    """The core as it goes out, piece by piece."""
    return b"".join(plan.apply(at, core.read_file(at, step)) for at in range(0, core.size, step))


@pytest.mark.parametrize("name", SHAPES)
def test_blanks_the_environment_wherever_it_is(real_core: RealCore, tmp_path: Path, name: str) -> None:
    with open_core(str(real_core(name))) as core:
        assert sorted(read_initial_environment(core)) == [b"LC_ALL=C", b"SECRET_TOKEN=" + SECRET]
        plan = plan_redaction(core, environment=True)
        (tmp_path / "out").write_bytes(redacted(core, plan))
        original, modules, process = core.read_file(0, core.size), core.modules, core.process
    out = (tmp_path / "out").read_bytes()
    # Vector registers and old stack frames have pieces of the environment, too.
    assert plan.occurrences == original.count(SECRET) + original.count(b"LC_ALL=C\0")
    assert (plan.variables, out.count(SECRET), out.count(b"LC_ALL=C\0")) == (2, 0, 0)
    assert out.count(b"SECRET_TOKEN=***************\0") == original.count(b"SECRET_TOKEN=" + SECRET + b"\0") == 1
    with open_core(str(tmp_path / "out")) as core:
        assert (core.modules, core.process) == (modules, process)


@pytest.mark.parametrize("name", ["dynamic", "i386", "nopie"])
def test_finds_environ_in_the_data_of_libc(real_core: RealCore, name: str) -> None:
    with open_core(str(real_core(name))) as core:
        assert read_current_environment(core) == {b"LC_ALL=C", b"SECRET_TOKEN=" + SECRET}


def test_blanks_patterns_everywhere_behind_the_headers(real_core: RealCore) -> None:
    with open_core(str(real_core("dynamic"))) as core:
        plan = plan_redaction(core, environment=False, patterns=[b"of the heap", b"first second"])
        before, out = core.read_file(0, core.size), redacted(core, plan, 4097)
    assert before.count(b"secret of the heap") == plan.occurrences - 1 == 4096
    assert out.count(b"secret ***********") == before.count(b"secret of the heap")
    assert b"first second" not in out  # the arguments in NT_PRPSINFO
    assert (len(out), plan.variables) == (len(before), 0)


def test_a_pattern_across_the_edge_of_a_piece_is_found_once(tmp_path: Path) -> None:
    writer = CoreWriter()
    edge = 4 << 20
    head = 4096
    writer.memory(0x10000000, b"." * (edge - 3) + b"pattern" + b"." * 100 + b"patternpattern")
    with open_core(str(writer.write(tmp_path / "core"))) as core:
        plan = plan_redaction(core, environment=False, patterns=[b"pattern"])
    assert plan.ranges == (Extent(head + edge - 3, 7), Extent(head + edge + 104, 14))
    assert plan.occurrences == 3


def test_known_paths_stay_outside_the_environment(real_core: RealCore) -> None:
    with open_core(str(real_core("dynamic"))) as core:
        plan = plan_redaction(core, environment=True, patterns=[])
        assert b"/lib/x86_64-linux-gnu/libc.so.6" in redacted(core, plan)


def test_a_pattern_that_is_everywhere_by_chance_is_refused(real_core: RealCore) -> None:
    with open_core(str(real_core("dynamic"))) as core, pytest.raises(UsageError) as caught:
        plan_redaction(core, environment=False, patterns=[b"abc"])
    assert caught.value.code == "pattern-too-short"
