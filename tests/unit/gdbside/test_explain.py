"""What a thread died of, as gdb is asked for the facts; the rules themselves are tested with facts alone."""

import struct
import sys
import types
from typing import Any

import pytest

from corebox.gdbside.memory import process
from corebox.gdbside.runtimes import managed, pystacks, v8
from corebox.gdbside.why import asked, explain, hangs
from corebox.gdbside.why.facts import Cause
from tests.support import gdbmodule
from tests.support.gdbmodule import Architecture, Frame, State, Value, error, thread
from tests.unit.gdbside import standin

SIGSEGV, SIGABRT, SI_TKILL = 11, 6, -6
CODE = {standin.TEXT + 0x100: (3, "mov 0x10(%rdi),%eax")}
REGISTERS = {"sp": standin.STACK + 0x1000, "rdi": 0, "rsp": standin.STACK + 0x1000}


def siginfo(signal: int, code: int, **fields: int) -> Value:
    kinds = {"_kill": {"si_pid": fields.get("sender", 0)}, "_sigfault": {"si_addr": fields.get("address", 0)}}
    found = {"si_signo": signal, "si_code": code, "si_errno": 0, "_sifields": Value(kinds)}
    return Value(found)


@pytest.fixture(autouse=True)
def core(monkeypatch: pytest.MonkeyPatch) -> None:
    """The memory map of an ordinary program, with a signal that the core names."""
    usual = standin.core(
        (standin.TEXT, standin.TEXT + 0x10000, standin.CODE, "/opt/acme/app"),
        (standin.DATA, standin.DATA + 0x10000, standin.READ, "/opt/acme/app"),
        (standin.HEAP, standin.HEAP + 0x21000, standin.WRITE),
        (standin.STACK - 0x1000, standin.STACK, 0),
        (standin.STACK, standin.STACK + 0x20000, standin.WRITE),
        signal=SIGSEGV,
    )
    for owner in (asked.mapped, hangs.mapped):
        monkeypatch.setattr(owner, "opened", lambda: usual)
    asked._stacks.cache_clear()


def crash(gdb: State, *names: str, registers: dict[str, int] | None = None) -> None:
    processor = Architecture(code=CODE)
    frames = [
        Frame(standin.TEXT + 0x100 + 16 * level, name, registers=registers or REGISTERS, processor=processor)
        for level, name in enumerate(names)
    ]
    gdb.processor = processor
    gdb.open(thread(1, *frames, tid=100))


def test_a_null_pointer_is_one(gdb: State) -> None:
    crash(gdb, "copy_order", "main")
    gdb.values["$_siginfo"] = siginfo(SIGSEGV, 1, address=0x10)
    found = explain.explain()
    assert (found["kind"], found["sentence"]) == ("null-dereference", "Null pointer dereference (offset 16)")
    assert (found["thread"], found["frame"], found["signal"]) == (1, 0, SIGSEGV)
    assert any("mov 0x10(%rdi),%eax" in each for each in found["evidence"])


def test_without_information_of_the_signal_the_core_names_it(gdb: State) -> None:
    crash(gdb, "copy_order", "main")
    assert asked.fault().signal == SIGSEGV
    gdb.values["$_siginfo"] = siginfo(1000, 1)
    assert asked.fault().signal == SIGSEGV, "of another system, whose layout is another"


def test_whoever_sent_a_signal_is_named(gdb: State) -> None:
    crash(gdb, "poll", "main")
    gdb.values["$_siginfo"] = siginfo(15, 0, sender=4242)
    found = explain.explain()
    assert found["kind"] == "sent-signal"
    assert "4242" in found["sentence"] + " ".join(found["evidence"])


def test_mips_has_its_code_elsewhere(gdb: State) -> None:
    crash(gdb, "main")
    gdb.processor = Architecture("mips:isa32r2")
    values = {"si_signo": SIGSEGV, "si_code": 0, "si_errno": 1, "_sifields": Value({"_sigfault": {"si_addr": 16}})}
    gdb.values["$_siginfo"] = Value(values)
    info = asked._siginfo(asked.mapped.opened())
    assert (info.code, info.address) == (1, 16)


