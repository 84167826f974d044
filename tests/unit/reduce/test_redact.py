"""Environment and patterns are blanked, and nothing that a debugger needs."""

import tracemalloc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from corebox.coredump.core import CoreFile, open_core
from corebox.errors import UsageError
from corebox.reduce.environment import read_environment
from corebox.reduce.redact import RedactionPlan, plan_redaction
from tests.support.elfwriter import NT_AUXV, NT_FILE, NT_PRPSINFO, PAGE, CoreWriter, Format, module
from tests.unit.conftest import RealCore

SHAPES = ["dynamic", "nopie", "static", "staticpie", "filter23", "gcore", "i386", "aarch64", "segments"]
SECRET = b"hunter2-hunter2"


def redacted(core: CoreFile, plan: RedactionPlan, step: int = 100_000) -> bytes:
    """The core as it goes out, piece by piece."""
    return b"".join(plan.apply(at, core.read_file(at, step)) for at in range(0, core.size, step))


@pytest.mark.parametrize("name", SHAPES)
def test_blanks_the_environment_wherever_it_is(real_core: RealCore, tmp_path: Path, name: str) -> None:
    with open_core(str(real_core(name))) as core:
        assert {b"LC_ALL=C", b"SECRET_TOKEN=" + SECRET} == set(read_environment(core).strings)
        plan = plan_redaction(core, environment=True)
        (tmp_path / "out").write_bytes(redacted(core, plan))
        original, modules, process = core.read_file(0, core.size), core.modules, core.process
    out = (tmp_path / "out").read_bytes()
    # Vector registers and old stack frames have pieces of the environment, too.
    assert (plan.names, out.count(SECRET[:8]), out.count(b"LC_ALL=C\0")) == (("LC_ALL", "SECRET_TOKEN"), 0, 0)
    assert plan.occurrences >= original.count(SECRET) + original.count(b"LC_ALL=C\0")
    assert out.count(b"SECRET_TOKEN=***************\0") == original.count(b"SECRET_TOKEN=" + SECRET + b"\0") == 1
    assert plan.blank(b"--token=" + SECRET[:9]) == b"--token=" + b"*" * 9
    with open_core(str(tmp_path / "out")) as core:
        assert (core.modules, core.process) == (modules, process)


def test_blanks_patterns_everywhere_behind_the_headers(real_core: RealCore) -> None:
    with open_core(str(real_core("dynamic"))) as core:
        plan = plan_redaction(core, environment=False, patterns=[b"of the heap", b"first second"])
        before, out = core.read_file(0, core.size), redacted(core, plan, 4097)
    assert out.count(b"secret ***********") == before.count(b"secret of the heap") == 4096
    assert b"first second" not in out  # the arguments in NT_PRPSINFO
    assert (len(out), plan.names) == (len(before), ())


def test_a_pattern_across_the_edge_of_a_piece_is_found_once(tmp_path: Path) -> None:
    writer = CoreWriter()
    edge = 4 << 20
    head = 4096
    writer.memory(0x10000000, b"." * (edge - 3) + b"pattern" + b"." * 100 + b"patternpattern")
    with open_core(str(writer.write(tmp_path / "core"))) as core:
        plan = plan_redaction(core, environment=False, patterns=[b"pattern"])
    assert list(zip(plan.starts, plan.ends, strict=True)) == [
        (head + edge - 3, head + edge + 4),
        (head + edge + 104, head + edge + 118),
    ]


def test_known_paths_stay_outside_the_environment(real_core: RealCore) -> None:
    with open_core(str(real_core("dynamic"))) as core:
        plan = plan_redaction(core, environment=True, patterns=[])
        assert b"/lib/x86_64-linux-gnu/libc.so.6" in redacted(core, plan)


