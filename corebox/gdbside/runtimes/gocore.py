"""Runs inside gdb: Go's runtime in the core that is open, and what its goroutines do."""

import contextlib
import re
from collections.abc import Iterator, Sequence
from typing import Any

import gdb

from corebox.gdbside import selection
from corebox.gdbside.bounded import text
from corebox.gdbside.frames import codemap, trampoline
from corebox.gdbside.memory.process import address_of, read
from corebox.gdbside.runtimes import goroutines
from corebox.gdbside.runtimes.goroutines import Goroutines, Layout, Module, Routine, Thread
from corebox.gdbside.runtimes.gotables import MAGIC_118, MAGIC_120, Place, version

_SECTION = re.compile(r"^\s*(0x[0-9a-f]+) - (0x[0-9a-f]+) is (\S+)", re.MULTILINE)
_TABLES, _MAY_HAVE_TABLES = (".gopclntab", ".data.rel.ro.gopclntab"), (".data.rel.ro",)
_MAY_HAVE_MODULE = (".go.module", ".noptrdata", ".data", ".data.rel.ro")
_LIST = "runtime.allgs"
MAX_GROUPS, MAX_NUMBERS = 256, 64  # of a report
# From a goroutine's stack to that of the thread, where nothing is below them that is of use.
_TO_SYSTEM_STACK = ("runtime.mcall", "runtime.morestack", "runtime.systemstack")
_LOGS, _ERROR, _LOG_SIZE = (".noptrbss", ".bss"), b"fatal error: ", 512
_MAX_THREADS, _MAX_FRAMES, _MAX_FOUND = 256, 64, 256
Section = tuple[int, int, str]


class GoRuntime:
    """What was found out about Go in the core that is open; ``why_not`` is why nothing can be read."""

    def __init__(self) -> None:
        self._opened = False
        self.version: str | None = None
        self.why_not: str | None = None
        self._module: tuple[Module, Layout] | None = None

    def forget(self, _event: object = None) -> None:
        """Another core is open."""
        self.__init__()  # type: ignore[misc]

    def module(self) -> tuple[Module, Layout] | None:
        """The program's tables, if it is one of Go's that can be read."""
        self._open()
        return self._module

    def is_go(self) -> bool:
        """Whether the program is one of Go's."""
        self._open()
        return self._module is not None or self.why_not is not None

    def _open(self) -> None:
        if not self._opened:
            self._opened = True
            sections = _sections()
            if any(name in (*_TABLES, ".go.buildinfo") for _, _, name in sections):
                try:
                    self._module = self._find(sections)
                except goroutines.UNREADABLE as error:
                    self.why_not = str(error)

    def _find(self, sections: Sequence[Section]) -> tuple[Module, Layout]:
        if gdb.selected_inferior().architecture().name() != "i386:x86-64":
            raise LookupError("goroutines are read of x86-64 only")
        self.version = _version(sections)
        minor = re.match(r"go1\.(\d+)", self.version or "")
        if not minor:
            raise LookupError("the version of Go is not known")
        layout = Layout.of(int(minor[1]))
        for header in _headers(sections):
            for start, end, name in sections:
                if name not in _MAY_HAVE_MODULE:
                    continue
                for address in _found(start, end, header.to_bytes(8, "little")):
                    with contextlib.suppress(*goroutines.UNREADABLE):
                        return goroutines.module(address, header, read, layout), layout
        raise LookupError("Go's tables are not found")

    def places(self, frame: gdb.Frame) -> list[Place]:
        """The functions that a frame without a symbol runs, those inlined there before the one that is called."""
        found = self.module()
        if found is None or frame.name() is not None:
            return []
        newer = frame.newer()
        exact = newer is None or newer.type() == gdb.SIGTRAMP_FRAME or trampoline.is_trampoline(newer)
        tables = found[0].tables
        try:
            inner = None if newer is None or exact else tables.function(newer.pc() - 1)
            exact = exact or (inner is not None and inner.name in goroutines.INJECTED)
            return list(tables.places(frame.pc() if exact else frame.pc() - 1))
        except goroutines.UNREADABLE:
            return []

    def sized(self, pc: int, exact: bool) -> codemap.Sized | None:
        """How large the frame is at ``pc``; None if the function is none of Go's, or goes to another stack."""
        found = self.module()
        try:
            function = found[0].tables.function(pc if exact else pc - 1) if found else None
            if found and function and function.name in _TO_SYSTEM_STACK:
                return codemap.Sized(0, True, switches=True)
            size = found[0].tables.frame_size(function, pc) if found and function and not function.switches else None
        except goroutines.UNREADABLE:
            return None
        return None if function is None or size is None else codemap.Sized(size, function.top)


runtime = GoRuntime()


def routines() -> list[Routine]:
    """All goroutines, those that failed first; raises one of ``goroutines.UNREADABLE``."""
    return opened().all()


def opened(frames: bool = True) -> Goroutines:
    """The goroutines of the core, with the ``frames`` of those that run; raises one of ``goroutines.UNREADABLE``."""
    found = runtime.module()
    if found is None:
        raise LookupError(runtime.why_not or "there is no Go in this core")
    return Goroutines(*found, read, _threads(frames), _list())


def backlog() -> bytes | None:
    """What Go's runtime printed of a fatal error (runtime.printBacklog), in a program without symbols."""
    if not runtime.module():
        return None
    for start, end, name in _sections():
        if name in _LOGS:
            for at in _found(start, end, _ERROR, 1):
                with contextlib.suppress(LookupError):
                    return read(at, min(_LOG_SIZE, end - at)).partition(b"\0")[0]
    return None


