"""Where the calls at the top of a stack repeat, and how often they do.

Each cycle has the same return addresses at the same distances. So the stack's memory tells how often they repeat: the
same addresses stand there, one cycle's size apart.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from corebox.gdbside.memory.mapped import MappedCore

#: The longest cycle of calls that is found, and how often it must be seen.
MAX_CYCLE_LENGTH, FEWEST_SEEN = 8, 4
MAX_MEMORY = 256 << 20  # bytes of a stack


class Call(NamedTuple):
    """A frame: its stack pointer and its program counter."""

    stack: int
    counter: int


class Stack(NamedTuple):
    """The memory of a stack: ``read`` gives bytes at an address, and raises what it will."""

    core: MappedCore
    read: Callable[[int, int], bytes]

    @property
    def order(self) -> Literal["little", "big"]:
        """The byte order."""
        return self.core.byte_order


def size_of_cycle(calls: Sequence[Call], cycle: int) -> int:
    """How many bytes of the stack a cycle of so many calls takes; 0 if the calls do not repeat so."""
    size = calls[cycle].stack - calls[0].stack
    pairs = zip(calls, calls[cycle:], strict=False)
    same = all(new.stack - old.stack == size and new.counter == old.counter for old, new in pairs)
    return size if size > 0 and same else 0


def more_cycles(calls: Sequence[Call], cycle: int, size: int, stack: Stack) -> int:
    """How many whole cycles follow the last call: as often as each return address stands where it must."""
    word, start = stack.core.word, calls[0].stack
    slots = []
    for call, caller in itertools.pairwise(calls[: cycle + 1]):
        wanted = caller.counter.to_bytes(word, stack.order)
        window = stack.read(call.stack, caller.stack - call.stack)
        places = [at for at in range(0, len(window), word) if window[at : at + word] == wanted]
        if not places:
            return 0
        slots.append((call.stack + places[-1] - start, wanted))
    data, times = _from(start, stack), 0
    while all(data[at + times * size : at + times * size + word] == wanted for at, wanted in slots):
        times += 1
    return times - (len(calls) - 1) // cycle


def _from(start: int, stack: Stack) -> bytes:
    """The memory from an address on, as far as the core has it."""
    mapping = stack.core.at(start)
    size = min(mapping.end - start, MAX_MEMORY) if mapping else 0
    return stack.read(start, size) if size else b""


def moved(old: int, new: int, size: int, times: int) -> int | None:
    """A register so many cycles further out: what stayed the same stays, what moved with the stack moves."""
    return new + (new - old) * times if new - old in (0, size) else None