def test_a_pattern_that_is_everywhere_by_chance_is_refused(real_core: RealCore) -> None:
    with open_core(str(real_core("dynamic"))) as core, pytest.raises(UsageError) as caught:
        plan_redaction(core, environment=False, patterns=[b"abc"])
    assert caught.value.code == "pattern-too-short"


STACK, HEAP, DATA = 0x7FFE00000000, 0x900000, 0x600000
SECRETS = {
    b"my.dotted-name%": b"dotted-secret-value",
    b"with blank": b"blank-secret-value",
    b"BASH_FUNC_greet%%": b"() {  echo function-secret\n}",
    b"PLAIN": b"plain-secret-value",
    b"TINY": b"abc",
}


def crashed(
    variables: dict[bytes, bytes], heap: bytes = b"", removed: tuple[bytes, ...] = (), title: bytes = b""
) -> CoreWriter:
    """A core with an initial stack as the kernel makes it; ``removed`` by ``unsetenv``, ``title`` written over all."""
    form, writer = Format(), CoreWriter()
    auxv = form.words(25, STACK + 8, 31, STACK + 0x3000, 0, 0)
    strings = [b"./app", b"--verbose", *(name + b"=" + value for name, value in variables.items())]
    places = [STACK + 0x1000 + at for at in starts(strings)]
    pointers = [p for p, string in zip(places, strings, strict=True) if string.partition(b"=")[0] not in removed]
    gone = [0] * (len(places) - len(pointers))
    words = form.words(2, *pointers[:2], 0, *pointers[2:], *gone, 0) + auxv
    text = b"\0".join(strings) + b"\0"
    text = (title + text[len(title) :])[: len(text)]
    end = 0x1000 + len(text)  # the name of the executable follows at once
    auxv = form.words(25, STACK + 8, 31, STACK + end, 0, 0)
    stack = (bytes(0x100) + words[: -len(auxv)] + auxv).ljust(0x1000, b"\0") + text + b"./app\0"
    writer.note(NT_AUXV, auxv)
    writer.note(NT_PRPSINFO, bytes(40) + b"app".ljust(16, b"\0") + b"./app --verbose".ljust(80, b"\0"))
    writer.memory(HEAP, heap.ljust(PAGE, b"\0"))
    writer.memory(STACK, stack.ljust(0x2000, b"\0"))
    return writer


def starts(strings: list[bytes]) -> Iterator[int]:
    """Where each string begins, if they follow each other with a NUL between."""
    at = 0
    for string in strings:
        yield at
        at += len(string) + 1


def blanked(tmp_path: Path, writer: CoreWriter, *patterns: bytes) -> tuple[bytes, RedactionPlan]:
    """The core without its environment."""
    with open_core(str(writer.write(tmp_path / "core"))) as core:
        plan = plan_redaction(core, environment=True, patterns=patterns)
        return redacted(core, plan), plan


def left_of(secrets: Iterable[bytes], data: bytes) -> list[bytes]:
    """The secrets of which 8 bytes or more are still there."""
    return [secret for secret in secrets if len(secret) >= 8 and secret[:8] in data]


@pytest.mark.parametrize("removed", [(), (b"PLAIN",), (b"my.dotted-name%",), tuple(SECRETS)])
def test_every_value_is_blanked_whatever_its_name(tmp_path: Path, removed: tuple[bytes, ...]) -> None:
    copies = b"".join(b"\1" * index + value for index, value in enumerate(SECRETS.values()))
    out, plan = blanked(tmp_path, crashed(SECRETS, copies + b"dotted-s\0blank-sec", removed))
    assert left_of(SECRETS.values(), out) == []
    assert plan.names == tuple(sorted(name.decode() for name in SECRETS))
    assert b"TINY=***\0" in out
    assert b"BASH_FUNC_greet%%=**" in out
    assert out.count(b"--verbose") == 2


