"""What its Debug Adapter Protocol lacks for cores, put in the place of gdb's own (gdb/dap/*.py).

Answers are bounded: corebox reads none that is larger than its own bounds, and ends the session then.
"""

import importlib
import itertools
import json
import pathlib
import sys
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import gdb

from corebox.gdbside import bounded
from corebox.gdbside.editors import instructions
from corebox.gdbside.runtimes import gocore

_Json: TypeAlias = dict[str, Any]
_Ask: TypeAlias = Callable[..., _Json]
_Why: TypeAlias = Callable[[], list[str]]
#: Of one answer; corebox/debugger/messages.py and budget.py take a little more.
MAX_SIZE, MAX_VALUES = 12 << 20, 600_000
#: Of one text, one page of the stack, the children of a variable, how many children one has, and bytes of memory.
MAX_LENGTH, MAX_FRAMES, MAX_CHILDREN, MAX_COUNTED, MAX_MEMORY = 256 << 10, 1000, 10_000, 1 << 20, 4 << 20
#: Bytes of one source file.
MAX_SOURCE_SIZE = 4 << 20
_NO_SOURCE = (
    "no source file {}: say where it is, corebox dap SUBJECT --source DIR={}, or ask debuginfod servers, "
    "--source debuginfod"
)


def prepare(process: _Json, why: _Why) -> None:
    """Change gdb's answers; ``process`` is the manifest's, ``why`` gives the cause and the evidence, line by line."""
    from gdb.dap import events, varref  # noqa: PLC0415  # there for who debugs from an editor

    server = _server()

    for name, change in (("threads", _threads(process)), ("stackTrace", _stack), ("readMemory", _memory)):
        server._commands[name] = change(server._commands[name])
    del server._commands["disassemble"]
    server.request("disassemble")(instructions.disassemble)
    _serve_sources(server)
    server.capability("supportsExceptionInfoRequest")(server.request("exceptionInfo")(_exception(process, why)))
    server.Server._send_json = _bounded(server.Server._send_json)
    variable = varref.VariableReference
    variable.cache_children, variable.child_count = _children, _counted(variable.child_count)
    varref.BaseReference.fetch_children = _page(varref.BaseReference.fetch_children)
    events.send_event = _stopped(events.send_event, process, why)
    # The modules must be in their places before the cause is looked for: see opened.prepare, which has connected.
    gdb.events.corefile_changed.disconnect(events._on_corefile_changed)
    gdb.events.corefile_changed.connect(events._on_corefile_changed)


def _serve_sources(server: Any) -> None:
    """Sources come from here by reference: the client has none at these paths, or corebox puts its own in."""
    from gdb.dap import sources  # noqa: PLC0415  # as above

    make, numbered = sources.make_source, itertools.count(1 << 20)

    def make_source(fullname: str, filename: str | None = None) -> _Json:
        made: _Json = make(fullname, filename)
        if "sourceReference" not in made:  # gdb found it; who debugs does not
            made["sourceReference"] = next(numbered)
            sources._id_map[made["sourceReference"]] = made
        return made

    for module in [each for name, each in sys.modules.items() if name.startswith("gdb.dap.")]:
        if getattr(module, "make_source", None) is make:
            vars(module)["make_source"] = make_source
    del server._commands["source"]
    server.request("source")(_source)


def _source(*, sourceReference: int, source: _Json | None = None, **_more: object) -> _Json:  # noqa: N803  # the protocol's name
    """DAP's request."""
    from gdb.dap import sources  # noqa: PLC0415  # as above

    path = pathlib.Path(sources.decode_source({"sourceReference": sourceReference, **(source or {})}))
    if not path.is_file():
        raise gdb.GdbError(_NO_SOURCE.format(path, path.parent))
    with path.open("rb") as file:
        text = file.read(MAX_SOURCE_SIZE + 1)
    cut = "\n" + bounded.CUT if len(text) > MAX_SOURCE_SIZE else ""
    return {"content": text[:MAX_SOURCE_SIZE].decode("utf-8", "replace") + cut}


def _server() -> Any:
    """The module; once it serves, the package has a server by the same name."""
    return importlib.import_module("gdb.dap.server")


def _exception(process: _Json, why: _Why) -> _Ask:
    """DAP's request: what editors show where it stopped."""

    def exception_info(**_asked: object) -> _Json:
        cause, *evidence = why() or [""]
        details = {"message": "\n".join([cause, *evidence])}
        return {
            "exceptionId": process["signal_name"] or "none",
            "description": cause,
            "breakMode": "unhandled",
            "details": details,
        }

    return exception_info


def _stopped(send: Callable[..., None], process: _Json, why: _Why) -> Callable[..., None]:
    """The event that a thread has stopped says by which signal and why."""

    def send_event(event: str, body: _Json | None = None) -> None:
        if body and event == "stopped" and body["reason"] == "attach" and process["signal_name"]:
            name = process["signal_name"]
            # DAP specification, "Stopped Event": what it is called, and what a user reads in the list of threads.
            body = {**body, "reason": "exception", "description": ": ".join([name, *why()[:1]]), "text": name}
        send(event, body)

    return send_event


