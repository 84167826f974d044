"""Runs inside gdb: Go's panics and fatal errors.

With GOTRACEBACK=crash each thread in turn is sent SIGQUIT to print its stack, and the last one aborts: the thread that
the core is of is then any, and the one that failed has to be looked for.
"""

import re

import gdb

from corebox.gdbside.why import faults, memory
from corebox.gdbside.why.faults import Cause

_HANDLER = r"runtime\.(sighandler|dieFromSignal|crash|sigtrampgo)"
_FAILS = r"runtime\.(gopanic|sigpanic|throw|fatalthrow|fatalpanic|fatal|panicwrap)"
_MOST_THREADS, _MOST_ROUTINES = 256, 4096
_LONGEST = 512
_FIRST_STAR = 2  # tflagExtraStar (Go, internal/abi/type.go)
_NUMBERS = re.compile(r"\b(0x[0-9a-f]+|\d+)\b")
# Go, runtime/error.go: boundsErrorFmts.
_BOUNDS = ("index out of range [%x] with length %y", "slice bounds out of range [:%x] with length %y",
           "slice bounds out of range [:%x] with capacity %y", "slice bounds out of range [%x:%y]")  # fmt: skip


def elsewhere(fault):
    """The fault of the thread that failed: ``fault`` itself unless Go's runtime handed the crash on."""
    if not fault.runs_like(_HANDLER) and not any(re.match(_HANDLER, name) for name in fault.handlers):
        return fault
    if fault.signal != faults.SIGABRT or fault.runs_like(_FAILS):
        return fault
    for thread in sorted(gdb.selected_inferior().threads(), key=lambda each: each.num)[:_MOST_THREADS]:
        thread.switch()
        other = faults.Fault()
        if other.index or other.runs_like(_FAILS):
            return other
    fault.thread.switch()
    return fault


def go_failure(fault):
    """A panic, or an error that the runtime calls fatal."""
    called = fault.runs_like(_FAILS)
    if not called:
        said = _backlog() if fault.runs_after("runtime.") else None
        shown = ["runtime.printBacklog, which Go's runtime printed last"]
        return Cause("go-fatal-error", f"Go fatal error: {said}", shown, _plain(said)) if said else None
    signalled = _signal(fault)
    lines = [f"{called} is on the stack"]
    if signalled:
        lines.append(f"{faults.signal_name(signalled[0])} at address {faults.hexadecimal(signalled[1])}")
    thrown = _argument(fault, ("runtime.throw", "runtime.fatalthrow", "runtime.fatal"), "s")
    if thrown is not None or "throw" in called or called.endswith("fatal"):
        said = _string(thrown) or _backlog()
        if signalled and said and said.startswith("unexpected signal"):
            return _in_native_code(*signalled, lines)
        return Cause("go-fatal-error", "Go fatal error" + (f": {said}" if said else ""), lines, said and _plain(said))
    said = _panic_value(_argument(fault, ("runtime.gopanic",), "e"))
    if said is None and fault.runs("runtime.sigpanic"):
        said = "invalid memory address or nil pointer dereference"
    return Cause("go-panic", "Go panic" + (f": {said}" if said else ""), lines, said and _plain(said))


def _signal(fault):
    """The signal that became a panic or, in C code, a fatal error: its goroutine keeps it (runtime2.go, type g)."""
    if not fault.runs("runtime.sigpanic"):
        return None
    try:
        routine = next(each for each in _routines() if int(each["sig"]))
        return int(routine["sig"]), int(routine["sigcode1"]) & fault.mask
    except (StopIteration, TypeError, gdb.error, gdb.MemoryError):
        return None


def _in_native_code(number, address, lines):
    """Go turns a signal in its own code into a panic; in C code, or in its runtime, it gives up."""
    if number == faults.SIGSEGV and address < faults.NULL_REGION:
        return Cause("null-dereference", memory.null(address) + " in C code or in Go's runtime", lines)
    if number == faults.SIGSEGV:
        sentence = f"Access through an invalid pointer: {faults.hexadecimal(address)}, in C code or in Go's runtime"
        return Cause("bad-pointer", sentence, lines)
    return Cause("go-fatal-error", f"Go fatal error: {faults.signal_name(number)} in C code or in Go's runtime", lines)


