"""What the C++ runtime and the logging libraries of C++ programs report."""

import re

from corebox.gdbside.why import exceptions, memtext
from corebox.gdbside.why.facts import SIGABRT, Cause, Fault, hexadecimal

_CHECKS = (
    r"google::(LogMessage|LogMessageFatal|DieBecauseNull)|absl::.*log_internal::(LogMessage|DieBecauseNull|.*Fatal)|"
    r"absl::.*raw_log(ging)?_internal::"
)
# Of libstdc++ and of libc++abi.
_TERMINATE = ("std::terminate", "__cxxabiv1::__terminate", "std::__terminate", "__cxxabiv1::failed_throw")
_CHECK_TEXT = re.compile(rb"()((?:Check failed: )[^\n\0]{1,400})")
_FATAL_TEXT = re.compile(rb"F\d{4,8} [^\n\0]{0,200}?([\w.+-]+:\d+)\] ([^\n\0]{1,400})")
_RAW_TEXT = re.compile(rb"\[([\w.+-]+ : \d+)\] RAW: ([^\n\0]{1,400})")
_VALUES = re.compile(r"\s*\([^()]* vs\.? [^()]*\).*$", re.DOTALL)


def check_failed(fault: Fault) -> Cause | None:
    """CHECK and LOG(FATAL) of glog and absl; the message is still in their buffer."""
    called = fault.signal == SIGABRT and fault.runs_like(_CHECKS)
    if not called:
        return None
    shown = [f"{called} is on the stack"]
    found = memtext.search(fault, b"] Check failed: ", _FATAL_TEXT) or memtext.search(fault, b"] ", _FATAL_TEXT)
    found = found or memtext.search(fault, b"] RAW: ", _RAW_TEXT)
    found = found or memtext.search(fault, b"Check failed: ", _CHECK_TEXT)
    if not found:
        return Cause("check-failed", "A CHECK failed or LOG(FATAL) was called", shown)
    place, message = memtext.decoded(found[1]), memtext.decoded(found[2])
    if place:
        shown.append(f"logged at {place.replace(' : ', ':')}")
    sentence = message if message.startswith("Check ") else f"Fatal log message: {message}"
    return Cause("check-failed", sentence, shown, _VALUES.sub("", message.removeprefix("Check failed: ")).strip())


def pure_virtual(fault: Fault) -> Cause | None:
    """The entry of a pure virtual function in a vtable is one of these (Itanium C++ ABI, 3.2.6)."""
    called = fault.runs("__cxa_pure_virtual", "__cxa_deleted_virtual")
    what = "deleted" if called == "__cxa_deleted_virtual" else "pure"
    sentence = f"{what.capitalize()} virtual function called, in a constructor, a destructor or on a destroyed object"
    return Cause("pure-virtual-call", sentence, [f"{called} is on the stack"]) if called else None


def library_check(fault: Fault) -> Cause | None:
    """With _GLIBCXX_ASSERTIONS GCC's C++ library checks indexes and the like, prints what is wrong, and aborts."""
    failed = fault.runs("std::__glibcxx_assert_fail", "std::__replacement_assert")
    return Cause("assertion", "C++ library assertion failed", [f"{failed} is on the stack"]) if failed else None


def exception(fault: Fault) -> Cause | None:
    """C++ calls std::terminate, whose default handler aborts, when an exception finds no handler."""
    if fault.signal != SIGABRT or not fault.runs(*_TERMINATE):
        return None
    found = exceptions.thrown(fault)
    evidence = ["std::terminate is on the stack"]
    if found is None:
        return Cause("terminate", "std::terminate was called without an exception in flight", evidence)
    evidence.append(f"exception object at {hexadecimal(found.address)}")
    if found.name == "std::bad_alloc":
        return Cause("bad-alloc", "Memory allocation failed: uncaught std::bad_alloc", evidence)
    said = f": {found.what}" if found.what else ""
    return Cause("uncaught-exception", f"Uncaught exception of type {found.name}{said}", evidence, found.name)


KINDS = (check_failed, pure_virtual, library_check, exception)
