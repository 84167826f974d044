"""What gdb's Debug Adapter Protocol lacks for cores: changes to its package, with a stand-in for that."""

import importlib.machinery
import json
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from corebox.gdbside import bounded
from corebox.gdbside.editors import instructions, protocol
from tests.support import gdbmodule
from tests.support.gdbmodule import Architecture, Frame, GdbError, State, error, thread
from tests.unit.gdbside import standin

PROCESS = {"signal_name": "SIGSEGV", "name": "app", "pid": 100}


class Variable:
    """With children, as gdb's own has them (gdb/dap/varref.py)."""

    def __init__(self, count: int | None) -> None:
        self._child_cache: list[Any] | None = None
        self._count = count
        self._printer = types.SimpleNamespace(children=lambda: iter((str(each), each) for each in range(count or 0)))

    def child_count(self) -> int | None:
        return self._count

    def fetch_children(self, start: int, count: int) -> tuple[int, int]:
        return start, count


@pytest.fixture
def dap(gdb: State, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The package, in what corebox changes of it; ``sent`` is what went to the client, ``events`` the events."""
    sent: list[Any] = []
    events: list[Any] = []
    listed: dict[str, Any] = {
        "threads": lambda: {"threads": [{"id": 1, "name": "Thread 1"}, {"id": 9, "name": "Thread 9"}]},
        "stackTrace": lambda **asked: {
            "stackFrames": [dict(each) for each in frames[: asked["levels"]]],
            "asked": asked,
        },
        "readMemory": lambda **asked: asked,
        "disassemble": None,
        "source": None,
    }
    frames = [
        {"name": "main", "instructionPointerReference": "0x10"},
        {"name": "??? [lib]", "instructionPointerReference": "0x7f0010"},
        {"name": "???", "instructionPointerReference": "0x99"},
    ]

    class Server:
        def _send_json(self, message: Any) -> None:
            sent.append(message)

    def request(name: str) -> Any:
        return lambda function: listed.setdefault(name, function)

    capabilities: dict[str, Any] = {}
    modules = {
        "server": {
            "_commands": listed, "Server": Server, "request": request, "send_gdb_with_response": lambda act: act(),
            "capability": lambda name: lambda function: capabilities.setdefault(name, function),
        },
        "events": {"send_event": lambda event, body=None: events.append((event, body)), "_on_corefile_changed": print},
        "varref": {name: type(name, (Variable,), {}) for name in ("VariableReference", "BaseReference")},
        "sources": {
            "make_source": lambda fullname, filename=None: {"name": filename, "path": fullname},
            "_id_map": {}, "decode_source": lambda source: source["path"],
        },
        "disassemble": {"_BlockTracker": lambda: types.SimpleNamespace(add_pc=lambda pc, described: None)},
    }  # fmt: skip
    made: dict[str, Any] = {}
    package = types.ModuleType("gdb.dap")
    package.__spec__ = importlib.machinery.ModuleSpec("gdb.dap", None, is_package=True)
    package.__path__ = []
    monkeypatch.setitem(sys.modules, "gdb.dap", package)
    for name, content in modules.items():
        made[name] = types.ModuleType(f"gdb.dap.{name}")
        vars(made[name]).update(content)
        setattr(package, name, made[name])
        monkeypatch.setitem(sys.modules, f"gdb.dap.{name}", made[name])
    gdbmodule.events.corefile_changed.connect(print)
    return types.SimpleNamespace(**made, commands=listed, sent=sent, sent_events=events, capabilities=capabilities)


@pytest.fixture
def changed(dap: Any) -> Any:
    """The package as corebox has changed it."""
    protocol.prepare(PROCESS, lambda: ["Null pointer dereference", "  rdi = 0x0"])
    return dap


def test_the_exception_says_signal_and_cause(changed: Any) -> None:
    found = changed.commands["exceptionInfo"]()
    assert (found["exceptionId"], found["description"]) == ("SIGSEGV", "Null pointer dereference")
    assert found["details"]["message"] == "Null pointer dereference\n  rdi = 0x0"
    assert "supportsExceptionInfoRequest" in changed.capabilities


def test_where_it_stopped_says_why(changed: Any) -> None:
    changed.events.send_event("stopped", {"reason": "attach", "threadId": 1})
    changed.events.send_event("stopped", {"reason": "step"})
    changed.events.send_event("terminated")
    first, *others = changed.sent_events
    said = "SIGSEGV: Null pointer dereference"
    body = {"reason": "exception", "threadId": 1, "description": said, "text": "SIGSEGV"}
    assert first == ("stopped", body)
    assert others == [("stopped", {"reason": "step"}), ("terminated", None)]


def test_the_cause_is_looked_for_when_modules_are_in_place(changed: Any) -> None:
    assert gdbmodule.events.corefile_changed.listeners == [print], "connected anew: the last"


def test_threads_have_their_lwp_and_name(changed: Any, gdb: State) -> None:
    gdb.open(thread(1, Frame(1), tid=100), thread(2, Frame(1), name="worker"))
    named = [each["name"] for each in changed.commands["threads"]()["threads"]]
    assert named == ["LWP 100 app", "Thread 9"], "a core has the name of the first thread"


def test_frames_without_symbols_have_their_module(
    changed: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    manifest = {"modules": [{"path": "/usr/lib/libacme.so", "start": "0x7f0000", "end": "0x7f1000"}]}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    monkeypatch.setattr(protocol.pathlib, "Path", lambda _: tmp_path / "manifest.json")
    answer = changed.commands["stackTrace"](levels=0)
    assert [each["name"] for each in answer["stackFrames"]] == ["main", "libacme.so+0x10 [lib]", "0x99 (no module)"]
    assert answer["asked"]["levels"] == protocol.MAX_FRAMES
    assert answer["totalFrames"] == 3


def test_a_page_of_the_stack_says_that_there_is_more(changed: Any) -> None:
    answer = changed.commands["stackTrace"](levels=1, startFrame=5)
    assert (len(answer["stackFrames"]), answer["totalFrames"]) == (1, 7)


def test_memory_comes_in_pieces(changed: Any) -> None:
    assert changed.commands["readMemory"](count=1 << 40)["count"] == protocol.MAX_MEMORY
    assert changed.commands["readMemory"](count=5)["count"] == 5


def test_children_are_bounded(changed: Any) -> None:
    damaged = changed.varref.VariableReference(1 << 40)
    damaged._printer.children = lambda: iter((str(each), each) for each in range(1 << 40))
    assert damaged.child_count() == protocol.MAX_COUNTED
    children = damaged.cache_children()
    assert len(children) == protocol.MAX_CHILDREN + 1
    assert children[-1][0] == bounded.CUT
    assert damaged.cache_children() is children
    small = changed.varref.VariableReference(3)
    assert [name for name, _ in small.cache_children()] == ["0", "1", "2"]
    assert changed.varref.VariableReference(None).child_count() is None
    assert changed.varref.BaseReference(1).fetch_children(5, 0) == (5, protocol.MAX_CHILDREN)
    assert changed.varref.BaseReference(1).fetch_children(5, 7) == (5, 7)


def test_sources_come_by_reference(changed: Any, tmp_path: Path) -> None:
    path = tmp_path / "x.c"
    path.write_bytes(b"int main;\xff\n")
    made = changed.sources.make_source(str(path))
    assert changed.sources._id_map[made["sourceReference"]] == made
    assert changed.sources.make_source(str(path))["sourceReference"] != made["sourceReference"]
    source = changed.commands["source"]
    assert source(sourceReference=1, source={"path": str(path)}) == {"content": "int main;\ufffd\n"}
    with pytest.raises(GdbError, match=r"no source file .*none.c: say where it is"):
        source(sourceReference=1, source={"path": str(tmp_path / "none.c")})


def test_a_long_source_is_cut(changed: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "MAX_SOURCE_SIZE", 10)
    (tmp_path / "x.c").write_text("0123456789more")
    content = changed.commands["source"](sourceReference=1, source={"path": str(tmp_path / "x.c")})["content"]
    assert content == "0123456789\n" + bounded.CUT


def test_answers_are_bounded(changed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    server = changed.server.Server()
    server._send_json({"type": "event", "body": {"output": ["x" * (protocol.MAX_LENGTH + 5)]}})
    assert len(changed.sent[-1]["body"]["output"][0]) == protocol.MAX_LENGTH
    monkeypatch.setattr(protocol, "MAX_VALUES", 10)
    answer = {"type": "response", "request_seq": 7, "command": "variables", "success": True, "body": [0] * 100}
    server._send_json(answer)
    kept = changed.sent[-1]
    assert (kept["request_seq"], kept["command"], kept["success"]) == (7, "variables", False)
    assert "too large" in kept["message"]
    server._send_json({"type": "event", "event": "x", "body": [0] * 100})
    assert (changed.sent[-1]["event"], changed.sent[-1]["body"]["category"]) == ("output", "stderr")
    monkeypatch.setattr(protocol, "MAX_LENGTH", 3)
    server._send_json({"type": "response", "command": "source", "body": {"content": "longer"}})
    assert changed.sent[-1]["body"]["content"] == "longer", "a source has a bound of its own"


# Instructions

CODE = {0x400000: (4, "push %rbp"), 0x400004: (4, "mov %rsp,%rbp"), 0x400008: (3, "ret")}


@pytest.fixture
def code(dap: Any, gdb: State) -> State:
    """A function in memory."""
    gdb.processor = Architecture(code=CODE)
    gdb.memory = standin.Memory({0x400000: bytes(range(11))})
    gdb.said["info symbol 0x400008"] = "f + 8 in section .text\n"
    gdb.said["info symbol"] = error("No symbol matches.")
    gdb.open(thread(1, Frame(0x400008, "f", processor=gdb.processor)))
    return gdb


def test_instructions_around_an_address(code: State) -> None:
    found = instructions.disassemble(memoryReference="0x400008", instructionOffset=-2, instructionCount=4)
    listed = [(each["address"], each["instruction"]) for each in found["instructions"]]
    assert listed[:3] == [("0x400000", "push %rbp"), ("0x400004", "mov %rsp,%rbp"), ("0x400008", "ret")]
    assert found["instructions"][0]["instructionBytes"] == "00010203"
    assert found["instructions"][3]["presentationHint"] == "invalid"


def test_without_a_frame_the_process_says_which_processor(code: State) -> None:
    code.thread = None
    found = instructions.disassemble(memoryReference="0x400000", offset=4, instructionCount=1)
    assert found["instructions"][0]["instruction"] == "mov %rsp,%rbp"


def test_a_wrong_question_is_told(code: State) -> None:
    with pytest.raises(GdbError):
        instructions.disassemble(memoryReference="0x400000", instructionCount=1 << 40)
