"""Runs inside gdb: what kind of fault it is, in a sentence, with what shows it.

Each kind has a function that looks for its signs and answers None if they are not there; the first answer counts.
"""

import re

import corefile
import cxx
import gdb

# siginfo's si_code (sigaction(2)); positive ones come from the kernel, SI_KERNEL without an address.
SI_KERNEL, SEGV_MAPERR, SEGV_ACCERR, BUS_ADRERR, FPE_INTDIV, FPE_INTOVF = 0x80, 1, 2, 2, 1, 2
_FLOATING = {3: "a division by zero", 4: "an overflow", 5: "an underflow", 6: "an inexact result", 7: "an invalid one"}
# mmap_min_addr keeps this much free at the bottom, and a member of a null structure is hardly farther away.
NULL_REGION = 0x10000
# gcc probes a large frame page by page; without probes a frame may reach this far below the stack.
STACK_REACH = 1 << 20
MOST_FRAMES, LONGEST_NAME = 128, 512
_HEAP_MESSAGE = re.compile(
    r"(malloc|free|realloc|calloc|munmap_chunk|malloc_consolidate|corrupted|double free|invalid|chunk_main_arena)\b"
)
_RUST_HASH = re.compile(r"::h[0-9a-f]{16}$")
_EXPRESSION = re.compile(r"Assertion `(.*)' failed", re.DOTALL)
_REGISTER = re.compile(r"[%$]?\b([a-z][a-z0-9]{1,4})\b")
# What assemblers put about the registers that an address is made of: 8(%rdi), [x0, #8], 0(r10).
_ADDRESS = re.compile(r"[\[(]([^\])]*)[\])]")
_TRAPS = ("ud2", "brk", "udf", "int3", "ebreak", "trap", "unimp")


class Fault:
    """The facts of the signal, read once."""

    def __init__(self):
        self.core = corefile.CoreFile()
        self.frame = gdb.newest_frame()
        self.mask = (1 << 8 * self.core.word) - 1
        self.counter = int(self.frame.pc()) & self.mask
        self.stack = self.register("sp")
        info = _siginfo(self.core)
        self.signal, self.code, self.address, self.sender = info
        self.address = None if self.address is None else self.address & self.mask
        self.names = _names(self.frame)

    def register(self, name):
        """Its value, or None if the machine has no such register."""
        try:
            return int(self.frame.read_register(name)) & self.mask
        except (ValueError, gdb.error):
            return None

    def runs(self, *names):
        """The innermost frame of one of these functions, or None."""
        plain = (name.partition("(")[0] for name in self.names)  # without debug information C++ has its parameters
        return next((name for name in plain if name in names), None)

    def instruction(self):
        """The instruction that was to run, or "" if its bytes are not in the core."""
        try:
            return " ".join(self.frame.architecture().disassemble(self.counter)[0]["asm"].split())
        except (gdb.error, IndexError):
            return ""

    def registers(self, text=None):
        """Name and value of the registers that the instruction names, or a part of it, ``text``."""
        for name in dict.fromkeys(_REGISTER.findall(self.instruction() if text is None else text)):
            value = self.register(name)
            if value is not None:
                yield name, value

    def where(self, address):
        """An address in words: what is mapped there."""
        mapping = self.core.at(address)
        if mapping is None:
            return "nothing is mapped there"
        what = mapping.path or "memory of no file"
        return f"{what} is mapped there, {mapping.rights()}"


def _siginfo(core):
    """Signal number, code, fault address, sender's process ID; None for what the core does not say."""
    try:
        info = gdb.parse_and_eval("$_siginfo")
        signal, code = int(info["si_signo"]), int(info["si_code"])
    except gdb.error:
        return core.signal, None, None, None
    fields = info["_sifields"]
    sender = int(fields["_kill"]["si_pid"]) if code <= 0 else None
    return signal, code, int(fields["_sigfault"]["si_addr"]), sender


def _names(frame):
    found = []
    try:
        while frame is not None and len(found) < MOST_FRAMES:
            found.append(frame.name() or "")
            frame = frame.older()
    except gdb.error:
        pass  # what is below a damaged frame is not known
    return found


