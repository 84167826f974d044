"""The records in what gdb writes: found in hostile output, because code of the customer's ran in the same gdb."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from corebox.debugger.budget import Budget

# The same as in corebox/gdbside/answers/report.py.
_BEGIN, _END = b"\x1ecorebox-answer ", b"\x1e\n"
_MAX_COUNT = 256

#: The name of the last record.
LAST = "end"


class Record(NamedTuple):
    """What a step of a report found, or the error that kept it from finding anything; ``number`` is the step's."""

    number: int
    part: str
    found: Any
    error: str | None


def read_objects(output: bytes, budget: Budget | None = None) -> Iterator[dict[str, Any]]:
    """Each JSON object that our Python wrote; what is not well-formed, or beyond the budget, is passed over."""
    budget, at = budget or Budget(), 0
    for _ in range(_MAX_COUNT):
        begin = output.find(_BEGIN, at)
        end = output.find(_END, begin)
        if begin < 0 or end < 0:
            return
        at = end
        try:
            data = budget.loads(output[begin + len(_BEGIN) : end])
        except ValueError:
            continue
        if isinstance(data, dict) and data.get("version") == 1:
            yield data


def read_records(output: bytes, budget: Budget | None = None) -> Iterator[Record]:
    """The records of a report."""
    for data in read_objects(output, budget):
        number, part, error = data.get("step"), data.get("part"), data.get("error")
        if type(number) is not int or not 0 <= number < _MAX_COUNT or not isinstance(part, str):
            continue
        if error is None or isinstance(error, str):
            yield Record(number, part, data.get("found"), error)
