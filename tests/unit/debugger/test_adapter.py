"""What is changed between a client of the Debug Adapter Protocol and gdb."""

import io
import json
import signal
import subprocess
from pathlib import Path

import pytest

from corebox.debugger import adapter
from corebox.debugger.adapter import Adapter, Client, relay
from corebox.debugger.messages import Message, read_message
from corebox.debugger.sources import SourceFolder, Sources


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A folder with sources, and a secret beside it."""
    (tmp_path / "secret.c").write_text("")
    folder = tmp_path / "project"
    (folder / "lib").mkdir(parents=True)
    (folder / "lib" / "sort.c").write_text("")
    (folder / "lib" / "link.c").symlink_to(tmp_path / "secret.c")
    (folder / "lib" / "loop.c").symlink_to("loop.c")
    return folder


@pytest.mark.parametrize("command", ["attach", "launch"])
def test_whatever_is_to_be_opened_is_the_crash(command: str) -> None:
    made = Adapter("/opt/acme/bin/app", ())
    question = {"seq": 7, "type": "request", "command": command, "arguments": {"program": "/etc/passwd", "pid": 1}}
    opening = {"program": "/opt/acme/bin/app", "coreFile": "/.corebox/core"}
    assert made.to_gdb(question) == [{"seq": 7, "type": "request", "command": "attach", "arguments": opening}]
    answer = {"seq": 9, "type": "response", "request_seq": 7, "command": "attach", "success": True}
    assert made.to_client(answer) == [{**answer, "command": command}]


def test_all_else_is_handed_on() -> None:
    made = Adapter(None, ())
    messages: tuple[Message, ...] = ({"command": "threads", "seq": 1}, {"seq": []}, {"command": {}})
    for message in messages:
        assert made.refuse(message) == []
        assert made.to_gdb(message) == [message]
        assert made.to_client(message) == [message]


@pytest.mark.parametrize(("client", "again"), [("neovim", 1), ("vscode", 0), ([], 0)])
def test_who_takes_a_refused_step_for_a_running_thread_is_told_that_it_is_stopped(client: object, again: int) -> None:
    made = Adapter(None, ())
    made.to_gdb({"command": "initialize", "arguments": {"clientID": client}})
    step: Message = {"seq": 5, "command": "next", "arguments": {"threadId": 2}}
    assert len(made.refuse(step)) == 1, "nothing has stopped yet"
    stopped = {"reason": "exception", "threadId": 1, "allThreadsStopped": True, "description": "SIGSEGV"}
    made.to_client({"type": "event", "event": "stopped", "body": stopped})
    refused, *events = made.refuse(step)
    assert (refused["request_seq"], refused["success"]) == (5, False)
    body = {**stopped, "threadId": 2, "preserveFocusHint": True}
    assert events == [{"type": "event", "event": "stopped", "body": body}] * again
    assert len(made.refuse({"seq": 6, "command": "pause"})) == 1


def test_an_empty_object_of_lua_is_one() -> None:
    assert Adapter(None, ()).to_gdb({"command": "loadedSources", "arguments": []})[0]["arguments"] == {}


def test_a_client_may_say_that_it_is_done_before_it_attaches() -> None:
    made = Adapter(None, ())
    done: Message = {"seq": 2, "command": "configurationDone", "arguments": None}
    assert made.to_gdb(done) == []
    assert [each["command"] for each in made.to_gdb({"seq": 1, "command": "attach"})] == ["attach", "configurationDone"]
    assert made.to_gdb(done) == [done]


def test_notices_go_to_the_console_once_the_client_is_known() -> None:
    made = Adapter(None, (), ("app is stripped\x1b[1m",))
    answer: Message = {"type": "response", "command": "initialize", "success": True}
    first, second = made.to_client(answer)
    assert first == answer
    assert second["body"] == {"category": "console", "output": "note: app is stripped\\x1b[1m\n"}


@pytest.mark.parametrize("command", ["next", "stepIn", "stepOut", "continue", "pause", "reverseContinue", "stepBack"])
def test_what_needs_a_process_is_refused_with_a_sentence_to_be_shown(command: str) -> None:
    question = {"seq": 7, "type": "request", "command": command, "arguments": {"threadId": 1}}
    body = json.dumps(question).encode()
    said = io.BytesIO()
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as gdb:
        asked = io.BytesIO(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        relay(Client(asked, said), gdb, Adapter(None, ()))
    said.seek(0)
    answer = read_message(said)
    assert answer
    assert (answer["seq"], answer["request_seq"], answer["command"], answer["success"]) == (1, 7, command, False)
    assert command in answer["body"]["error"]["format"]
    assert answer["body"]["error"]["showUser"] is True
    assert read_message(said) is None, "gdb was not asked"


def test_without_an_executable_gdb_finds_it() -> None:
    assert Adapter(None, ()).to_gdb({"command": "attach"})[0]["arguments"] == {"coreFile": "/.corebox/core"}


def test_a_gdb_that_does_not_end_with_its_client_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "_GRACE", 0.1)
    with subprocess.Popen(["sleep", "60"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as gdb:
        relay(Client(io.BytesIO(), io.BytesIO()), gdb, Adapter(None, ()))
        assert gdb.wait(10) == -signal.SIGKILL


def test_sources_are_named_as_the_client_has_them(sources: Path) -> None:
    made = Adapter(None, (SourceFolder(sources, "/build"),))
    source = {"name": "sort.c", "path": "/build/lib/sort.c", "sourceReference": 3}
    assert made.place_sources({"id": 1, "source": source}) == {
        "id": 1,
        "source": {"name": "sort.c", "path": str(sources / "lib" / "sort.c")},
    }


def test_a_list_of_sources_too(sources: Path) -> None:
    made = Adapter(None, (SourceFolder(sources, "/build"),))
    listed = [{"path": "/build/lib/sort.c", "sourceReference": 1}, {"path": "/x.c", "sourceReference": 2}, 3]
    assert made.place_sources({"sources": listed}) == {
        "sources": [{"path": str(sources / "lib" / "sort.c")}, {"path": "/x.c", "sourceReference": 2}, 3]
    }


@pytest.mark.parametrize("source", [None, 1, {}, {"path": 3}, {"path": "/elsewhere/x.c", "sourceReference": 1}])
def test_what_no_folder_has_stays(sources: Path, source: object) -> None:
    made = Adapter(None, (SourceFolder(sources, "/build"),))
    assert made.place_sources({"location": source}) == {"location": source}


def test_without_a_prefix_any_end_of_the_name_will_do(sources: Path) -> None:
    folders = (SourceFolder(sources),)
    assert Sources(folders).find("/home/jenkins/job-7/lib/sort.c") == str(sources / "lib" / "sort.c")
    assert Sources(folders).find("./lib/./sort.c") == str(sources / "lib" / "sort.c")
    assert Sources(folders).find("/home/jenkins/other.c") is None


@pytest.mark.parametrize(
    "name",
    [
        "/build/../secret.c",
        "/build/lib/../../secret.c",
        "/build/lib/link.c",
        "/build/lib/loop.c",
        "/build/lib",
        "/build",
        "/builder/lib/sort.c",
        "/build/lib/sort.c\0",
        "/build/" + "x" * 5000,
        "",
    ],
)
def test_nothing_outside_of_the_folder_is_named(sources: Path, name: str) -> None:
    assert Sources((SourceFolder(sources, "/build"),)).find(name) is None


def test_a_hostile_name_finds_nothing_without_a_prefix_either(sources: Path) -> None:
    for name in ("/x/../../secret.c", "../secret.c", "/lib/link.c"):
        assert Sources((SourceFolder(sources),)).find(name) is None


def test_hostile_names_are_looked_up_up_to_a_bound(sources: Path) -> None:
    found = Sources((SourceFolder(sources),))
    assert found.find("/a" * 500_000 + "/lib/sort.c") is None, "each end of it would be a name of its own"
    known = "/deep" * 60 + "/lib/sort.c"
    assert found.find(known) == str(sources / "lib" / "sort.c")
    for number in range(3000):
        found.find(f"/{number:04d}{'x' * 4000}")
    assert found.find("./lib/sort.c") is None
    assert found.find(known), "what was found stays"