def _hex(value):
    return f"0x{value:x}"


def _evidence(fault):
    """What is true of every fault at an address."""
    asm = fault.instruction()
    lines = [f"instruction at {_hex(fault.counter)}: {asm}"] if asm else []
    lines += [f"{name} = {_hex(value)}" for name, value in fault.registers()]
    if fault.address is not None:
        lines.append(f"fault address {_hex(fault.address)}: {fault.where(fault.address)}")
    return lines


def sent(fault):
    """si_code of kill(2), tgkill(2) and sigqueue(3) is not positive; abort(3) sends itself SIGABRT."""
    if fault.code is None or fault.code > 0 or fault.signal == 6:
        return None
    evidence = [f"si_code {fault.code}: sent by a process, not by the processor"]
    if fault.sender == gdb.selected_inferior().pid:
        return "raised", f"The program sent itself signal {fault.signal}", evidence
    return "sent-signal", f"Process {fault.sender} sent signal {fault.signal}; nothing crashed here", evidence


def pure_virtual(fault):
    """The entry of a pure virtual function in a vtable is one of these (Itanium C++ ABI, 3.2.6)."""
    called = fault.runs("__cxa_pure_virtual", "__cxa_deleted_virtual")
    sentence = "A virtual function was called that the object, half made or half gone, does not have"
    return called and ("pure-virtual-call", sentence, [f"{called} is on the stack"])


def library_check(fault):
    """With _GLIBCXX_ASSERTIONS GCC's C++ library checks indexes and the like, prints what is wrong, and aborts."""
    failed = fault.runs("std::__glibcxx_assert_fail", "std::__replacement_assert")
    return failed and ("assertion", "A check of the C++ library failed", [f"{failed} is on the stack"])


def exception(fault):
    """C++ calls std::terminate, whose default handler aborts, when an exception finds no handler."""
    if fault.signal != 6 or not fault.runs("std::terminate", "__cxxabiv1::__terminate"):
        return None
    found = cxx.thrown(fault.stack, fault.core)
    evidence = ["std::terminate is on the stack"]
    if found is None:
        return "terminate", "The C++ runtime was told to terminate; no exception was found in flight", evidence
    evidence.append(f"exception object at {_hex(found.address)}")
    if found.name == "std::bad_alloc":
        return "bad-alloc", "An allocation failed: std::bad_alloc was thrown and nobody caught it", evidence
    said = f": {found.what}" if found.what else ""
    sentence = f"An exception of type {found.name} was thrown and nobody caught it{said}"
    return "uncaught-exception", sentence, evidence, found.name


def rust_panic(fault):
    """A Rust panic that aborts passes through one of these, if the program has names."""
    panic = fault.runs("rust_panic", "__rust_start_panic", "std::panicking::rust_panic")
    if not panic:
        return None
    evidence = [f"{panic} is on the stack"]
    names = iter(fault.names)
    next(name for name in names if name.startswith(("core::panicking::", "rust_begin_unwind", "std::panicking::begin")))
    outside = next((name for name in names if not name.startswith(("core::", "std::", "rust_"))), None)
    if outside:
        evidence.append("panicked in " + _RUST_HASH.sub("", outside))
    return "rust-panic", "A Rust panic", evidence + _rust_location()


def _rust_location():
    """The place in the source, if the standard library has debug information: the argument of its panic handler."""
    frame = gdb.newest_frame()
    while frame is not None and frame.name() != "std::panicking::begin_panic_handler":
        frame = frame.older()
    try:
        place = frame.read_var("info")["location"]
        file = place["file"]["data_ptr"].string(length=min(int(place["file"]["length"]), LONGEST_NAME))
        return [f"at {file}:{int(place['line'])}"]
    except (AttributeError, ValueError, gdb.error):
        return []


