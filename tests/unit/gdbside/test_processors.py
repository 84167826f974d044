"""What is a call on each processor, by instructions as compilers for them make them."""

import pytest

from corebox.gdbside.frames import aarch64
from corebox.gdbside.frames.processors import PROCESSORS

PPC64, S390X, RISCV64 = "powerpc:common64", "s390:64-bit", "riscv:rv64"
CALLS = {
    "aarch64": {"94000010": "bl", "d63f0000": "blr x0", "d63f081f": "blraaz x0"},
    PPC64: {"48000101": "bl", "4e800421": "bctrl", "4e800021": "blrl", "41820011": "beql"},
    S390X: {"0000c0e500000010": "brasl %r14", "000000000de1": "basr %r14,%r1", "0000a7e50010": "bras %r14"},
    RISCV64: {"010000ef": "jal ra", "000780e7": "jalr a5", "9782": "c.jalr a5", "000502e7": "jalr t0,a0"},
}
OTHERS = {
    "aarch64": {"14000010": "b", "d61f0000": "br x0", "d65f03c0": "ret", "54000020": "b.eq"},
    PPC64: {"48000100": "b", "4e800420": "bctr", "4e800020": "blr", "60000000": "nop", "7c0802a7": "a set last bit"},
    S390X: {"0000000007fe": "br %r14", "00000000a7f40010": "j", "000000000de0": "basr %r14,0", "c0f400000010": "jg"},
    RISCV64: {"0100006f": "j", "00078067": "jr a5", "8782": "c.jr a5", "8082": "ret", "9002": "c.ebreak"},
}
PAIRS = [(name, code, True) for name, codes in CALLS.items() for code in codes]
PAIRS += [(name, code, False) for name, codes in OTHERS.items() for code in codes]


@pytest.mark.parametrize(("name", "digits", "call"), PAIRS, ids=str)
def test_a_call_is_told_from_other_instructions(name: str, digits: str, call: bool) -> None:
    processor = PROCESSORS[name]
    code = bytes.fromhex(digits)
    if name != S390X:  # its bytes are in the order that they are written in
        code = code[::-1]
    code = code.rjust(processor.max_call_length, b"\0")[-processor.max_call_length :]
    assert processor.is_call(code) is call


@pytest.mark.parametrize("name", PROCESSORS)
def test_code_that_is_cut_is_no_call(name: str) -> None:
    assert not PROCESSORS[name].is_call(b"")
    assert not PROCESSORS[name].is_call(b"\xff" * (PROCESSORS[name].max_call_length - 1))


@pytest.mark.parametrize(("code", "target"), [(0x94000010, 0x103C), (0x97FFFFFF, 0xFF8), (0xD63F0000, None)])
def test_where_a_call_of_aarch64_leads(code: int, target: int | None) -> None:
    assert aarch64.called(code.to_bytes(4, "little"), 0x1000) == target
    assert aarch64.called(b"", 0x1000) is None
