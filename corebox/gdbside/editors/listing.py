"""Instructions before and after an address.

Where instructions have no fixed size one can only read forwards. So what comes before an address is read from the
start of its function, and where that is not known from some bytes before: a run that ends right at the address.
"""

from typing import NamedTuple, Protocol

MAX_COUNT = 20_000  # instructions of one question
_WIDEST = 16  # bytes of an instruction, of any processor that gdb knows, and a byte more
_UNSURE = 12  # instructions after which a reader who began amid one has fallen into step
_FURTHEST = 1 << 16  # bytes back to the start of a function


class Instruction(NamedTuple):
    """An instruction; one of no bytes could not be read."""

    address: int
    size: int
    text: str


class Code(Protocol):
    """Reads instructions; fewer, or none, where memory cannot be read."""

    def from_address(self, start: int, count: int) -> list[Instruction]:
        """Up to ``count`` instructions from ``start`` on."""

    def between(self, start: int, last: int) -> list[Instruction]:
        """The instructions that begin from ``start`` to ``last``."""

    def start_of_function(self, address: int) -> int | None:
        """Where the function begins that has the byte at ``address``."""


def listing(code: Code, start: int, skip: int, count: int) -> list[Instruction]:
    """``count`` instructions, the first of them ``skip`` instructions from ``start``, which may be before it.

    Raises:
        ValueError: they are too many.
    """
    if max(abs(skip), count) > MAX_COUNT:
        raise ValueError(f"at most {MAX_COUNT:,} instructions at once")
    back, wanted = max(0, -skip), max(0, skip + count)
    before, after = _before(code, start, back), code.from_address(start, wanted) if wanted else []
    first = before[0].address if before else start
    end = after[-1].address + after[-1].size if after else start
    missing = [_unread(first - index) for index in range(back - len(before), 0, -1)]
    after += [_unread(end + index) for index in range(wanted - len(after))]
    skipped = max(0, skip)
    return [*missing, *before, *after][skipped : skipped + max(0, count)]


def _unread(address: int) -> Instruction:
    return Instruction(max(0, address), 0, "??")


def _before(code: Code, start: int, count: int) -> list[Instruction]:
    """Up to ``count`` instructions that end at ``start``; fewer where memory begins."""
    found: list[Instruction] = []
    while len(found) < count:
        end = found[0].address if found else start
        run = _from_function(code, end) or _guessed(code, end, count - len(found))
        if not run:
            break
        found = run + found
    return found[-count:] if count else []


def _from_function(code: Code, end: int) -> list[Instruction]:
    """Instructions from the start of the function before ``end``."""
    start = code.start_of_function(end - 1)
    return _run(code, start, end) if start is not None and end - start <= _FURTHEST else []


def _guessed(code: Code, end: int, count: int) -> list[Instruction]:
    """Instructions from some bytes before ``end``, without the first ones, which may be wrong."""
    distance = (count + _UNSURE) * _WIDEST
    while distance > _WIDEST:
        for nearer in range(_WIDEST):
            run = _run(code, end - distance + nearer, end)
            if run:
                return run[_UNSURE:] if len(run) > _UNSURE else run[-1:]
        distance //= 2  # memory begins between
    return next(filter(None, (_run(code, end - near, end) for near in range(_WIDEST, 0, -1))), [])


def _run(code: Code, start: int, end: int) -> list[Instruction]:
    """The instructions from ``start`` if one ends right at ``end``, else nothing."""
    found = code.between(start, end - 1) if 0 <= start < end else []
    return found if found and found[-1].address + found[-1].size == end else []
