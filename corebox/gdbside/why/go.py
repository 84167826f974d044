"""Go's panics and fatal errors.

With GOTRACEBACK=crash each thread in turn is sent SIGQUIT to print its stack, and the last one aborts: the thread that
the core is of is then any, and the one that failed has to be looked for.
"""

import re
from collections.abc import Iterator
from typing import Any

from corebox.gdbside.why.facts import NULL_REGION, SIGABRT, SIGSEGV, Cause, Fault, hexadecimal, signal_name
from corebox.gdbside.why.memory import null

_HANDLER = r"runtime\.(sighandler|dieFromSignal|crash|sigtrampgo)"
_FAILS = r"runtime\.(gopanic|sigpanic|throw|fatalthrow|fatalpanic|fatal|panicwrap)"
_MAX_THREADS, _MAX_ROUTINES = 256, 4096
_MAX_LENGTH = 512
_FIRST_STAR = 2  # tflagExtraStar (Go, internal/abi/type.go)
_OF_RUNTIME = re.compile(r"(runtime|sync|internal|syscall|time)[./]|unknown$")
_OWN = re.compile(r"(?!(runtime|sync|internal|syscall|time)[./])[\w./-]+\.")
_SYMBOL = re.compile(r"(\S+)(?: \+ \d+)? in section ")
_BRACKETS = re.compile(r"^(\w+)\[(.+)\]$")
_MAX_CALLS = 64
_NUMBERS = re.compile(r"\b(0x[0-9a-f]+|\d+)\b")
# Go, runtime/error.go: boundsErrorFmts.
_BOUNDS = ("index out of range [%x] with length %y", "slice bounds out of range [:%x] with length %y",
           "slice bounds out of range [:%x] with capacity %y", "slice bounds out of range [%x:%y]")  # fmt: skip
_Value = Any  # a gdb.Value


def was_handed_on(fault: Fault) -> bool:
    """Whether Go's runtime may have made this thread end the process for another one, which failed."""
    handles = fault.runs_like(_HANDLER) or any(re.match(_HANDLER, name) for name in fault.handlers)
    return bool(handles) and fault.signal == SIGABRT and not failed(fault)


def failed(fault: Fault) -> bool:
    """Whether this thread's own code panicked."""
    return fault.runs_like(_FAILS) is not None


def go_failure(fault: Fault) -> Cause | None:
    """A panic, or an error that the runtime calls fatal."""
    called = fault.runs_like(_FAILS)
    if not called:
        said = _backlog(fault) if fault.runs_after("runtime.") else None
        shown = ["runtime.printBacklog, which Go's runtime printed last"]
        return _with_function(fault, _cause("go-fatal-error", "Go fatal error", said, shown)) if said else None
    signalled = _signal(fault)
    lines = [f"{called} is on the stack"]
    if signalled:
        lines.append(f"{signal_name(signalled[0])} at address {hexadecimal(signalled[1])}")
    thrown = _argument(fault, ("runtime.throw", "runtime.fatalthrow", "runtime.fatal"), "s")
    if thrown is not None or "throw" in called or called.endswith("fatal"):
        said = _string(fault, thrown) or _backlog(fault)
        if signalled and said and said.startswith("unexpected signal"):
            return _in_native_code(*signalled, lines)
        return _with_function(fault, _cause("go-fatal-error", "Go fatal error", said, lines))
    said = _panic_value(fault, _argument(fault, ("runtime.gopanic",), "e"))
    if said is None and fault.runs("runtime.sigpanic"):
        said = "invalid memory address or nil pointer dereference"
    said = said or next((each.panic for each in fault.debugger.goroutines()[:1]), None)
    return _cause("go-panic", "Go panic", said, lines)


def _cause(kind: str, what: str, said: str | None, lines: list[str]) -> Cause:
    return Cause(kind, f"{what}: {said}" if said else what, lines, _plain(said) if said else said)


def _with_function(fault: Fault, cause: Cause) -> Cause:
    """The same with the function whose goroutine had no more stack, or that the main goroutine waits in for ever.

    The runtime ends the process on another stack, its own.
    """
    try:
        if (cause.detail or "").startswith("stack overflow"):
            routine = next(each["curg"] for each in _machines(fault) if int(each["procid"]) == fault.place.tid)
        elif (cause.detail or "").startswith("all goroutines are asleep"):
            routine = next(each for each in _routines(fault) if int(each["goid"]) == 1)
        else:
            return _by_tables(fault, cause)
        scheduled = routine["sched"]
        names = _called(fault, int(scheduled["pc"]) & fault.mask, int(scheduled["bp"]) & fault.mask)
        function = next(name for name in names if not _OF_RUNTIME.match(name))
    except (StopIteration, TypeError, RuntimeError):
        return _by_tables(fault, cause)
    return _in(cause, int(routine["goid"]), function)


def _by_tables(fault: Fault, cause: Cause) -> Cause:
    """The same by Go's own tables, if no frame tells it: the program has no symbols."""
    if any(_OWN.match(name) for name in fault.names):
        return cause
    asleep = (cause.detail or "").startswith("all goroutines are asleep")
    routines = fault.debugger.goroutines()
    routine = next((each for each in routines if (each.number == 1 if asleep else each.runs)), None)
    function = next((name for name in routine.functions if not _OF_RUNTIME.match(name)), None) if routine else None
    return _in(cause, routine.number, function) if routine and function else cause


def _in(cause: Cause, number: int, function: str) -> Cause:
    shown = f"goroutine {number} is in {function}"
    return cause._replace(evidence=[*cause.evidence, shown], function=function)


