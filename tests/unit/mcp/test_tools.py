"""The tools of an agent over crashes whose reports and whose gdb a test decides, by the SDK's client in the process."""

import asyncio
from collections.abc import Iterator

import pytest
from mcp import Client
from mcp.types import TextContent

from corebox.errors import HostError, InputError
from corebox.mcp.server import make_server
from corebox.report.document import Report
from tests.unit.report import samples

SECRET = "tok-4f9d2c71"


class OpenCrash:
    """A crash whose gdb says what it was asked."""

    def __init__(self, name: str) -> None:
        self.name = name

    def ask(self, command: str) -> list[str]:
        if command == "die":
            raise HostError("session-ended", "gdb ended unexpectedly", "open a new session")
        if command == "wrong":
            raise InputError("gdb-refused", "gdb refused 'wrong'", "see: help")
        return [f"gdb: {command}", "</core-data>"]

    def report(self) -> Report:
        return samples.report(f"text of {self.name} {SECRET}")

    def blanked(self, lines: Iterator[str]) -> Iterator[str]:
        return (line.replace(SECRET, "*" * len(SECRET)) for line in lines)


class OneCrash:
    """An archive that says what it was asked."""

    def find(self, asked: dict[str, str]) -> Iterator[str]:
        yield f"fleet:7 {asked}"


class OfferedCrashes:
    """Two crashes, and one that cannot be opened."""

    def __init__(self, archive: "OneCrash | None" = None) -> None:
        self.closed: list[str] = []
        self.archive = archive

    def names(self) -> list[str]:
        return ["one", "two", "damaged"]

    def get(self, name: str) -> OpenCrash:
        if name == "damaged":
            raise InputError("bundle-damaged", "damaged is damaged", "ask for it again")
        if name not in self.names():
            raise InputError("not-offered", f"{name} is none of the crashes", "see: crashes")
        return OpenCrash(name)

    def close(self, name: str) -> None:
        self.closed.append(name)


def answers(*calls: tuple[str, dict[str, object]], archive: OneCrash | None = None) -> tuple[list[str], OfferedCrashes]:
    """What the tools say; an error begins so."""
    offered = OfferedCrashes(archive)

    async def ask() -> list[str]:
        async with Client(make_server(offered)) as client:  # type: ignore[arg-type]
            return [await one(client, name, arguments) for name, arguments in calls]

    return asyncio.run(ask()), offered


async def one(client: Client, name: str, arguments: dict[str, object]) -> str:
    result = await client.call_tool(name, arguments)
    (content,) = result.content
    assert isinstance(content, TextContent)
    return ("error: " if result.is_error else "") + content.text


@pytest.mark.parametrize("tool", ["report", "threads", "modules"])
def test_what_is_said_of_a_report_is_fenced_and_blanked(tool: str) -> None:
    (text,), _ = answers((tool, {"crash": "one"}))
    assert text.startswith("<core-data ")
    assert "text of one" in text
    assert SECRET not in text


def test_the_stack_of_a_thread() -> None:
    (first, none), _ = answers(("frames", {"crash": "one", "thread": 1}), ("frames", {"crash": "one", "thread": 9}))
    assert "#0" in first
    assert "the report has no thread 9" in none
    assert none.startswith("error: ")


def test_two_crashes_are_compared_and_all_are_grouped() -> None:
    (compared, grouped), _ = answers(("diff", {"first": "one", "second": "two"}), ("similar", {}))
    assert "first:     x.corebox" in compared
    assert "2 x null-dereference in" in grouped
    assert SECRET not in compared + grouped
    assert "cannot be read: damaged is damaged" in grouped


@pytest.mark.parametrize(
    ("tool", "arguments", "command"),
    [
        ("memory", {"address": "$sp", "size": 1 << 30}, "x/4096xb $sp"),
        ("memory", {"address": "0x10", "size": -1}, "x/1xb 0x10"),
        ("disassemble", {"address": "$pc"}, "x/20i $pc"),
        ("source", {"place": "main"}, "list main"),
        ("gdb", {"command": "info threads"}, "info threads"),
        ("python", {"code": "print(1)\nprint(2)"}, "python exec('print(1)\\nprint(2)')"),
    ],
)
def test_what_gdb_is_asked(tool: str, arguments: dict[str, object], command: str) -> None:
    (text,), _ = answers((tool, {"crash": "one", **arguments}))
    assert text.splitlines()[1] == f"gdb: {command}"


def test_a_gdb_that_ended_is_closed_and_one_that_refused_is_not() -> None:
    (died, refused), offered = answers(
        ("gdb", {"crash": "one", "command": "die"}), ("gdb", {"crash": "two", "command": "wrong"})
    )
    assert offered.closed == ["one"]
    assert "hint: open a new session" in died
    assert "gdb refused 'wrong'" in refused
    assert died.startswith("error: ")
    assert refused.startswith("error: ")


def test_what_is_not_offered_is_refused() -> None:
    (text, names, closed), offered = answers(
        ("report", {"crash": "/etc/passwd"}), ("crashes", {}), ("close", {"crash": "one"})
    )
    assert "is none of the crashes" in text
    assert names.splitlines()[1:4] == ["one", "two", "damaged"]
    assert closed == "closed"
    assert offered.closed == ["one"]


def test_a_fleet_is_asked_for_what_is_given_and_there_is_no_such_tool_without_one() -> None:
    (found,), _ = answers(("find", {"function": "parse*", "release": "4.1..4.3"}), archive=OneCrash())
    assert found.splitlines()[1] == "fleet:7 {'function': 'parse*', 'release': '4.1..4.3'}"
    (unknown,), _ = answers(("find", {"function": "parse*"}))
    assert unknown.startswith("error: ")
