"""CPython's structures, read in the interpreter that runs this test: what it says of itself is known."""

import ctypes
import os
import struct
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator

import pytest

from corebox.gdbside.runtimes import cpython, cpythonlayout
from corebox.gdbside.runtimes.cpython import Function, Interpreters, Stack

pytestmark = pytest.mark.skipif(sys.version_info[:2] > cpythonlayout.NEWEST, reason="not read by corebox")
VERSION = sys.version_info[:2]
Damage = Callable[[int, bytes], bytes]


def symbol(name: str) -> int:
    return ctypes.addressof(ctypes.c_char.in_dll(ctypes.pythonapi, name))


class Own:
    """The memory of this process; a test may damage what is read."""

    def __init__(self) -> None:
        self.damage: Damage = lambda address, data: data
        self.reads = 0

    def read(self, address: int, size: int) -> bytes:
        self.reads += 1
        with open("/proc/self/mem", "rb", buffering=0) as memory:  # noqa: PTH123
            try:
                data = os.pread(memory.fileno(), size, address)
            except (OSError, OverflowError) as error:
                raise LookupError(address) from error
        if len(data) != size:
            raise LookupError(address)
        return self.damage(address, data)

    def interpreters(self) -> Interpreters:
        return Interpreters(VERSION, self.read, symbol)


def functions(found: Interpreters, stack: Stack) -> list[Function]:
    return [found.function(frame) for call in stack.calls for frame in call.frames]


class Waiting(threading.Thread):
    """Waits in a function called by C, called by a generator; its frames do not change meanwhile."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.go = threading.Event()
        self.start()
        while self.ident is None or "wait" not in [each.name for each in self.told()]:
            time.sleep(0.01)

    def run(self) -> None:
        list(self.each())

    def each(self) -> Iterator[int]:
        yield max([1], key=self.inner)

    def inner(self, _one: int) -> int:
        self.go.wait()
        return 0

    def told(self) -> list[Function]:
        frame = sys._current_frames().get(self.ident or 0)
        return [Function(each.name, each.filename, each.lineno) for each in traceback.extract_stack(frame)][::-1]


@pytest.fixture(scope="module")
def waiting() -> Iterator[Waiting]:
    thread = Waiting()
    yield thread
    thread.go.set()
    thread.join()


def stack_of(found: Interpreters, thread: Waiting) -> Stack:
    (state,) = (each for each in found.threads() if each.ident == thread.ident)
    assert state.lwp in (None, thread.native_id)
    return found.stack(state)


def test_a_thread_runs_what_python_says(waiting: Waiting) -> None:
    found = Own().interpreters()
    stack = stack_of(found, waiting)
    assert stack.whole
    assert functions(found, stack) == waiting.told()
    names = [found.function(call.frames[0]).name for call in stack.calls]
    assert names[-1] in ("run", "each", "_bootstrap") or len(names) > 2
    marks = [call.mark for call in stack.calls if call.mark is not None]
    assert len(marks) == (len(stack.calls) if VERSION >= (3, 10) else 0)
    assert sorted(marks) == marks, "the innermost has the lowest address"


def test_who_reads_holds_the_lock() -> None:
    found = Interpreters(VERSION, ctypes.string_at, symbol)  # which keeps it, unlike a system call
    (holder,) = found.holders()
    (thread,) = (each for each in found.threads() if each.address == holder)
    assert thread.ident == threading.get_ident()


def test_frames_in_a_circle_end(waiting: Waiting) -> None:
    own = Own()
    found = own.interpreters()
    first, second = [frame for call in stack_of(found, waiting).calls for frame in call.frames][:2]
    at = found._at.back

    def circle(address: int, data: bytes) -> bytes:
        if address == second.address and len(data) > at:
            return data[:at] + struct.pack("<Q", first.address) + data[at + 8 :]
        return data

    own.damage = circle
    stack = stack_of(found, waiting)
    assert not stack.whole
    assert functions(found, stack) == waiting.told()[:2]


@pytest.mark.parametrize("field", ["code", "place", "back"])
def test_what_is_not_proved_is_not_shown(field: str, waiting: Waiting) -> None:
    own = Own()
    found = own.interpreters()
    frames = [frame for call in stack_of(found, waiting).calls for frame in call.frames]
    at = getattr(found._at, field)

    def wild(address: int, data: bytes) -> bytes:
        if address == frames[2].address and len(data) > at:
            return data[:at] + struct.pack("<Q", 0x4141414141414140) + data[at + 8 :]
        return data

    own.damage = wild
    stack = stack_of(found, waiting)
    assert not stack.whole
    assert functions(found, stack) == waiting.told()[: 3 if field == "back" else 2]


def test_a_giant_name_is_cut_and_a_giant_table_not_read(waiting: Waiting) -> None:
    own = Own()
    state = next(each for each in own.interpreters().threads() if each.ident == waiting.ident)
    before = own.interpreters().stack(state)
    code = before.calls[0].frames[0].code.address
    at = own.interpreters()._at
    name, table = (struct.unpack("<Q", own.read(code + each, 8))[0] for each in (at.name, at.table))
    giants = {name + at.size: 1 << 20, table + at.size: 1 << 40}
    own.damage = lambda address, data: giants[address].to_bytes(8, "little") if address in giants else data
    found = own.interpreters()
    function = found.function(found.stack(state).calls[0].frames[0])
    assert len(function.name) == cpython._MAX_NAME_LENGTH + 1
    assert function.line is None


def test_an_endless_stack_is_bounded(waiting: Waiting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpython, "MAX_FRAMES", 3)
    found = Own().interpreters()
    stack = stack_of(found, waiting)
    assert not stack.whole
    assert len(functions(found, stack)) <= 4


@pytest.mark.parametrize("version", [(2, 7), (3, 6), (3, 14)])
def test_a_version_that_is_not_read_is_named(version: tuple[int, int]) -> None:
    with pytest.raises(LookupError, match="CPython {}.{} is not read".format(*version)):
        Interpreters(version, Own().read, symbol)


def test_313_says_itself_where_its_fields_are() -> None:
    told = {name: 8 * index for index, name in enumerate(cpythonlayout._NAMES)}
    head = struct.pack("<8sQQ", b"xdebugpy", 0x030D00F0, 0) + struct.pack(f"<{len(told)}Q", *told.values())
    found = cpythonlayout.layout((3, 13), lambda address, size: head[:size], 0)
    assert found.back == told["interpreter_frame.previous"]
    for damaged in (b"\0" + head[1:], head[:8] + b"\1" + head[9:11] + b"\7" + head[12:], head[:-8] + b"\xff" * 8):
        with pytest.raises(LookupError, match="does not say"):
            cpythonlayout.layout((3, 13), lambda address, size, data=damaged: data[:size], 0)  # type: ignore[misc]
