"""What a sanitizer found. AddressSanitizer and its kin keep the text of their report in memory."""

import re

from corebox.gdbside.why import memtext
from corebox.gdbside.why.facts import Cause, Fault

_RUNS = r"(__(asan|lsan|msan|tsan|hwasan|ubsan|sanitizer)(::|_)|__interceptor_)"
_REPORT = re.compile(rb"==\d+==\s?(?:ERROR|WARNING): (\w+Sanitizer): ([^\0]{8,})")
_KIND = re.compile(
    r"(attempting double-free|attempting free on address[^\n]*not malloc|[\w-]+(?: on unknown address)?)"
)
_ACCESS = re.compile(r"^((?:READ|WRITE) of size \d+ at 0x[0-9a-f]+ thread \S+)", re.MULTILINE)
_LOCATED = re.compile(r"^(0x[0-9a-f]+ is located [^\n]*|Address 0x[0-9a-f]+ is located [^\n]*)", re.MULTILINE)
_SECTION = re.compile(
    r"^((?:freed|previously allocated|allocated) by thread [^\n]*)\n((?:\s+#\d+ [^\n]*\n)*)", re.MULTILINE
)
_UBSAN = re.compile(r"__ubsan_handle_(\w+?)(_v\d)?(_minimal)?(_abort)?$")
# Those that keep no text of their report (compiler-rt, tsan_rtl_report.cpp, tsan_rtl_mutex.cpp, msan.cpp).
_BY_FUNCTION = (
    ("__tsan::ReportRace", "ThreadSanitizer: data race", "data-race"),
    ("__tsan::ReportDeadlock", "ThreadSanitizer: lock-order-inversion (potential deadlock)", "lock-order-inversion"),
    ("__tsan::ReportMutexMisuse", "ThreadSanitizer: misuse of a mutex", "mutex-misuse"),
    ("__tsan::ReportDestroyLocked", "ThreadSanitizer: destroy of a locked mutex", "mutex-destroy-locked"),
    ("__msan_(warning|maybe_warning)", "MemorySanitizer: use-of-uninitialized-value", "use-of-uninitialized-value"),
)
_MAX_FRAMES, _MAX_LENGTH = 6, 240
_PLAIN = {"attempting double-free": "double-free", "SEGV on unknown address": "SEGV"}


def sanitizer(fault: Fault) -> Cause | None:
    """A sanitizer aborts from functions of its own."""
    called = fault.runs_like(_RUNS)
    if not called or not fault.runs_like(r"(__sanitizer::|__\w+san::|__\w+san_report|__ubsan_handle|__\w+san_handle)"):
        return None
    found = memtext.search(fault, b"Sanitizer: ", _REPORT)
    if found is None:
        return _without_text(fault, called)
    name, text = memtext.decoded(found[1]), memtext.decoded(found[2])
    kind = _kind(text)
    headline = text.partition("\n")[0][:_MAX_LENGTH]
    headline = re.split(r" (?:on address |\(?pc 0x|at pc )", headline)[0]
    lines = [each[1][:_MAX_LENGTH] for pattern in (_ACCESS, _LOCATED) for each in [pattern.search(text)] if each]
    for section in _SECTION.finditer(text):
        frames = [" ".join(line.split())[:_MAX_LENGTH] for line in section[2].splitlines()]
        lines += [section[1].strip(), *("  " + line for line in frames[:_MAX_FRAMES])]
    return Cause("sanitizer", f"{name}: {headline}", lines, kind)


def _kind(text: str) -> str:
    found = _KIND.match(text)
    kind = found[1] if found else "unknown"
    return "bad-free" if "not malloc" in kind else _PLAIN.get(kind, kind)


def _without_text(fault: Fault, called: str) -> Cause:
    undefined = next(filter(None, (_UBSAN.search(name) for name in fault.names)), None)
    if undefined:
        kind = undefined[1].replace("_", "-")
        return Cause("sanitizer", f"UndefinedBehaviorSanitizer: {kind}", [f"{called} is on the stack"], kind)
    for function, sentence, kind in _BY_FUNCTION:
        reported = fault.runs_like(function)
        if reported:
            return Cause("sanitizer", sentence, [f"{reported} is on the stack"], kind)
    return Cause(
        "sanitizer", "A sanitizer reported an error; its text is not in the core", [f"{called} is on the stack"]
    )


KINDS = (sanitizer,)
