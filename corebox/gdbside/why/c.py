"""What the C library and libraries like it said before they aborted."""

import re

from corebox.gdbside.why import memory
from corebox.gdbside.why.facts import SIGABRT, SIGBUS, SIGSEGV, Cause, Fault, hexadecimal

_HEAP_MESSAGE = re.compile(
    r"(malloc|free|realloc|calloc|munmap_chunk|malloc_consolidate|corrupted|double free|invalid|chunk_main_arena)\b"
)
# assert(3): PROGRAM: FILE:LINE: FUNCTION: Assertion `EXPRESSION' failed.
_EXPRESSION = re.compile(r"(?::\d+: (?P<function>[^\n]+): )?Assertion `(?P<expression>.*)' failed", re.DOTALL)
_ALLOCATOR = re.compile(
    r"(?:__GI_|__)*(?:libc_)?(malloc|free|cfree|calloc|realloc|reallocarray|memalign|aligned_alloc|posix_memalign)"
)
_MAX_INNER = 8  # frames below such a function
_MUSL_HEAP = ("free", "realloc", "malloc", "calloc", "__libc_free", "__libc_realloc", "__libc_malloc_impl")
_MAX_LENGTH = 1024


def aborted(fault: Fault) -> Cause | None:
    """Glibc keeps what it says in __abort_msg (sysdeps/posix/libc_fatal.c, assert/assert.c), glib likewise."""
    if fault.signal != SIGABRT:
        return None
    said = _glib_message(fault) if fault.runs_like("g_assertion_message") else None
    if said:
        return Cause("assertion", f"Assertion failed: {said}", ["__glib_assert_msg"], said.rpartition(": ")[2])
    message = _abort_message(fault)
    if message is None:
        return Cause("abort", "The program called abort()", ["the core contains no message of the C library"])
    evidence = [f"__abort_msg: {message}"]
    if "stack smashing detected" in message:
        return _smashed(fault, evidence)
    if "buffer overflow detected" in message:
        return Cause("buffer-overflow", "Buffer overflow detected in a call of the C library", evidence)
    if "Assertion" in message:
        found = _EXPRESSION.search(message)
        expression, function = (found["expression"], found["function"]) if found else (None, None)
        return Cause("assertion", message, evidence, expression, function)
    if _HEAP_MESSAGE.match(message) or fault.runs("malloc_printerr"):
        return Cause("heap-corruption", f"Heap corruption: {message}", evidence)
    return Cause("abort", f"The program aborted: {message}", evidence)


def stopped(fault: Fault) -> Cause | None:
    """Musl says nothing: it ends a process by an instruction that only the kernel may run (atomic_arch.h, a_crash)."""
    if fault.signal != SIGSEGV or not fault.instruction().startswith("hlt"):
        return None
    evidence = [f"instruction at {hexadecimal(fault.counter)}: hlt, with which musl ends a process"]
    if fault.names[:1] == ["__stack_chk_fail"]:
        return _smashed(fault, evidence)
    called, mapping = fault.runs(*_MUSL_HEAP) or allocator(fault), fault.core.at(fault.counter)
    if called or (mapping is not None and "musl" in (mapping.path or "")):
        return Cause("heap-corruption", f"Heap corruption, detected in {called or 'the C library'}", evidence)
    return None


def _smashed(fault: Fault, evidence: list[str]) -> Cause:
    """Where one function alone has an array in the frame whose canary was overwritten, it is that one."""
    level = next((level for level, name in enumerate(fault.names) if name == "__stack_chk_fail"), None)
    owners = [] if level is None else fault.debugger.arrays(level + 1)
    function = owners[0] if len(owners) == 1 else None
    if function:
        evidence.append(f"of the functions in that frame {function} alone has an array")
    return Cause("stack-smashing", "Stack buffer overflow: stack smashing detected", evidence, function=function)


def in_allocator(fault: Fault) -> Cause | None:
    """An access that fails within malloc(3) and free(3): their own data are damaged, or they got a bad pointer."""
    called = allocator(fault) if fault.signal in (SIGBUS, SIGSEGV) and fault.address is not None else None
    if called is None or fault.address is None:
        return None
    sentence = f"Heap corruption: invalid access to {hexadecimal(fault.address)} in {called}"
    return Cause("heap-corruption", sentence, memory.evidence(fault))


def allocator(fault: Fault) -> str | None:
    """The function of the C library's allocator that the innermost frames are of; its inner ones may have no name."""
    called = [found[1] for found in map(_ALLOCATOR.fullmatch, fault.names[:_MAX_INNER]) if found]
    if called:
        return called[-1]
    first = next((level for level, name in enumerate(fault.names) if name), 0)
    name = fault.debugger.callee(first) if first else None
    found = _ALLOCATOR.fullmatch(name or "")
    return found[1] if found else None


def _glib_message(fault: Fault) -> str | None:
    pointer = fault.pointer("__glib_assert_msg")
    return fault.string(pointer, _MAX_LENGTH) if pointer else None


def _abort_message(fault: Fault) -> str | None:
    """A number, the size of what is mapped for it, comes before the text."""
    pointer = fault.pointer("__abort_msg")
    size = fault.number(pointer, 4) if pointer else None
    if not pointer or not size:
        return None
    data = fault.read(pointer + 4, min(size, _MAX_LENGTH) - 4)
    return None if data is None else data.split(b"\0")[0].decode("utf-8", "replace").strip() or None


KINDS = (aborted, stopped)
