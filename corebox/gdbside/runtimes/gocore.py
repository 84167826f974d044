"""Runs inside gdb: Go's runtime in the core that is open, and what its goroutines do."""

import contextlib
import re
from collections.abc import Iterator, Sequence

import gdb

from corebox.gdbside import selection
from corebox.gdbside.frames import codemap, trampoline
from corebox.gdbside.runtimes import goroutines
from corebox.gdbside.runtimes.goroutines import Goroutines, Layout, Module, Routine
from corebox.gdbside.runtimes.gotables import MAGIC_118, MAGIC_120, Place

_SECTION = re.compile(r"^\s*(0x[0-9a-f]+) - (0x[0-9a-f]+) is (\S+)", re.MULTILINE)
_TABLES, _MAY_HAVE_TABLES = (".gopclntab", ".data.rel.ro.gopclntab"), (".data.rel.ro",)
_MAY_HAVE_MODULE = (".go.module", ".noptrdata", ".data", ".data.rel.ro")
_VERSION = re.compile(rb"go1\.(\d{1,3})(?:[.a-z\d]{0,12})\b")
_BUILD_INFO = b"\xff Go buildinf:"
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
        if not self._opened:
            self._opened = True
            sections = [(int(a, 16), int(b, 16), name) for a, b, name in _SECTION.findall(_files())]
            if any(name in (*_TABLES, ".go.buildinfo") for _, _, name in sections):
                try:
                    self._module = self._find(sections)
                except goroutines.UNREADABLE as error:
                    self.why_not = str(error)
        return self._module

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
            size = found[0].tables.frame_size(function, pc) if found and function and not function.switches else None
        except goroutines.UNREADABLE:
            return None
        return None if function is None or size is None else codemap.Sized(size, function.top)


runtime = GoRuntime()


def routines() -> list[Routine]:
    """All goroutines, those that failed first; raises one of ``goroutines.UNREADABLE``."""
    found = runtime.module()
    if found is None:
        raise LookupError(runtime.why_not or "there is no Go in this core")
    return Goroutines(*found, read, _frames()).all(_symbol("runtime.allgs"))


def lines() -> Iterator[str]:
    """The goroutines in lines, equal ones once."""
    try:
        found = routines()
    except goroutines.UNREADABLE as error:
        yield f"the goroutines cannot be read: {error}"
        return
    yield f"{len(found)} goroutines of {runtime.version}" + ("" if _symbol("runtime.allgs") else _BY_SHAPE)
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


def read(address: int, size: int) -> bytes:
    """Memory; raises LookupError."""
    try:
        return gdb.selected_inferior().read_memory(address, size).tobytes()
    except (gdb.error, OverflowError, ValueError) as error:
        raise LookupError(str(error)) from error


def _files() -> str:
    return gdb.execute("info files", to_string=True)


def _symbol(name: str) -> int | None:
    try:
        return int(gdb.parse_and_eval(f"(unsigned long) &'{name}'"))
    except gdb.error:
        return None


def _version(sections: Sequence[Section]) -> str | None:
    """As the linker wrote it beside the program's modules (debug/buildinfo)."""
    for start, end, name in sections:
        if name != ".go.buildinfo":
            continue
        data = read(start, min(end - start, 4096))
        at = data.find(_BUILD_INFO)
        found = _VERSION.search(data, at) if at >= 0 else None
        if found:
            return found[0].decode()
    return None


def _headers(sections: Sequence[Section]) -> Iterator[int]:
    yield from (start for start, _, name in sections if name in _TABLES)
    for start, end, name in sections:
        if name in _MAY_HAVE_TABLES:
            for magic in (MAGIC_118, MAGIC_120):
                yield from _found(start, end, magic.to_bytes(4, "little") + b"\0\0\x01\x08")


def _found(start: int, end: int, mark: bytes) -> Iterator[int]:
    """Where these bytes are, at multiples of 8."""
    for _ in range(_MAX_FOUND):
        if end - start < len(mark):
            return
        try:
            at = gdb.selected_inferior().search_memory(start, end - start, mark)
        except (gdb.error, ValueError):
            return
        if at is None:
            return
        if at % 8 == 0:
            yield at
        start = at + 1


def _frames() -> dict[int, list[goroutines.Frame]]:
    """Each thread's frames as gdb finds them."""
    found = {}
    with selection.kept():
        for thread in sorted(gdb.selected_inferior().threads(), key=lambda each: each.num)[:_MAX_THREADS]:
            thread.switch()
            found[thread.num] = list(_of_thread())
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