@pytest.mark.parametrize("size", [3, 9, 20, 40, 60, 90, 400])
def test_a_title_written_over_arguments_and_environment_leaves_nothing(tmp_path: Path, size: int) -> None:
    out, _ = blanked(tmp_path, crashed(SECRETS, title=b"worker: busy ".ljust(size, b"/")))
    assert left_of((value[-8:] for value in SECRETS.values()), out) == []


def test_copies_in_wide_characters_and_old_values_go(tmp_path: Path) -> None:
    wide = [SECRETS[b"PLAIN"].decode().encode(code) for code in ("utf-16-le", "utf-32-le")]
    heap = bytes(8).join(wide) + bytes(8) + b"PLAIN_OLD=x\0PLAIN=an-older-value\0"
    out, _ = blanked(tmp_path, crashed(SECRETS, heap))
    assert not any(text[:40] in out for text in wide)
    assert b"an-older" not in out
    assert b"PLAIN_OLD=x" in out


def test_a_common_beginning_of_paths_stays(tmp_path: Path) -> None:
    variables = {b"HOME": b"/home/customer", b"DATA": b"/home/customer/private-data"}
    heap = b"/home/customer/app/main.py\0/home/customer/private-data/list\0/home/cu\0/home/curt/x\0"
    out, _ = blanked(tmp_path, crashed(variables, heap))
    assert b"**************/app/main.py\0***************************/list\0********\0/home/curt/x\0" in out


def test_what_the_kernel_cut_goes_too(tmp_path: Path) -> None:
    writer = CoreWriter()
    words = b"./app " + b"x" * 61 + b" --key=S3CRE"
    assert len(words) == 79
    writer.note(NT_PRPSINFO, bytes(40) + b"server-S3CRET-t\0" + words + b"\0")
    with open_core(str(writer.write(tmp_path / "core"))) as core:
        plan = plan_redaction(core, environment=False, patterns=[b"S3CRET-text-of-many-bytes"])
        out = redacted(core, plan)
        assert (core.process.name, plan.blank(b"server-S3CRET-t")) == ("server-S3CRET-t", b"server-********")
    assert b"server-********\0" in out
    assert b" --key=*****\0" in out


@contextmanager
def bounded(most: int) -> Iterator[None]:
    """Fail if Python holds more than so many bytes at once."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()


def test_pointers_to_a_stack_without_an_end_take_bounded_memory(tmp_path: Path) -> None:
    form, writer = Format(), CoreWriter()
    auxv = form.words(25, STACK + 8, 31, STACK + (8 << 20), 0, 0)
    pointers = form.words(1, STACK + 16, 0, *[STACK + 64 + at for at in range(20000)], 0)
    writer.note(NT_AUXV, auxv)
    writer.memory(STACK, (b"A" * (6 << 20) + pointers + auxv).ljust(8 << 20, b"A"))
    with open_core(str(writer.write(tmp_path / "core"))) as core, bounded(100 << 20):
        plan = plan_redaction(core, environment=True)
    assert sum(plan.ends) - sum(plan.starts) > 1 << 20


def test_as_many_variables_as_can_be_take_bounded_memory(tmp_path: Path) -> None:
    form, writer = Format(), CoreWriter()
    strings = [b"V%d=secret-%d-" % (number, number) + b"x" * 60 for number in range(6000)]
    writer.note(NT_FILE, form.mappings([(DATA, DATA + 2 * PAGE, 0, b"/app")]))
    writer.memory(DATA, module(form, b"\1")[:PAGE] + form.words(HEAP + (4 << 20)).ljust(PAGE, b"\0"))
    array = form.words(*(HEAP + at for at in starts(strings)), 0)
    writer.memory(HEAP, b"\0".join(strings).ljust(4 << 20, b"\0") + array.ljust(1 << 20, b"\0"))
    with open_core(str(writer.write(tmp_path / "core"))) as core, bounded(60 << 20):
        plan = plan_redaction(core, environment=True)
        assert len(plan.names) == len(strings)
        assert b"secret-1" not in redacted(core, plan)
