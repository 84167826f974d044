"""A short text that is the same in all crashes with the same cause, for finding duplicates.

It is made of the names of functions, which stay when addresses, compilers' clones and machines change, and only of the
program's own: which frames the C library has between two of them depends on its release and on the processor.
"""

import re
from collections import Counter
from collections.abc import Sequence
from posixpath import basename

from corebox.debugger.answer import Why
from corebox.report.document import PlacedFrame

#: How many of the program's own functions count, from the fault outwards.
DEPTH = 5
#: So many calls of one function are a recursion, whose depth and innermost function are chance.
RECURSION = 16

_RUNTIME = re.compile(r"(libc|libpthread|libm|libdl|librt|libgcc_s|libstdc\+\+|libc\+\+(abi)?|ld)([-.].*)?\.so.*")
_RUNTIME_NAMES = re.compile(
    r"(__GI_|__libc_|__pthread_|__assert|__stack_chk|__fortify|__cxa_|__restore_rt|_start$|_dl_|__kernel_)"
    r"|(abort|raise|gsignal|start_thread|clone3?|malloc_printerr|_int_free|_int_malloc|free|malloc|realloc|calloc)$"
    r"|(std|__gnu_cxx|__cxxabiv1)::"
)
# What compilers append to copies of a function: GCC's -fipa passes, LLVM's "llvm" and part numbers.
_CLONE = re.compile(
    r"(\.(isra|constprop|part|cold|lto_priv|localalias|llvm|clone|__uniq)(\.\d+)?)+$|\s*\[(clone [^]]*|cold)\]"
)
_LONGEST_DETAIL = 120


def signature(signal: str | None, frames: Sequence[PlacedFrame], why: Why | None = None) -> str:
    """``SIGABRT assertion(order) < copy_order < main``: signal, what happened, the program's own functions.

    What happened is, of an abort, its kind with the exception's type or the assertion's expression; otherwise the
    library that it happened in, if it was one of the runtime's. Their functions do not count: which of them has a name
    depends on the debug files at hand, and between the program and abort(3) they differ from release to release.

    Args:
        signal: name of the signal.
        frames: of the crashed thread, innermost first; one without a name counts as ``module+offset``.
        why: the kind of fault.
    """
    library: str | None = None
    own: list[str] = []
    for frame in frames:
        if frame.kind != "signal-handler" and not is_runtime(frame):
            own.append(_label(frame))
        elif not own and frame.kind != "signal-handler":
            library = _library(frame)
    names = _without_recursion(own)[:DEPTH]
    if signal == "SIGABRT":
        names.insert(0, _kind(why))
    elif library:
        names.insert(0, library)
    return " ".join([signal or "no-signal", " < ".join(names) or "nowhere"])


def plain_name(function: str) -> str:
    """A function's name without parameters, template arguments and suffixes of clones."""
    kept, depth = [], 0
    text = _CLONE.sub("", function)
    text = re.sub(r"operator(<<=?|>>=?|<=>?|>=?|<|->\*?|\(\))", lambda m: "operator" + m[1].translate(_HIDE), text)
    text = text.replace("(anonymous namespace)", "{anonymous}")
    for char in text:
        if char in "<(":
            depth += 1
        elif char in ">)":
            depth = max(0, depth - 1)
        elif not depth:
            kept.append(char)
    name = "".join(kept).translate(_SHOW).split("@", 1)[0]
    # A template's demangled name begins with its return type.
    return re.sub(r"\s+(const|volatile|&+)\s*$", "", name).strip().rsplit(" ", 1)[-1]


# Brackets that belong to an operator's name are hidden from the removal of arguments.
_HIDE = {ord("<"): "\x01", ord(">"): "\x02", ord("("): "\x03", ord(")"): "\x04"}
_SHOW = {1: "<", 2: ">", 3: "(", 4: ")"}


def is_runtime(frame: PlacedFrame) -> bool:
    """Whether a frame is of the C or C++ library, not of the program."""
    if frame.module and _RUNTIME.fullmatch(basename(frame.module)):
        return True
    return bool(frame.function and _RUNTIME_NAMES.match(frame.function))


def _kind(why: Why | None) -> str:
    if why is None:
        return "abort"
    return f"{why.kind}({why.detail[:_LONGEST_DETAIL]})" if why.detail else why.kind


def _library(frame: PlacedFrame) -> str | None:
    """The name of a runtime library, ``libc``; None for a function of one that was linked into the program."""
    found = _RUNTIME.fullmatch(basename(frame.module)) if frame.module else None
    return found and found[1]


def _label(frame: PlacedFrame) -> str:
    if not frame.function:
        return frame.place
    name = plain_name(frame.function)
    # All lambdas have this name; in the same source they stand where they stood.
    nameless = name.endswith("operator()") and frame.frame.file
    return f"{name} at {basename(frame.frame.file or '')}:{frame.frame.line}" if nameless else name


def _without_recursion(names: list[str]) -> list[str]:
    """Each name once; functions that call each other without end are put together at the front, sorted."""
    often = sorted(name for name, count in Counter(names).items() if count >= RECURSION)
    if often:
        outside = names[max(index for index, name in enumerate(names) if name in often) + 1 :]
        return ["recursion of " + ", ".join(often), *dict.fromkeys(outside)]
    return list(dict.fromkeys(names))
