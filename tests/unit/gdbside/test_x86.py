"""What a call before a return address is of: the proof that a frame was called by the one behind it."""

import pytest

from corebox.gdbside.frames import x86

FUNCTION, CALLER, PLT, GOT = 0x5000, 0x1000, 0x2000, 0x3000


class Memory:
    """Code and words at addresses."""

    def __init__(self, code: dict[int, bytes], words: dict[int, int]) -> None:
        self._code, self._words = code, words

    def code(self, address: int, size: int) -> bytes:
        """The bytes there, fewer where there are no more."""
        for start, data in self._code.items():
            if start <= address < start + len(data):
                return data[address - start :][:size]
        return b""

    def word(self, address: int) -> int | None:
        """The word there."""
        return self._words.get(address)


def relative(target: int, after: int) -> bytes:
    """The displacement of an instruction that ends at ``after``."""
    return (target - after).to_bytes(4, "little", signed=True)


DIRECT = b"\x90\x90\xe8" + relative(FUNCTION, CALLER + 7)
BY_PLT = b"\x90\x90\xe8" + relative(PLT, CALLER + 7)
BY_WORD = b"\x90\xff\x15" + relative(GOT, CALLER + 7)
BY_REGISTER = b"\x90\x90\x90\x90\x90\xff\xd0"
JUMP = b"\xff\x25" + relative(GOT, PLT + 6)
ENTRIES = {
    "plain": JUMP,
    "with IBT": b"\xf3\x0f\x1e\xfa" + b"\xff\x25" + relative(GOT, PLT + 10),
    "with MPX": b"\xf3\x0f\x1e\xfa\xf2" + b"\xff\x25" + relative(GOT, PLT + 11),
}


@pytest.mark.parametrize(
    ("code", "target"), [(DIRECT, FUNCTION), (BY_WORD, FUNCTION), (BY_REGISTER, None), (b"\xe8", None)]
)
def test_a_call_names_its_function(code: bytes, target: int | None) -> None:
    assert x86.called(Memory({CALLER: code}, {GOT: FUNCTION}), CALLER + 7) == target


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
def test_an_entry_of_a_plt_leads_to_its_function(entry: bytes) -> None:
    memory = Memory({CALLER: BY_PLT, PLT: entry.ljust(16, b"\x90")}, {GOT: FUNCTION})
    assert x86.called(memory, CALLER + 7) == FUNCTION


def test_an_entry_whose_word_is_not_in_the_core_leads_nowhere() -> None:
    memory = Memory({CALLER: BY_PLT, PLT: JUMP.ljust(16, b"\x90")}, {})
    assert x86.called(memory, CALLER + 7) is None


def test_on_32_bits_words_are_named_by_their_address() -> None:
    by_word, plt = b"\xff\x15" + GOT.to_bytes(4, "little"), b"\xff\x25" + GOT.to_bytes(4, "little")
    direct = b"\xe8" + relative(PLT, CALLER + 7)
    memory = Memory({CALLER: b"\x90" + by_word, PLT: plt.ljust(16, b"\x90")}, {GOT: FUNCTION})
    assert x86.called(memory, CALLER + 7, 4) == FUNCTION
    assert x86.called(
        Memory({CALLER: b"\x90\x90" + direct, PLT: plt.ljust(16, b"\x90")}, {GOT: FUNCTION}), CALLER + 7, 4
    )
    by_register = b"\xff\xa3\x0c\0\0\0".ljust(16, b"\x90")  # jmp *0xc(%ebx)
    assert x86.called(Memory({CALLER: b"\x90\x90" + direct, PLT: by_register}, {}), CALLER + 7, 4) is None


def test_on_32_bits_the_stack_moves_by_smaller_words() -> None:
    made = [(b"\x55", "push %ebp"), (b"\x89\xe5", "mov %esp,%ebp")]
    assert x86.pushed(made, 4) == x86.Pushed(None, None, framed=True)
    kept = [(b"\x53", "push %ebx"), (b"\x83\xec\x18", "sub $0x18,%esp"), (b"\x41", "inc %ecx")]
    assert x86.pushed(kept, 4) == x86.Pushed(28)
    assert x86.pushed([(b"\x81\xc4\x10\0\0\0", "add $0x10,%esp")], 4) == x86.Pushed(None)


def test_a_function_that_only_jumps_leads_to_the_next_one() -> None:
    last = 0x7000
    jumps = {FUNCTION: b"\xf3\x0f\x1e\xfa\xe9" + relative(0x6000, FUNCTION + 9)}
    memory = Memory({**jumps, 0x6000: b"\xe9" + relative(last, 0x6005) + bytes(4), last: b"\x55" + bytes(8)}, {})
    assert x86.jumped_to(memory, FUNCTION) == last
    assert x86.jumped_to(memory, last) == last


def test_functions_that_jump_to_each_other_are_followed_to_an_end() -> None:
    memory = Memory({FUNCTION: b"\xe9" + relative(FUNCTION, FUNCTION + 5) + bytes(4)}, {})
    assert x86.jumped_to(memory, FUNCTION) == FUNCTION


@pytest.mark.parametrize(
    ("helper", "sets"),
    [
        (b"\x90" * 20 + b"\x41\x5f\x55\x48\x89\xe5", True),  # pop %r15; push %rbp; mov %rsp,%rbp
        (b"\x55\x48\x89\xe5", False),  # of its own frame
        (b"\x90" * 80 + b"\x41\x5f\x55\x48\x89\xe5", False),
    ],
)
def test_a_function_may_make_the_frame_pointer_of_its_caller(helper: bytes, sets: bool) -> None:
    memory = Memory({CALLER: DIRECT, FUNCTION: helper}, {})
    assert x86.sets_base(memory, CALLER, DIRECT) is sets
    assert x86.sets_base(memory, CALLER, BY_REGISTER + b"\x48\x8d\xac\x24")