def _threads(process: _Json) -> Callable[[_Ask], _Ask]:
    """Threads have their LWP, and their name; a core has that of the first thread only (core(5), NT_PRPSINFO)."""

    def names() -> Iterator[tuple[int, str]]:
        runs = gocore.thread_names()
        for each in gdb.selected_inferior().threads():
            name = each.name or (process["name"] if each.ptid[1] == process["pid"] else None)
            parts = f"LWP {each.ptid[1]}", name, runs.get(each.num)
            yield each.global_num, " ".join(filter(None, parts))

    return lambda ask: _renamed(ask, names)


def _renamed(ask: _Ask, names: Callable[[], Iterator[tuple[int, str]]]) -> _Ask:
    server = _server()

    def threads(**arguments: Any) -> _Json:
        answer = ask(**arguments)
        known = server.send_gdb_with_response(lambda: dict(names()))
        listed = [{**each, "name": known.get(each["id"], each["name"])} for each in answer["threads"]]
        return {**answer, "threads": listed}

    return threads


def _stack(ask: _Ask) -> _Ask:
    """A stack comes in pages, and frames without symbols have the name of the module, and where in it they are."""
    server = _server()

    def stack_trace(**arguments: Any) -> _Json:
        wanted, start = arguments.get("levels") or 0, arguments.get("startFrame") or 0
        levels = min(wanted, MAX_FRAMES) if wanted > 0 else MAX_FRAMES
        answer = ask(**{**arguments, "levels": levels, "startFrame": start})
        frames = answer["stackFrames"]
        nameless = [each for each in frames if each["name"].startswith("???")]
        places = server.send_gdb_with_response(lambda: [_place(each) for each in nameless]) if nameless else ()
        for frame, place in zip(nameless, places, strict=True):
            frame["name"] = place + frame["name"][3:]
        # "Larger than what there is" lets the client ask for more (DAP specification, "StackTrace").
        return {**answer, "totalFrames": start + len(frames) + (len(frames) == levels)}

    return stack_trace


def _place(frame: _Json) -> str:
    """``libacme.so+0x1234``, as the report has it; the address where no module is."""
    counter = int(frame["instructionPointerReference"], 16)
    for module in json.loads(pathlib.Path("/.corebox/manifest.json").read_bytes())["modules"]:
        start = int(module["start"], 16)
        if start <= counter < int(module["end"], 16):
            return f"{pathlib.PurePath(module['path']).name}+{counter - start:#x}"
    return f"{counter:#x} (no module)"


def _counted(count: Callable[[Any], int | None]) -> Callable[[Any], int | None]:
    """In place of gdb's ``child_count``, which a damaged array may have in billions."""

    def child_count(variable: Any) -> int | None:
        number = count(variable)
        return number and min(number, MAX_COUNTED)

    return child_count


def _page(fetch: Callable[..., Any]) -> Callable[..., Any]:
    """Children of a variable come in pages of bounded size, also for clients that ask for all."""

    def fetch_children(variable: Any, start: int, count: int | None) -> Any:
        return fetch(variable, start, min(count or MAX_CHILDREN, MAX_CHILDREN))

    return fetch_children


def _children(variable: Any) -> Any:
    """In place of gdb's ``cache_children``, which reads all: a damaged container may claim billions."""
    if variable._child_cache is None:
        children = iter(variable._printer.children())
        variable._child_cache = list(itertools.islice(children, MAX_CHILDREN))
        if next(children, None) is not None:
            more = "only the first are shown; for others use the console, e.g. print VECTOR[20000]"
            variable._child_cache.append((bounded.CUT, more))
    return variable._child_cache


def _memory(ask: _Ask) -> _Ask:
    """Less memory than was asked for may be answered (DAP specification, "ReadMemory")."""

    def read_memory(**arguments: Any) -> _Json:
        return ask(**{**arguments, "count": min(arguments["count"], MAX_MEMORY)})

    return read_memory


def _bounded(send: Callable[[Any, _Json], None]) -> Callable[[Any, _Json], None]:
    """Long texts are cut, and too large an answer is a failed one that says so."""

    def send_json(self: Any, message: _Json) -> None:
        if message.get("command") not in ("readMemory", "source"):
            message = {name: _shortened(each) for name, each in message.items()}
        encoded = json.dumps(message)
        if len(encoded) > MAX_SIZE or sum(map(encoded.count, ",[{")) > MAX_VALUES:
            said = f"the answer is too large ({len(encoded) >> 10:,} KiB): ask for a part of it"
            if message["type"] == "event":
                message = {"type": "event", "event": "output", "body": {"category": "stderr", "output": said + "\n"}}
            else:
                kept = {name: message[name] for name in ("type", "request_seq", "command")}
                message = {**kept, "success": False, "message": said}
                message["body"] = {"error": {"id": 2, "format": said, "showUser": True}}
        send(self, message)

    return send_json


def _shortened(value: Any) -> Any:
    """The same with no text longer than ``MAX_LENGTH``."""
    if isinstance(value, str):
        return bounded.text(value, MAX_LENGTH)
    if isinstance(value, dict):
        return {name: _shortened(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_shortened(each) for each in value]
    return value
