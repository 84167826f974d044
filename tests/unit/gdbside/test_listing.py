"""Instructions before and after an address, where they have no fixed size."""

import pytest

from corebox.gdbside.editors.listing import MAX_COUNT, Instruction, listing

START, SIZES = 0x1000, (1, 3, 2, 5, 4, 1, 7, 2) * 40


class Sized:
    """Code whose instructions have these sizes; a reader that begins amid one falls into step at its end."""

    def __init__(self, functions: bool = True, end: int | None = None) -> None:
        self.starts = [START]
        for size in SIZES:
            self.starts.append(self.starts[-1] + size)
        self.functions, self.end = functions, self.starts[-1] if end is None else end

    def at(self, address: int) -> Instruction | None:
        if not START <= address < self.end:
            return None
        end = next(each for each in self.starts if each > address)
        return Instruction(address, end - address, f"i{address:x}") if end <= self.end else None

    def from_address(self, start: int, count: int) -> list[Instruction]:
        found: list[Instruction] = []
        while len(found) < count and (each := self.at(start)):
            found.append(each)
            start += each.size
        return found

    def between(self, start: int, last: int) -> list[Instruction]:
        found: list[Instruction] = []
        while start <= last:
            each = self.at(start)
            if each is None:
                return []
            found.append(each)
            start += each.size
        return found

    def start_of_function(self, address: int) -> int | None:
        return START if self.functions and START <= address < self.end else None


@pytest.mark.parametrize("functions", [True, False], ids=["with symbols", "without"])
@pytest.mark.parametrize(("skip", "count"), [(-5, 5), (-20, 30), (0, 4), (3, 4), (-5, 2), (2, 0)])
def test_those_that_were_asked_for(functions: bool, skip: int, count: int) -> None:
    code = Sized(functions)
    found = listing(code, code.starts[200], skip, count)
    assert [each.address for each in found] == code.starts[200 + skip : 200 + skip + count]


def test_what_is_before_memory_begins_cannot_be_read() -> None:
    found = listing(Sized(), START, -3, 4)
    assert [(each.address, each.size, each.text) for each in found[:3]] == [
        (START - 3, 0, "??"),
        (START - 2, 0, "??"),
        (START - 1, 0, "??"),
    ]
    assert found[3].address == START


def test_what_is_behind_its_end_cannot_be_read() -> None:
    code = Sized()
    found = listing(code, code.starts[-3], 0, 4)
    assert [each.size for each in found] == [*SIZES[-2:], 0, 0]


def test_near_the_start_of_memory_without_symbols() -> None:
    code = Sized(functions=False)
    assert [each.address for each in listing(code, code.starts[2], -2, 3)][-1] == code.starts[2]


@pytest.mark.parametrize(("skip", "count"), [(0, MAX_COUNT + 1), (-MAX_COUNT - 1, 1)])
def test_too_many_are_refused(skip: int, count: int) -> None:
    with pytest.raises(ValueError, match="at most 20,000 instructions"):
        listing(Sized(), START, skip, count)
