"""What instructions do to the stack."""

import pytest

from corebox.gdbside.frames import x86
from corebox.gdbside.frames.x86 import Pushed

PUSH_R15, PUSH_RBX, POP_RBX = (b"\x41\x57", "push %r15"), (b"\x53", "push %rbx"), (b"\x5b", "pop %rbx")
PUSH_RBP, MAKE_FRAME = (b"\x55", "push %rbp"), (b"\x48\x89\xe5", "mov %rsp,%rbp")
SUB, ADD = (b"\x48\x83\xec\x18", "sub $0x18,%rsp"), (b"\x48\x83\xc4\x18", "add $0x18,%rsp")
PUSH_MEMORY, PUSH_NUMBER = (b"\xff\x34\x24", "push (%rsp)"), (b"\x6a\x00", "push $0x0")
ALIGN, RETURN, NOTHING = (b"\x48\x83\xe4\xc0", "and $0xffffffffffffffc0,%rsp"), (b"\xc3", "ret"), (b"\x90", "nop")


@pytest.mark.parametrize(
    ("instructions", "pushed"),
    [
        ([], Pushed(0)),
        ([PUSH_R15, PUSH_RBP, PUSH_RBX, SUB], Pushed(48, 32)),
        ([PUSH_RBP, NOTHING, MAKE_FRAME], Pushed(None, framed=True)),  # rbp is the frame pointer
        ([PUSH_RBP, PUSH_RBX, SUB, MAKE_FRAME], Pushed(40, 32)),  # rbp is any pointer
        ([PUSH_MEMORY, PUSH_NUMBER], Pushed(16)),
        ([PUSH_RBX, SUB, ADD, POP_RBX, RETURN, NOTHING], Pushed(32)),  # an early return
        ([PUSH_RBX, ALIGN], Pushed(None)),
        ([POP_RBX], Pushed(None)),
    ],
)
def test_what_a_function_has_pushed(instructions: list[tuple[bytes, str]], pushed: Pushed) -> None:
    assert x86.pushed(instructions) == pushed


@pytest.mark.parametrize(
    ("code", "call"),
    [
        (b"\x90\x90\xe8\x01\x02\x03\x04", True),
        (b"\xff\x14\x25\x40\x06\x00\x00", True),  # call *0x640
        (b"\x90\x90\x90\x90\x90\xff\xd7", True),  # call *%rdi
        (b"\x90\x90\x90\x90\x90\xff\xe7", False),  # jmp *%rdi
        (b"\x90" * 7, False),
        (b"", False),
    ],
)
def test_calls(code: bytes, call: bool) -> None:
    assert x86.is_call(code) == call
