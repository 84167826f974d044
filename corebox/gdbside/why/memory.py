"""Faults of memory: stack overflow, calls and returns to no code, invalid pointers, lost pages."""

import re
from collections.abc import Iterator

from corebox.gdbside.memory.mapped import PF_R, PF_W, Mapped
from corebox.gdbside.why import pointers
from corebox.gdbside.why.facts import (
    MAX_FRAMES,
    NULL_REGION,
    SEGV_ACCERR,
    SEGV_MAPERR,
    SI_KERNEL,
    SIGBUS,
    SIGILL,
    SIGSEGV,
    Cause,
    Fault,
    hexadecimal,
)

_BUS_ADRERR = 2
# gcc probes a large frame page by page; without probes a frame may reach this far below the stack.
STACK_REACH = 1 << 20
# A frame of a signal handler, with the widest registers of x86 (8 KiB of AMX tiles).
_SIGNAL_FRAME = 16 << 10
# An operand in memory, as assemblers write it: 8(%rdi,%rax,4), 0(r10), [x0, #8].
_OPERAND = re.compile(
    r"(?P<offset>-?(?:0x[0-9a-f]+|\d+))?\((?P<base>%?\w+)(?:,(?P<index>%?\w+)(?:,(?P<scale>[1248]))?)?\)"
)
_BRACKETS = re.compile(r"\[(?P<base>\w+)(?:, ?#?(?P<offset>-?(?:0x[0-9a-f]+|\d+)))?")
_RETURN = re.compile(r"(repz?|bnd)?\s*(ret|retq|bx\s+lr|jr\s+ra)\b")
_MAX_CALL_LENGTH = 7  # bytes of a call instruction on x86


def evidence(fault: Fault, address: bool = True) -> list[str]:
    """What is true of every fault at an instruction, and of what its registers point to."""
    asm = fault.instruction()
    lines = [f"instruction at {hexadecimal(fault.counter)}: {asm}"] if asm else []
    memory = pointers.Memory(fault)
    lines += [f"{name} = {hexadecimal(value)}{memory.of_register(value)}" for name, value in fault.registers()]
    if address and fault.address is not None:
        lines.append(f"fault address {hexadecimal(fault.address)}: {memory.where(fault.address)}")
    return lines + memory.freed_registers()


def stack_overflow(fault: Fault) -> Cause | None:
    """The fault is at the stack pointer, just below a stack: in its guard page or where it could not grow."""
    if fault.signal not in (SIGBUS, SIGSEGV) or fault.stack is None:
        return None
    if fault.code == SI_KERNEL:
        return _no_room_for_handler(fault)
    address = fault.stack if fault.address is None else fault.address
    here = fault.core.at(address)
    if abs(address - fault.stack) > STACK_REACH or (here and here.flags & PF_W):
        return None
    stack = fault.core.next_to(address, STACK_REACH)
    if stack is not None and not stack.flags & PF_W:
        stack = fault.core.at(stack.end)
    if stack is None or not stack.flags & PF_W or stack.path or fault.stack >= stack.end:
        return None
    lines = [] if fault.address is None else [f"fault address {hexadecimal(fault.address)}"]
    lines.append(f"stack pointer {hexadecimal(fault.stack)}")
    return Cause("stack-overflow", "Stack overflow", lines + _full(fault, stack))


def _full(fault: Fault, stack: Mapped) -> list[str]:
    lines = [f"the stack ends at {hexadecimal(stack.start)} and is {stack.end - stack.start >> 10} KiB large"]
    often = max(set(fault.names), key=fault.names.count)
    if fault.names.count(often) > MAX_FRAMES // 4 and often:
        lines.append(f"{often} is {fault.names.count(often)} of the innermost {len(fault.names)} frames")
    return lines


def _no_room_for_handler(fault: Fault) -> Cause | None:
    """The kernel could not put a frame for the signal handler on the full stack, and ended the process without it."""
    if fault.stack is None:
        return None
    stack = fault.core.at(fault.stack)
    if stack is None or not stack.flags & PF_W:
        stack = fault.core.next_to(fault.stack, STACK_REACH)
    if stack is None or stack.path or not stack.flags & PF_W or fault.stack - stack.start > _SIGNAL_FRAME:
        return None
    below = fault.core.at(stack.start - 1)
    if below is not None and below.flags & PF_W:
        return None
    lines = [f"stack pointer {hexadecimal(fault.stack)}: no room for the frame of a signal handler"]
    return Cause("stack-overflow", "Stack overflow", lines + _full(fault, stack))


def smashed_return(fault: Fault) -> Cause | None:
    """A return to an address that cannot be: the instruction faults itself, or has already gone there."""
    if fault.signal not in (SIGILL, SIGBUS, SIGSEGV) or fault.stack is None:
        return None
    if _RETURN.match(fault.instruction()):
        target = fault.word(fault.stack)
        if target is None or fault.executable(target):
            return None
    elif not fault.executable(fault.counter) and fault.counter >= NULL_REGION:
        # A call would have left its own return address where the stack pointer is; a return has just left its target.
        target = fault.word(fault.stack - fault.core.word)
        if target != fault.counter or _called_from(fault) is not None:
            return None
    else:
        return None
    if target is None:
        return None
    lines = [f"return address {hexadecimal(target)}{_as_text(target, fault)}: {pointers.Memory(fault).where(target)}"]
    return Cause("smashed-return", "Return to an invalid address: the stack was overwritten", lines)