def test_what_a_handler_did_afterwards_is_not_what_happened(gdb: State) -> None:
    crash(gdb, "raise", "on_crash", "handler", "abort", "main")
    gdb.threads[0].frames[2].kind = gdbmodule.SIGTRAMP_FRAME
    gdb.values["$_siginfo"] = siginfo(9, SI_TKILL, sender=100)
    found = asked.fault()
    assert (found.place.interrupted, found.signal) == (3, SIGABRT)
    assert found.names == ["abort", "main"]
    assert found.handlers == ["raise", "on_crash"]


def test_a_stack_that_ends_in_an_error_is_known_so_far(gdb: State) -> None:
    crash(gdb, "copy_order", "main")
    gdb.threads[0].frames[0].fails = "Cannot access memory"
    assert asked.fault().names == ["copy_order"]


def test_no_core_is_no_reason_to_fail(gdb: State) -> None:
    assert explain.explain()["sentence"].startswith("The cause cannot be determined: no core is open")


def test_what_gdb_cannot_tell_is_none(gdb: State) -> None:
    crash(gdb, "main")
    facts = asked.AskedOfGdb(gdb.threads[0].frames, asked.mapped.opened())
    assert facts.register("xmm0") is None
    assert facts.read(1, 8) is None
    assert facts.search(1, 8, b"x") is None
    assert facts.instruction(5) is None
    assert facts.variable(0, "x") is None
    assert facts.value("errno") is None
    gdb.memory = standin.Memory({0x1000: b"abcdefgh"})
    gdb.said = {"info symbol 0x10": "f in section .text\n", "demangle -l c++ -- _Z1fv": "f()\n"}
    gdb.values["errno"] = Value(2)
    gdb.threads[0].frames[0].variables = {"x": Value(7)}
    assert facts.read(0x1002, 2) == b"cd"
    assert facts.search(0x1000, 8, b"ef") == 0x1004
    assert facts.symbol(0x10) == "f in section .text\n"
    assert facts.demangled("_Z1fv") == "f()"
    assert int(facts.value("errno")) == 2
    assert int(facts.variable(0, "x")) == 7
    assert facts.instruction(standin.TEXT + 0x100) == "mov 0x10(%rdi),%eax"
    assert facts.stack_of(0) == standin.STACK + 0x1000
    assert facts.stacks() == {standin.STACK + 0x1000: 1}


# Deadlocks


MUTEX, OTHER = 0x9000, 0x9100


def waiting(number: int, tid: int, mutex: int, *names: str) -> Any:
    registers = {"sp": 1, "orig_rax": 202, "rdi": mutex}
    return thread(number, *(Frame(0x10 + at, name, registers=registers) for at, name in enumerate(names)), tid=tid)


def test_threads_that_wait_for_each_other_are_a_deadlock(gdb: State) -> None:
    names = ("__lll_lock_wait", "pthread_mutex_lock", "std::mutex::lock()")
    gdb.open(waiting(1, 100, MUTEX, *names, "Bank::transfer"), waiting(2, 101, OTHER, *names, "Bank::audit"))
    held = {MUTEX: struct.pack("<iIi", 2, 1, 101), OTHER: struct.pack("<iIi", 2, 1, 100)}
    gdb.memory = standin.Memory(held)
    cause, number = hangs.explain(Cause("snapshot", "It was running.", []))
    assert cause.kind == "deadlock"
    assert number == 2, "the first by the name of its function"
    told = " ".join([cause.sentence, *cause.evidence])
    assert "Bank::transfer" in told
    assert "Bank::audit" in told
    assert gdb.thread is gdb.threads[0]


