"""The crash in plain words. What came from the core is in them as it is: who prints them escapes it."""

import re
import shlex
from collections.abc import Iterator
from itertools import groupby
from posixpath import basename

from corebox import __version__
from corebox.coredump.verdict import VERIFIED
from corebox.describe.crash import describe_crash, runtime_facts
from corebox.describe.program import program_of, system_name
from corebox.printable import format_size
from corebox.report.document import PlacedFrame, Report
from corebox.report.memory import MemoryVerdict
from corebox.report.names import plain_name
from corebox.report.python import functions_of
from corebox.report.signature import is_languages_own, is_runtime, proved, stands_for_own

#: The answers to the question whether it has run out of memory.
VERDICTS = {
    "no-sign": "No sign that it ran out of memory",
    "allocation-failed": "An allocation failed: it ran out of memory, or asked for too much at once",
    "virtual-machine-full": "Its virtual machine was out of the memory that it may use (Java: -Xmx and others; node: "
    "--max-old-space-size)",
    "address-space-full": "It probably ran out of address space",
    "too-many-mappings": "It probably ran out of mappings (vm.max_map_count): allocations fail while memory is free",
    "cannot-tell": "The core does not show whether it ran out of memory",
}
_JAVA_LOG = re.compile(r"hs_err_pid\d+\.log")
#: Languages of which one native frame runs functions that call each other.
_INTERPRETED = ("PHP", "Python")


def headline(report: Report) -> str:
    """The cause, as far as it is known."""
    return report.answer.why.sentence if report.answer.why else describe_crash(report.manifest)


def culprit(report: Report) -> PlacedFrame | None:
    """The innermost frame that is the program's own; of several functions in one frame, that function."""
    frames = proved(report.failed.frames) if report.failed else ()
    start = report.answer.why.frame if report.answer.why else 0
    kind = report.known.kind
    found = (_own(each, kind) for each in frames[start:] if each.kind != "signal-handler")
    return next((each for each in found if each and (each.function or each.module)), None)


def _own(frame: PlacedFrame, kind: str) -> PlacedFrame | None:
    """The frame, if it runs a function of the program's own, from that function on."""
    inside = frame.frame
    if not inside.language:
        return frame if not is_runtime(frame) or stands_for_own(frame, kind) else None
    functions = list(functions_of(inside))
    for at, each in enumerate(functions):
        if not is_languages_own(each.function, each.file, inside.language):
            return frame._replace(frame=inside._replace(**each._asdict(), inlined_into=tuple(functions[at + 1 :])))
    return None


def tail_call(frame: PlacedFrame) -> str | None:
    """The function that was called there and has no frame; a chain of frame pointers may also have passed it over."""
    if not frame.frame.tail_call:
        return None
    why = "" if frame.frame.unwind == "frame-pointer" else " (tail call)"
    return f"calls {plain_name(frame.frame.tail_call)}, which has no frame{why}"


def outer(frame: PlacedFrame) -> Iterator[tuple[int, str]]:
    """The functions that a managed frame runs besides its innermost one, each with how many times on end it is there.

    They are there by a compiler's doing, or an interpreter's.
    """
    how = "called by" if frame.frame.language in _INTERPRETED else "inlined into"
    for each, run in groupby(frame.frame.inlined_into):
        place = f" at {each.file}{f':{each.line}' if each.line else ''}" if each.file else ""
        yield sum(1 for _ in run), f"{how} {each.function}{place}"


def unwind(frame: PlacedFrame) -> str | None:
    """How a frame was found, if not by unwind information: what is less certain is marked."""
    marks = {
        "frame-pointer": "by frame pointer",
        "call": "by return address",
        "prologue": "by prologue analysis",
        "runtime": "by Go's tables" if frame.frame.language == "Go" else "by HotSpot's tables",
    }
    return marks.get(frame.frame.unwind)


def lead(report: Report) -> tuple[str, ...]:
    """Who died, of what, where, in a sentence; every second part of it is a name."""
    process = report.manifest.process
    fault = f" at address {process.fault_address:#x}" if process.fault_address is not None else ""
    program = program_of(report.manifest).called or "a program"
    signal, first = process.signal_name, report.known.signal
    after = f" after {first}" if first and first != signal else ""  # what a handler of the process had taken
    died = f" (process {process.pid}) was killed by {signal}{fault}{after}"
    if not process.signal_name:
        died = f" (process {process.pid}) was running when the core was taken"
    place, why = culprit(report), report.answer.why
    if place is None:
        return ("", program, died + ", in ", why.function, ".") if why and why.function else ("", program, died + ".")
    sentence = ("", program, died + ", in ", place.function or place.place)
    if not place.frame.file:
        return (*sentence, ".")
    line = f":{place.frame.line}" if place.frame.line else ""
    return (*sentence, ", ", basename(place.frame.file) + line, ".")


def facts(report: Report) -> Iterator[tuple[str, str]]:
    """What one looks up, each with its name."""
    manifest = report.manifest
    process, site = manifest.process, manifest.site
    yield "Program", str(program_of(manifest))
    if process.arguments:
        yield "Command line", process.arguments
    yield "Process", f"{process.pid}, user {_known(process.uid)}, group {_known(process.gid)}"
    yield "Time", process.time or "unknown"
    yield "System", f"{system_name(site)}, {site.machine}"
    if site.kernel and manifest.runtime is None:
        yield "Kernel", site.kernel
    if site.hostname:
        yield "Host", site.hostname
    yield "Threads", f"{report.threads_total:,}"
    verified = sum(module.verdict == VERIFIED for module in manifest.modules)
    yield "Modules", f"{verified} of {len(manifest.modules)} verified"
    cut = ", truncated" if manifest.core.truncated else ""
    yield "Core", f"{format_size(manifest.core.size)}, {format_size(manifest.core.stored)} stored{cut}"
    yield from runtime_facts(manifest.runtime)
    for path in (each.path for each in manifest.files if _JAVA_LOG.fullmatch(basename(each.path))):
        yield "Java log", f"{path}, in the bundle: corebox export {shlex.quote(report.name)} --sysroot DIR"
    yield "Bundle", f"{report.identity}, gathered by corebox {manifest.gatherer}"
    yield "Report", f"corebox {__version__}, gdb {report.answer.gdb or 'unknown'}"
    yield "Fault", report.fault
    yield "Family", report.known.family
    yield "Signature", report.signature


def _known(value: int | None) -> str:
    return "unknown" if value is None else str(value)


def memory_lines(memory: MemoryVerdict) -> Iterator[str]:
    """Whether it has run out of memory, how much it held, and what shows it."""
    yield VERDICTS[memory.verdict]
    if memory.held is not None and memory.error is not None:
        held, error = format_size(memory.held), format_size(memory.error)
        yield f"{held} of anonymous memory was resident or swapped, give or take {error}"
    yield from memory.evidence