def thread_names() -> dict[int, str]:
    """What the threads that run goroutines are called: ``goroutine 18``, by their numbers."""
    try:
        running = opened(frames=False).threads() if runtime.module() else {}
    except goroutines.UNREADABLE:
        return {}
    return {thread: f"goroutine {number}" for thread, number in running.items()}


def facts() -> dict[str, Any] | None:
    """The goroutines in a report: groups of equal ones; None if there is no Go, raises one of the errors above."""
    if not runtime.is_go():
        return None
    known = opened()
    found = known.all()
    groups = goroutines.grouped(found)
    return {
        "version": text(runtime.version),
        "count": len(found),
        "by_shape": _list() is None,
        "groups": [_group(each) for each in groups[:MAX_GROUPS]],
        "omitted": known.omitted + sum(map(len, groups[MAX_GROUPS:])),
    }


def _group(group: Sequence[Routine]) -> dict[str, Any]:
    first = group[0]
    return {
        "numbers": [each.number for each in group[:MAX_NUMBERS]],
        "count": len(group),
        "state": text(first.state),
        "reason": text(first.reason),
        "thread": first.thread,
        "panic": text(first.panic, goroutines.MAX_PANIC_LENGTH),
        "frames": [_place(each) for each in first.frames],
        "complete": first.whole,
        "created_by": first.created and _place(first.created),
    }


def _place(place: Place) -> dict[str, Any]:
    return {"function": text(place.function), "file": text(place.file), "line": place.line}


def lines() -> Iterator[str]:
    """The goroutines in lines, equal ones once."""
    try:
        found = routines()
    except goroutines.UNREADABLE as error:
        yield f"the goroutines cannot be read: {error}"
        return
    yield f"{len(found)} goroutines of {runtime.version}" + ("" if _list() else _BY_SHAPE)
    for group in goroutines.grouped(found):
        yield ""
        yield headline(group)
        if group[0].panic is not None:
            yield f"  panic: {group[0].panic}"
        yield from ("  " + each for each in _stack(group[0]))


_BY_SHAPE = ": the program has no symbols, their list was found by its shape"


def headline(group: Sequence[Routine]) -> str:
    """Which goroutines, and their state."""
    first = group[0]
    numbers = ", ".join(str(each.number) for each in group[:16]) + (" ..." if len(group) > 16 else "")
    what = f"goroutine {numbers}" if len(group) == 1 else f"{len(group)} goroutines ({numbers})"
    state = f"{first.state}: {first.reason}" if first.reason else first.state
    return f"{what} [{state}]" + (f", thread {first.thread}" if first.thread else "")


def _stack(routine: Routine) -> Iterator[str]:
    for each in routine.frames:
        yield _place_in_words(each)
    if not routine.whole:
        yield "the stack cannot be followed further"
    if routine.created:
        yield "created by " + _place_in_words(routine.created)


def _place_in_words(place: Place) -> str:
    return place.function + (f" at {place.file}:{place.line}" if place.file else "")


def _sections() -> list[Section]:
    found = _SECTION.findall(gdb.execute("info files", to_string=True))
    return [(int(start, 16), int(end, 16), name) for start, end, name in found]


def _list() -> int | None:
    """Where the list of all goroutines is, if the program has symbols."""
    try:
        return address_of(f"'{_LIST}'")
    except LookupError:
        return None


def _version(sections: Sequence[Section]) -> str | None:
    """As the linker wrote it beside the program's modules (debug/buildinfo)."""
    for start, end, name in sections:
        if name != ".go.buildinfo":
            continue
        found = version(read(start, min(end - start, 4096)), read)
        if found:
            return found
    return None


def _headers(sections: Sequence[Section]) -> Iterator[int]:
    yield from (start for start, _, name in sections if name in _TABLES)
    for start, end, name in sections:
        if name in _MAY_HAVE_TABLES:
            for magic in (MAGIC_118, MAGIC_120):
                yield from _found(start, end, magic.to_bytes(4, "little") + b"\0\0\x01\x08")


def _found(start: int, end: int, mark: bytes, aligned: int = 8) -> Iterator[int]:
    """Where these bytes are, at multiples of ``aligned``."""
    for _ in range(_MAX_FOUND):
        if end - start < len(mark):
            return
        try:
            at = gdb.selected_inferior().search_memory(start, end - start, mark)
        except (gdb.error, ValueError):
            return
        if at is None:
            return
        if at % aligned == 0:
            yield at
        start = at + 1


def _threads(frames: bool) -> dict[int, Thread]:
    """The threads, each with its frames as gdb finds them if they are wanted."""
    every = sorted(gdb.selected_inferior().threads(), key=lambda each: each.num)[:_MAX_THREADS]
    if not frames:
        return {each.num: Thread(each.ptid[1]) for each in every}
    found = {}
    with selection.kept():
        for thread in every:
            thread.switch()
            found[thread.num] = Thread(thread.ptid[1], list(_of_thread()))
    return found


def _of_thread() -> Iterator[goroutines.Frame]:
    exact = True
    with contextlib.suppress(gdb.error, ValueError):
        frame: gdb.Frame | None = gdb.newest_frame()
        for _ in range(_MAX_FRAMES):
            if frame is None:
                return
            if frame.type() != gdb.INLINE_FRAME:
                yield frame.pc(), int(frame.read_register("rsp")) & (1 << 64) - 1, exact
            exact = frame.type() == gdb.SIGTRAMP_FRAME or trampoline.is_trampoline(frame)
            frame = frame.older()


def register() -> None:
    """Let stacks be unwound by Go's tables, and forget what was found out when another core is opened."""
    codemap.tables.append(runtime.sized)
    if hasattr(gdb.events, "corefile_changed"):
        gdb.events.corefile_changed.connect(runtime.forget)