def test_a_thread_that_works_or_waits_for_nobody_is_no_part_of_it(gdb: State) -> None:
    free = struct.pack("<iIi", 0, 1, 101)
    stranger = struct.pack("<iIi", 2, 1, 4242)
    gdb.open(
        waiting(1, 100, MUTEX, "work"), waiting(2, 101, OTHER, "work"), thread(3, Frame(1, "work")),
        waiting(4, 103, 0xBAD, "work"),
    )  # fmt: skip
    gdb.memory = standin.Memory({MUTEX: free, OTHER: stranger})
    assert hangs.find() == []


def test_a_function_without_a_name_is_nobodys_unless_it_is_of_a_library(gdb: State) -> None:
    frames = waiting(1, 100, MUTEX, "", "take").frames
    gdb.libraries = {(0x10, 0x11): "/lib/libstdc++.so.6"}
    assert hangs._own_function(frames[0]) == "take"
    gdb.libraries = {(0x10, 0x11): "/opt/acme/libacme.so"}
    assert hangs._own_function(frames[0]) == ""


# Python


def python_frame(name: str, line: int, *, shim: bool = False, entry: bool = False) -> Any:
    place = types.SimpleNamespace(lineno=line)
    code = types.SimpleNamespace(scope=name, filename=f"/app/{name}.py", location=place)
    return types.SimpleNamespace(code=code, is_shim=shim, is_entry=entry)


