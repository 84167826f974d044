"""What V8 with node, HotSpot and CPython report before they abort."""

import re

from corebox.gdbside.why import memtext
from corebox.gdbside.why.facts import SIGABRT, Cause, Fault

_V8_MEMORY = (
    r"(v8::internal::V8::FatalProcessOutOfMemory|v8::Utils::ReportOOMFailure|node::(OOMErrorHandler|OnOOMError))"
)
_V8_FATAL = (
    r"(V8_Fatal|v8::Utils::ReportApiFailure|node::(OnFatalError|FatalError)|v8::base::FatalOOM|v8::base::OS::Abort)"
)
_NODE_TEXT = re.compile(rb"FATAL ERROR: ([^\n\0]{1,300})")
_JVM = r"(VMError::report_and_die|report_vm_error|report_fatal|report_vm_out_of_memory|report_java_out_of_memory)"
_JVM_TEXT = re.compile(rb"(Internal Error \([^\n\0]{1,200}|java\.lang\.OutOfMemoryError[^\n\0]{0,100})")
_JVM_MEMORY_TEXT = re.compile(rb"OutOfMemory encountered: ([^\n\0]{1,100})")
_PYTHON = r"(fatal_error|_?Py_FatalError\w*|fatal_error_exit)"
_PYTHON_TEXT = re.compile(rb"Fatal Python error: ([^\n\0]{1,300})")


def javascript(fault: Fault) -> Cause | None:
    """V8 cannot go on without memory; node aborts on what V8 calls a fatal error, and on an assertion of its own."""
    if fault.runs_like(_V8_MEMORY):
        called = fault.runs_like(_V8_MEMORY)
        return Cause("javascript-out-of-memory", "JavaScript heap out of memory", [f"{called} is on the stack"])
    called = fault.runs_like(_V8_FATAL)
    if called:
        found = memtext.search(fault, b"FATAL ERROR: ", _NODE_TEXT)
        said = found and memtext.decoded(found[1])
        return Cause("javascript-fatal-error", "V8 fatal error" + (f": {said}" if said else ""), _shown(called), said)
    called = fault.runs("node::Assert")
    if called:
        return Cause("assertion", "Node.js assertion failed", _shown(called))
    called = fault.runs("node::Abort", "node::ReallyAbort")
    return Cause("abort", "JavaScript called process.abort()", _shown(called)) if called else None


def java(fault: Fault) -> Cause | None:
    """HotSpot's own errors; a signal that it reports is that of the interrupted frame."""
    called = fault.signal == SIGABRT and fault.runs_like(_JVM)
    if not called:
        return None
    memory = fault.runs("report_java_out_of_memory", "report_vm_out_of_memory")
    if memory:
        found = memtext.search(fault, b"OutOfMemory encountered: ", _JVM_MEMORY_TEXT)
        said = found and memtext.decoded(found[1])
        return Cause("java-out-of-memory", "Java ran out of memory" + (f": {said}" if said else ""), _shown(memory))
    found = memtext.search(fault, b"Internal Error (", _JVM_TEXT)
    said = found and memtext.decoded(found[1])
    return Cause("java-fatal-error", "Java fatal error" + (f": {said}" if said else ""), _shown(called))


def python(fault: Fault) -> Cause | None:
    """CPython's own fatal errors."""
    called = fault.signal == SIGABRT and fault.runs_like(_PYTHON + "$")
    if not called or not fault.runs_like("_?Py"):
        return None
    found = memtext.search(fault, b"Fatal Python error: ", _PYTHON_TEXT)
    said = found and memtext.decoded(found[1])
    return Cause("python-fatal-error", "Fatal Python error" + (f": {said}" if said else ""), _shown(called), said)


def _shown(called: str) -> list[str]:
    return [f"{called} is on the stack"]


KINDS = (javascript, java, python)