def _as_text(value: int, fault: Fault) -> str:
    """The bytes of a value that reads as text: what overwrote it."""
    data = value.to_bytes(fault.core.word, fault.core.byte_order).rstrip(b"\0")
    return f' (the text "{data.decode()}")' if len(data) > 2 and data.isascii() and data.decode().isprintable() else ""


def _called_from(fault: Fault) -> int | None:
    """The return address on top of the stack, if there is one with a call before it."""
    target = None if fault.stack is None else fault.word(fault.stack)
    if target is None or not fault.executable(target):
        return None
    if "86" not in fault.machine:
        return target
    code = fault.read(target - _MAX_CALL_LENGTH, _MAX_CALL_LENGTH)
    return target if code is None or code[2] == 0xE8 or 0xFF in code else None


def bad_call(fault: Fault) -> Cause | None:
    """The program counter is where no code is."""
    if fault.signal not in (SIGILL, SIGBUS, SIGSEGV) or fault.executable(fault.counter):
        return None
    lines = [f"program counter {hexadecimal(fault.counter)}: {pointers.Memory(fault).where(fault.counter)}"]
    if len(fault.names) > 1 and fault.names[1]:
        lines.append(f"called from {fault.names[1]}, unless the stack is damaged")
    if fault.counter == 0:
        return Cause("null-call", "Call through a null function pointer", lines)
    sentence = f"Call of an invalid address: {hexadecimal(fault.counter)}"
    return Cause("bad-call", sentence, lines)


def null_dereference(fault: Fault) -> Cause | None:
    """The lowest pages are never mapped."""
    if fault.signal != SIGSEGV or fault.code != SEGV_MAPERR or fault.address is None or fault.address >= NULL_REGION:
        return None
    return Cause("null-dereference", null(fault.address), evidence(fault))


def null(offset: int) -> str:
    """The sentence."""
    return f"Null pointer dereference (offset {offset})" if offset else "Null pointer dereference"


def non_canonical(fault: Fault) -> Cause | None:
    """For an address that cannot be, x86 raises another exception and the kernel tells no address."""
    if fault.signal != SIGSEGV or fault.code != SI_KERNEL:
        return None
    fault.address = None
    wrong = [(name, value) for name, value in fault.registers() if 1 << 47 <= value < (1 << 64) - (1 << 47)]
    if wrong:
        name, value = wrong[0]
        sentence = f"Access through an invalid pointer: {name} is not a canonical address{_as_text(value, fault)}"
        return Cause("bad-pointer", sentence, evidence(fault))
    if re.search(r"\bv?mov(ap[sd]|dqa)|xmm|ymm", fault.instruction()):
        return Cause("misaligned", "Misaligned access by an instruction that needs alignment", evidence(fault))
    return Cause("bad-pointer", "Access through an invalid pointer, or a privileged instruction", evidence(fault))


def no_rights(fault: Fault) -> Cause | None:
    """Mapped, but not for this."""
    if fault.signal != SIGSEGV or fault.code != SEGV_ACCERR or fault.address is None:
        return None
    mapping = fault.core.at(fault.address)
    if mapping is None or mapping.flags & PF_W:
        return None
    if mapping.flags & PF_R:
        return Cause("read-only", "Write to read-only memory", evidence(fault))
    sentence = "Access to memory with no permissions (PROT_NONE), such as a guard page"
    return Cause("no-access", sentence, evidence(fault))


def bad_pointer(fault: Fault) -> Cause | None:
    """All other addresses."""
    if fault.signal != SIGSEGV or fault.address is None:
        return None
    sentence = f"Access through an invalid pointer: {hexadecimal(fault.address)}"
    return Cause("bad-pointer", sentence, evidence(fault))


def unexplained(fault: Fault) -> Cause | None:
    """Without an address (qemu-user writes none, and a handler may send the signal again) the instruction tells it."""
    if fault.signal != SIGSEGV or fault.code is not None:
        return None
    for address in _addresses(fault):
        if address < NULL_REGION:
            return Cause("null-dereference", null(address), evidence(fault))
        mapping = fault.core.at(address)
        if mapping is None:
            sentence = f"Access through an invalid pointer: {hexadecimal(address)}"
            return Cause("bad-pointer", sentence, evidence(fault))
        if not mapping.flags & PF_W:
            return Cause("read-only", "Write to read-only memory", evidence(fault))
    return None


def _addresses(fault: Fault) -> Iterator[int]:
    """The addresses that the instruction uses: base, index and displacement as assemblers write them."""
    asm = fault.instruction()
    for found in (*_OPERAND.finditer(asm), *_BRACKETS.finditer(asm)):
        parts = found.groupdict()
        base = dict(fault.registers(parts["base"]))
        index = dict(fault.registers(parts.get("index") or ""))
        if base:
            offset = int(parts["offset"] or "0", 0) + sum(index.values()) * int(parts.get("scale") or 1)
            yield (next(iter(base.values())) + offset) & fault.mask


def bus_error(fault: Fault) -> Cause | None:
    """A mapped file has no such page (any more), or a misaligned access."""
    if fault.signal != SIGBUS:
        return None
    if fault.code != _BUS_ADRERR:
        return Cause("bus-error", "Bus error: misaligned access or a hardware memory error", evidence(fault))
    mapping = None if fault.address is None else fault.core.at(fault.address)
    name = mapping.path if mapping and mapping.path else "the mapped file"
    sentence = f"Bus error: {name} is shorter than its mapping (truncated after mmap), or could not be read"
    return Cause("truncated-mapping", sentence, evidence(fault))


#: Of the stack and of the program counter.
FLOW = (stack_overflow, smashed_return, bad_call)
KINDS = (null_dereference, non_canonical, no_rights, unexplained, bus_error, bad_pointer)
