"""An endless recursion, told from the memory of its stack."""

import struct

from corebox.gdbside.frames.cycles import Call, Stack, more_cycles, moved, size_of_cycle
from tests.unit.gdbside.standin import WRITE, Memory, core

BASE, FRAME = 0x10000, 0x40
MADE = core((BASE, BASE + 0x10000, WRITE))


def stack(times: int, addresses: tuple[int, ...]) -> tuple[list[Call], Stack]:
    """Frames of equal size whose return addresses alternate, and the memory that they leave."""
    data = bytearray(0x10000)
    for index in range(times * len(addresses)):
        struct.pack_into("<Q", data, index * FRAME + FRAME - 8, addresses[(index + 1) % len(addresses)])
    calls = [Call(BASE + index * FRAME, addresses[index % len(addresses)]) for index in range(times * len(addresses))]
    memory = Memory({BASE: bytes(data)})

    def read(address: int, size: int) -> bytes:
        return memory.read(address, size) or b""

    return calls, Stack(MADE, read)


def test_one_function_that_calls_itself() -> None:
    calls, memory = stack(100, (0x400100,))
    assert size_of_cycle(calls[:5], 1) == FRAME
    assert more_cycles(calls[:5], 1, FRAME, memory) == 96


def test_two_that_call_each_other() -> None:
    calls, memory = stack(50, (0x400100, 0x400200))
    assert size_of_cycle(calls[:9], 1) == 0
    assert size_of_cycle(calls[:9], 2) == 2 * FRAME
    assert more_cycles(calls[:9], 2, 2 * FRAME, memory) == 46


def test_frames_of_other_sizes_are_no_cycle() -> None:
    calls, _ = stack(10, (0x400100,))
    calls[3] = Call(calls[3].stack + 8, calls[3].counter)
    assert size_of_cycle(calls[:5], 1) == 0


def test_without_return_addresses_in_memory_it_is_not_known_how_often() -> None:
    calls, memory = stack(10, (0x400100,))
    silent = memory._replace(read=lambda _, size: bytes(size))
    assert more_cycles(calls[:5], 1, FRAME, silent) == 0


def test_registers_move_with_the_stack_or_stay() -> None:
    assert moved(5, 5, FRAME, 10) == 5
    assert moved(BASE, BASE + FRAME, FRAME, 10) == BASE + 11 * FRAME
    assert moved(1, 3, FRAME, 10) is None
