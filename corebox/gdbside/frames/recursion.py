"""The way over an endless recursion, whose frames gdb would need minutes to unwind one by one.

Where the calls at the top of a stack repeat, each cycle with the same return addresses at the same distances, the
stack's memory tells how often they do: the same addresses stand there, one cycle's size apart. gdb is then told, by an
unwinder for that one frame, that its caller is the one so many cycles further out, and unwinds the rest as ever.
"""

import gdb
import gdb.unwinder

from corebox.gdbside.memory import mapped

#: The longest cycle of calls that is found, how often it must be seen, and what is left of it for gdb to unwind.
LONGEST_CYCLE, FEWEST_SEEN, LEFT = 8, 4, 2
MOST_MEMORY = 256 << 20  # bytes of a stack


class Jump(gdb.unwinder.Unwinder):
    """Says that the caller of the frame with this stack pointer and program counter is one far out.

    Attributes:
        skipped: how many frames lie between.
        names: the functions of a cycle.
    """

    def __init__(self, frame, registers, skipped, names):
        super().__init__("corebox-recursion")
        self._at, self._registers = (_sp(frame), frame.pc()), registers
        self.skipped, self.names = skipped, names

    def __call__(self, pending):
        """What gdb asks of every frame."""
        here = int(pending.read_register("sp")), int(pending.read_register("pc"))
        if here != self._at:
            return None
        info = pending.create_unwind_info(gdb.unwinder.FrameId(*here))
        for name, value in self._registers:
            info.add_saved_register(name, value)
        return info

    def __enter__(self):
        gdb.unwinder.register_unwinder(None, self, replace=True)
        gdb.invalidate_cached_frames()
        return self

    def __exit__(self, *_):
        gdb.frame_unwinders.remove(self)
        gdb.invalidate_cached_frames()


def find(frames):
    """The way over the recursion that the last of ``frames`` (innermost first) is in; None if there is none."""
    try:
        for cycle in range(1, LONGEST_CYCLE + 1):
            found = _over(frames, cycle)
            if found:
                return found
    except (gdb.error, gdb.MemoryError, RuntimeError, OverflowError):
        pass  # then gdb unwinds what it can
    return None


def _over(frames, cycle):
    seen = frames[-FEWEST_SEEN * cycle - 1 :]
    if len(seen) <= FEWEST_SEEN * cycle or any(each.type() != gdb.NORMAL_FRAME for each in seen):
        return None
    stack, counters = [_sp(each) for each in seen], [each.pc() for each in seen]
    size = stack[cycle] - stack[0]
    pairs = range(len(seen) - cycle)
    if size <= 0 or any(stack[i + cycle] - stack[i] != size or counters[i + cycle] != counters[i] for i in pairs):
        return None
    last = len(seen) - 1
    times = _times(seen, stack, counters, cycle, size) - LEFT
    if times <= 0:
        return None
    registers = _registers(seen[last - cycle], seen[last], size, times)
    # The frame before the last is the one whose caller is another: the last moved out by so many cycles.
    return Jump(seen[last - 1], registers, times * cycle, [each.name() for each in seen[-cycle:]])


def _times(seen, stack, counters, cycle, size):
    """How many whole cycles follow the last frame: as often as each return address stands where it must."""
    word = gdb.lookup_type("void").pointer().sizeof
    order = "little" if "little" in gdb.execute("show endian", to_string=True) else "big"
    memory, start = gdb.selected_inferior(), stack[0]
    slots = []
    for index in range(cycle):
        wanted = counters[index + 1].to_bytes(word, order)
        window = memory.read_memory(stack[index], stack[index + 1] - stack[index]).tobytes()
        places = [at for at in range(0, len(window), word) if window[at : at + word] == wanted]
        if not places:
            return 0
        slots.append((stack[index] + places[-1] - start, wanted))
    data, times = _memory_from(memory, start), 0
    while all(data[at + times * size : at + times * size + word] == wanted for at, wanted in slots):
        times += 1
    return times - (len(seen) - 1) // cycle


def _memory_from(memory, start):
    """The memory from an address on, as far as the core has it."""
    mapping = mapped.opened().at(start)
    size = min(mapping.end - start, MOST_MEMORY) if mapping else 0
    return memory.read_memory(start, size).tobytes() if size else b""


def _registers(before, last, size, times):
    """Those of the frame so many cycles further out: what stayed the same stays, what moved with the stack moves."""
    found = []
    for register in last.architecture().registers("general"):
        try:
            old, new = before.read_register(register.name), last.read_register(register.name)
            moved = int(new) - int(old)
        except (gdb.error, ValueError, TypeError):
            continue
        if moved == 0:
            found.append((register.name, new))
        elif moved == size:
            found.append((register.name, gdb.Value(int(new) + size * times).cast(new.type)))
    return found


def _sp(frame):
    return int(frame.read_register("sp"))