def _called(fault: Fault, counter: int, base: int) -> Iterator[str]:
    """The functions of a goroutine that does not run, by its chain of frame pointers, which Go keeps."""
    for _ in range(_MAX_CALLS):
        named = _SYMBOL.match(fault.debugger.symbol(counter))
        # Without debug information gdb takes main.total for a name of Ada's, and shows it as main[total].
        yield _BRACKETS.sub(r"\1.\2", named[1]) if named else "unknown"
        outer, following = fault.word(base + fault.core.word), fault.word(base)
        if not outer or not following or following <= base:
            return
        counter, base = outer, following


def _signal(fault: Fault) -> tuple[int, int] | None:
    """The signal that became a panic or, in C code, a fatal error: its goroutine keeps it (runtime2.go, type g)."""
    if not fault.runs("runtime.sigpanic"):
        return None
    try:
        routine = next(each for each in _routines(fault) if int(each["sig"]))
        return int(routine["sig"]), int(routine["sigcode1"]) & fault.mask
    except (StopIteration, TypeError, RuntimeError):
        return None


def _in_native_code(number: int, address: int, lines: list[str]) -> Cause:
    """Go turns a signal in its own code into a panic; in C code, or in its runtime, it gives up."""
    if number == SIGSEGV and address < NULL_REGION:
        return Cause("null-dereference", null(address) + " in C code or in Go's runtime", lines)
    if number == SIGSEGV:
        sentence = f"Access through an invalid pointer: {hexadecimal(address)}, in C code or in Go's runtime"
        return Cause("bad-pointer", sentence, lines)
    return Cause("go-fatal-error", f"Go fatal error: {signal_name(number)} in C code or in Go's runtime", lines)


def _routines(fault: Fault) -> Iterator[_Value]:
    """The goroutines, then those that threads run C code and the scheduler on (g0)."""
    routines = fault.debugger.value("'runtime.allgs'")
    yield from (routines["array"][at] for at in range(min(int(routines["len"]), _MAX_ROUTINES)))
    yield from (machine["g0"] for machine in _machines(fault))


def _machines(fault: Fault) -> Iterator[_Value]:
    """The threads, as the scheduler has them."""
    machine = fault.debugger.value("'runtime.allm'")
    for _ in range(_MAX_THREADS):
        if not int(machine):
            return
        yield machine
        machine = machine["alllink"]


def _plain(said: str) -> str:
    return _NUMBERS.sub("N", said.partition("\n")[0])[:120]


def _argument(fault: Fault, functions: tuple[str, ...], name: str) -> _Value | None:
    """A variable of the innermost frame of one of these functions."""
    levels = (level for level, function in enumerate(fault.names) if function in functions)
    values = (fault.debugger.variable(level, name) for level in levels)
    return next((each for each in values if each is not None), None)


def _string(fault: Fault, value: _Value | None) -> str | None:
    """A Go string."""
    try:
        size = min(int(value["len"]), _MAX_LENGTH) if value is not None else 0
        data = fault.read(int(value["str"]), size) if value is not None and size > 0 else b""
    except (TypeError, RuntimeError, ValueError, OverflowError):
        return None
    return None if data is None else data.decode("utf-8", "replace")


def _panic_value(fault: Fault, value: _Value | None) -> str | None:
    """What panic was called with: its text where the type has one, else its type."""
    try:
        pair = None if value is None else (int(value["_type"]), int(value["data"]))
    except (TypeError, RuntimeError, ValueError, OverflowError):
        return None
    name = _type_name(fault, pair[0]) if pair else None
    if pair is None or name is None:
        return None
    if name == "runtime.boundsError":
        return "runtime error: " + (_bounds(fault, pair[1]) or name)
    text = _first_string(fault, pair[1])
    if text is None:
        return f"({name})"
    if name.startswith("runtime."):
        return text if name == "runtime.plainError" else f"runtime error: {text}"
    return text if name == "string" else f"{name}: {text}"


def _type_name(fault: Fault, kind: int) -> str | None:
    """Of a runtime type: tflag and the offset of its name (Go, internal/abi/type.go, offsets 20 and 40)."""
    flags, offset = fault.number(kind + 20, 1), fault.number(kind + 40, 4)
    module = fault.debugger.value("'runtime.firstmoduledata'")
    if flags is None or offset is None or module is None:
        return None
    at = int(module["types"]) + offset
    size = fault.number(at + 1, 1)
    data = None if size is None else fault.read(at + 2, size)
    name = None if data is None else data.decode("utf-8", "replace")
    return name[1:] if name and flags & _FIRST_STAR else name


def _first_string(fault: Fault, data: int) -> str | None:
    text, size = fault.number(data, 8), fault.number(data + 8, 8)
    found = fault.read(text, size) if text is not None and size is not None and 0 < size <= _MAX_LENGTH else None
    try:
        said = "" if found is None else found.decode()
    except UnicodeDecodeError:
        return None
    return said if said and said.isprintable() else None


def _bounds(fault: Fault, data: int) -> str | None:
    x, y, code = fault.number(data, 8, signed=True), fault.number(data + 8, 8, signed=True), fault.number(data + 17, 1)
    if x is None or y is None or code is None:
        return None
    text = _BOUNDS[code] if code < len(_BOUNDS) else "slice bounds out of range"
    return text.replace("%x", str(x)).replace("%y", str(y))


def _backlog(fault: Fault) -> str | None:
    """What the runtime printed last (Go, runtime/print.go: recordForPanic)."""
    start = fault.debugger.value("&'runtime.printBacklog'")
    data = fault.debugger.go_log() if start is None else fault.read(int(start), 512)
    found = None if data is None else re.search(rb"fatal error: ([^\n\0]+)", data)
    return found[1].decode("utf-8", "replace") if found else None


KINDS = (go_failure,)