def _routines():
    """The goroutines, then those that threads run C code and the scheduler on (g0)."""
    routines = gdb.parse_and_eval("'runtime.allgs'")
    yield from (routines["array"][at] for at in range(min(int(routines["len"]), _MOST_ROUTINES)))
    machine = gdb.parse_and_eval("'runtime.allm'")
    for _ in range(_MOST_THREADS):
        if not int(machine):
            return
        yield machine["g0"]
        machine = machine["alllink"]


def _plain(said):
    return _NUMBERS.sub("N", said.partition("\n")[0])[:120]


def _argument(fault, functions, name):
    """A variable of the innermost frame of one of these functions."""
    for frame, function in zip(fault.frames, fault.names, strict=True):
        if function in functions:
            try:
                return frame.read_var(name)
            except (ValueError, gdb.error):
                continue
    return None


def _string(value):
    """A Go string."""
    try:
        size = min(int(value["len"]), _LONGEST)
        data = gdb.selected_inferior().read_memory(int(value["str"]), size).tobytes() if size > 0 else b""
        return data.decode("utf-8", "replace")
    except (TypeError, gdb.error, gdb.MemoryError, ValueError, OverflowError):
        return None


def _panic_value(value):
    """What panic was called with: its text where the type has one, else its type."""
    try:
        kind, data = int(value["_type"]), int(value["data"])
        name = _type_name(kind)
    except (TypeError, gdb.error, gdb.MemoryError, ValueError, OverflowError):
        return None
    if name == "runtime.boundsError":
        return "runtime error: " + (_bounds(data) or name)
    text = _first_string(data)
    if text is None:
        return f"({name})"
    if name.startswith("runtime."):
        return text if name == "runtime.plainError" else f"runtime error: {text}"
    return text if name == "string" else f"{name}: {text}"


def _type_name(kind):
    """Of a runtime type: tflag and the offset of its name (Go, internal/abi/type.go, offsets 20 and 40)."""
    read = gdb.selected_inferior().read_memory
    flags, offset = read(kind + 20, 1).tobytes()[0], int.from_bytes(read(kind + 40, 4).tobytes(), "little")
    base = int(gdb.parse_and_eval("'runtime.firstmoduledata'")["types"])
    size = read(base + offset + 1, 1).tobytes()[0]
    name = read(base + offset + 2, size).tobytes().decode("utf-8", "replace")
    return name[1:] if flags & _FIRST_STAR else name


def _first_string(data):
    try:
        read = gdb.selected_inferior().read_memory
        text, size = (int.from_bytes(read(data + at, 8).tobytes(), "little") for at in (0, 8))
        found = read(text, size).tobytes().decode() if 0 < size <= _LONGEST else None
    except (gdb.MemoryError, UnicodeDecodeError, OverflowError, ValueError):
        return None
    return found if found and found.isprintable() else None


def _bounds(data):
    read = gdb.selected_inferior().read_memory
    try:
        x, y = (int.from_bytes(read(data + at, 8).tobytes(), "little", signed=True) for at in (0, 8))
        code = read(data + 17, 1).tobytes()[0]
    except gdb.MemoryError:
        return None
    text = _BOUNDS[code] if code < len(_BOUNDS) else "slice bounds out of range"
    return text.replace("%x", str(x)).replace("%y", str(y))


def _backlog():
    """What the runtime printed last (Go, runtime/print.go: recordForPanic)."""
    try:
        start, size = int(gdb.parse_and_eval("&'runtime.printBacklog'")), 512
        data = gdb.selected_inferior().read_memory(start, size).tobytes()
    except (gdb.error, gdb.MemoryError):
        return None
    found = re.search(rb"fatal error: ([^\n\0]+)", data)
    return found[1].decode("utf-8", "replace") if found else None


KINDS = (go_failure,)