@pytest.fixture
def pystack(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """pystack, as far as it is asked: the threads that it finds."""
    found: list[Any] = []

    def threads_of_core(core: str, program: str, native_mode: str) -> list[Any]:
        if not found:
            raise ValueError("Could not find the\nruntime")
        return found

    package, engine = types.ModuleType("pystack"), types.ModuleType("pystack.engine")
    vars(engine).update(
        NativeReportingMode=types.SimpleNamespace(OFF="off"), get_process_threads_for_core=threads_of_core
    )
    monkeypatch.setitem(sys.modules, "pystack", package)
    monkeypatch.setitem(sys.modules, "pystack.engine", engine)
    return found


def python_thread(tid: int, *frames: Any, interpreter: int = 0) -> Any:
    return types.SimpleNamespace(tid=tid, interpreter_id=interpreter, all_frames=list(frames))


def test_python_stacks_begin_at_the_innermost_frame(gdb: State, pystack: list[Any]) -> None:
    gdb.values["(unsigned long) &_PyRuntime"] = Value(1)
    outer = (python_frame("main", 1), python_frame("shim", 0, shim=True), python_frame("work", 2, entry=True))
    inner = (python_frame("plugin", 3),)
    pystack += [python_thread(100, *outer), python_thread(100, *inner, interpreter=1), python_thread(101)]
    before = list(sys.path)
    first, second = pystacks.stacks()
    assert sys.path == before
    assert [(each.function, each.line) for each in first[1]] == [("plugin", 3), ("work", 2), ("main", 1)]
    assert second == (101, [], 0, True, False)
    gdb.open(thread(1, Frame(1), tid=100), thread(2, Frame(1), tid=101))
    assert pystacks.lines()[0] == "Traceback (most recent call last):"
    assert pystacks.lines()[-1] == '  File "/app/plugin.py", line 3, in plugin'
    gdb.threads[1].switch()
    assert pystacks.lines() == ["this thread runs no Python"]


def test_a_deep_python_stack_is_cut(gdb: State, pystack: list[Any]) -> None:
    gdb.values["(unsigned long) &_PyRuntime"] = Value(1)
    pystack.append(python_thread(100, *(python_frame("f", line) for line in range(pystacks.MAX_FRAMES + 5))))
    (cut,) = pystacks.stacks()
    assert (len(cut.frames), cut.omitted) == (pystacks.MAX_FRAMES, 5)
    gdb.open(thread(1, Frame(1), tid=100))
    assert "  ... 5 more frames are not shown" in pystacks.lines()


def test_why_python_stacks_cannot_be_read_is_told_in_a_line(
    gdb: State, pystack: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    gdb.open(thread(1, Frame(1), tid=100))
    assert pystacks.lines() == ["there is no CPython in this core"]
    gdb.values["(unsigned long) &_PyRuntime"] = Value(1)
    assert pystacks.lines() == ["the Python stacks cannot be read: Could not find the runtime"]
    gdb.program = None
    with pytest.raises(RuntimeError, match="no executable"):
        pystacks.stacks()
    del gdb.values["(unsigned long) &_PyRuntime"]
    gdb.values |= {"(unsigned long) &Py_Initialize": Value(1), "(unsigned long) &PyEval_EvalFrameEx": Value(1)}
    for path, version in (("/usr/lib/libpython2.7.so.1.0", "2.7"), ("/opt/acme/app", "before 3.7")):
        mapping = types.SimpleNamespace(path=path)
        monkeypatch.setattr(pystacks.mapped, "opened", lambda each=mapping: types.SimpleNamespace(mappings=[each]))
        assert pystacks.unsupported() == version
        with pytest.raises(RuntimeError, match=f"CPython {version} is not supported"):
            pystacks.stacks()


# JavaScript


class Heap:
    """V8's, which names a function for a frame pointer."""

    def function(self, pointer: int) -> Any:
        if pointer == 0x7000:
            return v8.Function("render", "/app/page.js", 5)
        return None


@pytest.fixture
def heap(gdb: State, monkeypatch: pytest.MonkeyPatch) -> None:
    """A core with a V8 that can be read."""
    monkeypatch.setattr(managed.runtimes, "heap", Heap)
    memory = types.SimpleNamespace(
        entry=lambda pc: 1 if pc == 0x66 else None,
        compiled_java=lambda pc: None,
        code_cache=lambda: types.SimpleNamespace(structures=None),
    )
    monkeypatch.setattr(managed, "evidence", types.SimpleNamespace(open=lambda: memory))


def test_a_frame_of_machine_code_is_the_function_that_it_runs(heap: None) -> None:
    found = managed.managed(Frame(0x10, "Builtins_InterpreterEntryTrampoline", registers={"rbp": 0x7000}))
    assert found == managed.Managed("JavaScript", "render", "/app/page.js", 5)
    assert managed.managed(Frame(0x10, None, registers={"rbp": 0x7000})) == found
    for other in (
        Frame(0x10, "main", registers={"rbp": 0x7000}),
        Frame(0x66, None, registers={"rbp": 0x7000}),
        Frame(0x10, None, registers={"rbp": 0x8000}),
        Frame(0x10, None),
        Frame(0x10, None, registers={"rbp": 0x7000}, processor=Architecture("mips")),
    ):
        assert managed.managed(other) is None


def test_gdb_shows_managed_functions_where_there_are_some(heap: None, gdb: State) -> None:
    managed.register()
    (shown,) = gdbmodule.frame_filters.values()
    assert shown.enabled
    frames = [
        gdbmodule._FrameDecorator(Frame(0x10, None, registers={"rbp": 0x7000})),
        gdbmodule._FrameDecorator(Frame(0x20, "main")),
    ]
    first, second = shown.filter(iter(frames))
    assert (first.function(), first.filename(), first.line()) == ("render", "/app/page.js", 5)
    assert second is frames[1]
    shown.enabled = False
    assert not shown.enabled
    assert managed.runtimes.forget in gdbmodule.events.corefile_changed.listeners


def test_a_core_without_v8_has_no_such_frames(gdb: State) -> None:
    managed.runtimes.forget()
    assert managed.runtimes.heap() is None
    gdb.memory = standin.Memory({0x500: b"\x2a\0\0\0"})
    gdb.values["(unsigned long) &v8dbg_x"] = Value(0x500)
    assert managed._constant("x") == 42
    assert managed._constant("y") is None
    with pytest.raises(LookupError):
        process.read(0x999, 4)
    with pytest.raises(error):
        gdbmodule.parse_and_eval("y")
