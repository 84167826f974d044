"""The tools: each asks one thing of a crash, and answers with a page of data."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from mcp.server.mcpserver.exceptions import ToolError

from corebox.errors import CoreboxError, InputError
from corebox.mcp.crash import Crash
from corebox.mcp.crashes import Crashes
from corebox.mcp.pages import PAGE, page
from corebox.report.difference import difference, difference_lines
from corebox.report.document import Report, ThreadGroup
from corebox.report.text import frame_line, group_heading, module_lines, stack_lines, text_lines

#: Bytes and instructions that one answer has at most; what is more is asked for again.
_MAX_BYTES, _MAX_INSTRUCTIONS = 4096, 500


class Tools:
    """The tools of a server; their docstrings are what an agent reads of them."""

    def __init__(self, crashes: Crashes) -> None:
        self._crashes = crashes

    def all(self) -> list[Callable[..., str]]:
        """Each with the name under which an agent calls it."""
        return [
            *((self.find,) if self._crashes.archive else ()),
            *(self.crashes, self.report, self.threads, self.frames, self.modules, self.diff, self.similar),
            *(self.memory, self.disassemble, self.source, self.gdb, self.python, self.close),
        ]

    def crashes(self, offset: int = 0, limit: int = PAGE) -> str:
        """List the crashes that can be looked at; the other tools take one of these names."""
        return _answer(self._crashes.names, offset, limit)

    def find(
        self,
        function: str = "",
        module: str = "",
        package: str = "",
        customer: str = "",
        product: str = "",
        release: str = "",
        since: str = "",
        signal: str = "",
        family: str = "",
        text: str = "",
        offset: int = 0,
        limit: int = PAGE,
    ) -> str:
        """Find crashes of the fleet, the newest first; the other tools take their names, fleet:N.

        Function, module and package may end with a star: a part of the stack that failed, of the mapped files. Release
        may be a range, 4.1..4.3; since is a day, 2026-11-30; text is a part of the cause.
        """
        given = {"function": function, "module": module, "package": package, "customer": customer, "product": product}
        given |= {"release": release, "since": since, "signal": signal, "family": family, "text": text}
        archive = self._crashes.archive
        assert archive  # else there is no such tool
        return _answer(lambda: archive.find({name: value for name, value in given.items() if value}), offset, limit)

    def report(self, crash: str, offset: int = 0, limit: int = PAGE) -> str:
        """Cause, where it happened, what is missing, stacks with variables, registers, modules. Begin here."""
        return self._of_report(crash, text_lines, offset, limit)

    def threads(self, crash: str, offset: int = 0, limit: int = PAGE) -> str:
        """List the threads, those with equal stacks together, each with its innermost frame."""
        return self._of_report(crash, _thread_lines, offset, limit)

    def frames(self, crash: str, thread: int, offset: int = 0, limit: int = PAGE) -> str:
        """Show the stack of a thread by its number: functions, arguments, locals, source lines, how each was found."""
        return self._of_report(crash, lambda report: stack_lines(_group_of(report, thread)), offset, limit)

    def modules(self, crash: str, offset: int = 0, limit: int = PAGE) -> str:
        """List the files that were mapped: proved or not, and what symbols they have."""
        return self._of_report(crash, module_lines, offset, limit)

    def diff(self, first: str, second: str, offset: int = 0, limit: int = PAGE) -> str:
        """Compare two crashes: facts, modules, memory, stacks side by side."""

        def lines() -> Iterator[str]:
            one, other = self._crashes.get(first), self._crashes.get(second)
            found = difference_lines(difference(one.report(), other.report()))
            return one.blanked(other.blanked(found))

        return _answer(lines, offset, limit)

    def similar(self, offset: int = 0, limit: int = PAGE) -> str:
        """Group all crashes by their family: what happened, and the program's own function where it did."""
        return _answer(self._families, offset, limit)

    def memory(self, crash: str, address: str, size: int = 256, offset: int = 0, limit: int = PAGE) -> str:
        """Show bytes of the memory at an address or expression, at most 4096."""
        return self._of_gdb(crash, f"x/{_within(size, _MAX_BYTES)}xb {address}", offset, limit)

    def disassemble(self, crash: str, address: str, count: int = 20, offset: int = 0, limit: int = PAGE) -> str:
        """Show instructions from an address or expression on, e.g. $pc."""
        return self._of_gdb(crash, f"x/{_within(count, _MAX_INSTRUCTIONS)}i {address}", offset, limit)

    def source(self, crash: str, place: str, offset: int = 0, limit: int = PAGE) -> str:
        """Show source lines around a function or FILE:LINE, where the user gave the sources."""
        return self._of_gdb(crash, f"list {place}", offset, limit)

    def gdb(self, crash: str, command: str, offset: int = 0, limit: int = PAGE) -> str:
        """Run one gdb command on the core, in a sandbox without files of this machine and without network."""
        return self._of_gdb(crash, command, offset, limit)

    def python(self, crash: str, code: str, offset: int = 0, limit: int = PAGE) -> str:
        """Run Python inside gdb (the module gdb is there), in the same sandbox; print what you want to see."""
        return self._of_gdb(crash, f"python exec({code!r})", offset, limit)

    def close(self, crash: str) -> str:
        """End the gdb of a crash; it is started again when it is asked next."""
        self._crashes.close(crash)
        return "closed"

    def _of_report(self, crash: str, lines: Callable[[Report], Iterable[str]], offset: int, limit: int) -> str:
        def of(opened: Crash) -> Iterable[str]:
            return opened.blanked(iter(lines(opened.report())))

        return _answer(lambda: of(self._crashes.get(crash)), offset, limit)

    def _of_gdb(self, crash: str, command: str, offset: int, limit: int) -> str:
        return _answer(lambda: self._ask(crash, command), offset, limit)

    def _ask(self, crash: str, command: str) -> list[str]:
        """What gdb prints; one that has ended is started again by the next question."""
        try:
            return self._crashes.get(crash).ask(command)
        except CoreboxError as error:
            if error.code in ("time-limit", "session-ended"):
                self._crashes.close(crash)
            raise

    def _families(self) -> Iterator[str]:
        families: dict[str, list[str]] = {}
        for name in self._crashes.names():
            try:
                crash = self._crashes.get(name)
                (family,) = crash.blanked(iter([crash.report().known.family]))
                families.setdefault(family, []).append(name)
            except InputError as error:  # noqa: PERF203  # one that cannot be read says nothing about the others
                families.setdefault(f"(cannot be read: {error.message})", []).append(name)
        for family, names in sorted(families.items(), key=lambda item: -len(item[1])):
            yield f"{len(names)} x {family}"
            yield from (f"  {name}" for name in names)


def _answer(lines: Callable[[], Iterable[str]], offset: int, limit: int) -> str:
    """A page of what the lines are, or the error in our words.

    Raises:
        ToolError: what an agent can do about it is in its text.
    """
    try:
        return page(lines(), offset, limit)
    except CoreboxError as error:
        raise ToolError(f"{page([error.message])}\nhint: {error.hint}") from error


def _thread_lines(report: Report) -> Iterator[str]:
    for group in report.groups:
        yield group_heading(group)
        if group.frames:
            yield f"  #0   {frame_line(group.frames[0])}"
    missing = report.threads_total - sum(len(group.threads) for group in report.groups)
    if missing > 0:
        yield f"{missing:,} more threads are not shown"


def _group_of(report: Report, thread: int) -> ThreadGroup:
    for group in report.groups:
        if any(each.number == thread for each in group.threads):
            return group
    raise InputError("no-such-thread", f"the report has no thread {thread}", "see: threads")


def _within(number: int, most: int) -> int:
    return min(max(number, 1), most)


def describe(function: Callable[..., Any]) -> str:
    """What an agent is told of a tool."""
    return " ".join((function.__doc__ or "").split())