def aborted(fault):
    """What glibc says before it aborts is kept in __abort_msg (glibc, sysdeps/posix/libc_fatal.c, assert/assert.c)."""
    if fault.signal != 6:
        return None
    message = _abort_message(fault.core.byte_order)
    if message is None:
        return "abort", "The program called abort()", ["no message of the C library is in the core"]
    evidence = [f"__abort_msg: {message}"]
    if "stack smashing detected" in message:
        return "stack-smashing", "A buffer on the stack was overrun", evidence
    if "buffer overflow detected" in message:
        return "buffer-overflow", "A string function would have overrun its buffer", evidence
    if "Assertion" in message:
        expression = _EXPRESSION.search(message)
        return "assertion", message, evidence, expression and expression[1]
    if _HEAP_MESSAGE.match(message) or fault.runs("malloc_printerr"):
        return "heap-corruption", f"The heap is corrupted: {message}", evidence
    return "abort", f"The program aborted: {message}", evidence


def _abort_message(byte_order):
    try:
        pointer = int(gdb.parse_and_eval("*(char **) &__abort_msg"))
        if not pointer:
            return None
        memory = gdb.selected_inferior().read_memory
        size = int.from_bytes(memory(pointer, 4).tobytes(), byte_order)
        data = memory(pointer + 4, min(size, 1024) - 4).tobytes()
    except (gdb.error, gdb.MemoryError, ValueError, OverflowError):
        return None
    return data.split(b"\0")[0].decode("utf-8", "replace").strip() or None


def stack_overflow(fault):
    """The fault is at the stack pointer, just below a stack: in its guard page or where it could not grow."""
    if fault.signal not in (7, 11) or fault.stack is None:
        return None
    address = fault.stack if fault.address is None else fault.address
    here = fault.core.at(address)
    if abs(address - fault.stack) > STACK_REACH or (here and here.flags & corefile.PF_W):
        return None
    stack = fault.core.next_to(address, STACK_REACH)
    if stack is not None and not stack.flags & corefile.PF_W:
        stack = fault.core.at(stack.end)
    if stack is None or not stack.flags & corefile.PF_W or stack.path or fault.stack >= stack.end:
        return None
    evidence = [] if fault.address is None else [f"fault address {_hex(fault.address)}"]
    evidence.append(f"stack pointer {_hex(fault.stack)}")
    evidence.append(f"the stack ends at {_hex(stack.start)} and is {stack.end - stack.start >> 10} KiB large")
    often = max(set(fault.names), key=fault.names.count)
    if fault.names.count(often) > MOST_FRAMES // 4 and often:
        evidence.append(f"{often} is {fault.names.count(often)} of the innermost {len(fault.names)} frames")
    return "stack-overflow", "The stack is full", evidence


def bad_call(fault):
    """The program counter is where no code is."""
    if fault.signal not in (4, 7, 11):
        return None
    mapping = fault.core.at(fault.counter)
    if mapping is not None and mapping.flags & corefile.PF_X:
        return None
    evidence = [f"program counter {_hex(fault.counter)}: {fault.where(fault.counter)}"]
    if len(fault.names) > 1 and fault.names[1]:
        evidence.append(f"called from {fault.names[1]}, if the stack is whole")
    if fault.counter < NULL_REGION:
        return "null-call", "A function was called through a null pointer", evidence
    return "bad-call", "A function was called through a bad pointer", evidence


def null_dereference(fault):
    """The lowest pages are never mapped."""
    if fault.signal != 11 or fault.code != SEGV_MAPERR or fault.address is None or fault.address >= NULL_REGION:
        return None
    how = "A null pointer was used"
    if fault.address:
        how = f"A null pointer was used, {fault.address} bytes behind it"
    return "null-dereference", how, _evidence(fault)


def non_canonical(fault):
    """For an address that cannot be, x86 raises another exception and the kernel tells no address."""
    if fault.signal != 11 or fault.code != SI_KERNEL:
        return None
    fault.address = None
    wrong = [name for name, value in fault.registers() if 1 << 47 <= value < (1 << 64) - (1 << 47)]
    if not wrong:
        return None
    return "bad-pointer", f"{wrong[0]} holds a value that is no address", _evidence(fault)


def no_rights(fault):
    """Mapped, but not for this."""
    if fault.signal != 11 or fault.code != SEGV_ACCERR or fault.address is None:
        return None
    mapping = fault.core.at(fault.address)
    if mapping is None or mapping.flags & corefile.PF_W:
        return None
    if mapping.flags & corefile.PF_R:
        return "read-only", "Memory that is read-only was written to", _evidence(fault)
    return "no-access", "Memory without any rights was used, e.g. a guard page", _evidence(fault)


def bad_pointer(fault):
    """All other addresses."""
    if fault.signal != 11 or fault.address is None:
        return None
    return "bad-pointer", f"A pointer to {_hex(fault.address)} was used", _evidence(fault)


def untold(fault):
    """qemu-user writes no siginfo into a core, and so no address: the registers that the instruction uses tell."""
    if fault.signal != 11 or fault.code is not None:
        return None
    for part in _ADDRESS.findall(fault.instruction()):
        for name, value in fault.registers(part):
            if value < NULL_REGION:
                return "null-dereference", f"A null pointer was used, as {name} tells", _evidence(fault)
            if fault.core.at(value) is None:
                return "bad-pointer", f"A pointer to {_hex(value)} was used, as {name} tells", _evidence(fault)
    return None


def bus_error(fault):
    """A mapped file has no such page (any more), or a misaligned access."""
    if fault.signal != 7:
        return None
    if fault.code != BUS_ADRERR:
        return "bus-error", "A bus error: misaligned, or broken hardware", _evidence(fault)
    mapping = fault.core.at(fault.address)
    name = mapping.path if mapping and mapping.path else "the mapped file"
    sentence = f"{name} is shorter than its mapping: it was truncated, or could not be read"
    return "truncated-mapping", sentence, _evidence(fault)


def arithmetic(fault):
    """x86 tells a division by zero and an overflowing quotient apart by nothing; the divisor does."""
    if fault.signal != 8:
        return None
    if fault.code in (FPE_INTDIV, FPE_INTOVF):
        return "division-by-zero", "An integer was divided by zero, or the quotient did not fit", _evidence(fault)
    what = _FLOATING.get(fault.code, "an operation that failed")
    return "floating-point", f"A floating-point operation trapped: {what}", _evidence(fault)


def trap(fault):
    """Compilers put ud2 (brk, udf) where execution must never come."""
    if fault.signal not in (4, 5):
        return None
    if fault.signal == 5 or fault.instruction().split()[:1] in [[name] for name in _TRAPS]:
        return "trap", "A trap that the compiler or the program put there", _evidence(fault)
    return "illegal-instruction", "The processor does not know the instruction", _evidence(fault)


def filtered(fault):
    """seccomp(2) refused a system call, whose number Linux and gdb keep in these registers."""
    if fault.signal != 31:
        return None
    number = next(filter(None, map(fault.register, ("orig_rax", "orig_eax", "x8"))), None)
    called = "A system call" if number is None else f"System call {number}"
    return "bad-system-call", f"{called} was refused by a filter (seccomp)", _evidence(fault)


KINDS = (
    sent, pure_virtual, library_check, exception, rust_panic, aborted, stack_overflow, bad_call,
    null_dereference, non_canonical, no_rights, untold, bus_error, bad_pointer, arithmetic, trap, filtered,
)  # fmt: skip


def explain():
    """Kind, sentence and evidence as a dictionary; of the selected thread, which must have crashed."""
    try:
        return _explain()
    except Exception as error:  # noqa: BLE001 - a core may hold anything, and all else must be told nevertheless
        return {"kind": "unknown", "sentence": f"The cause could not be found: {error}", "evidence": []}


def _explain():
    fault = Fault()
    if fault.signal is None:
        return {"kind": "no-signal", "sentence": "The core has no signal: it is a snapshot", "evidence": []}
    found = next(filter(None, (look(fault) for look in KINDS)), None)
    kind, sentence, evidence, *detail = found or ("other", f"Signal {fault.signal}", _evidence(fault))
    return {"kind": kind, "sentence": sentence, "evidence": evidence, "detail": detail[0] if detail else None}
