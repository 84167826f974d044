"""How much of what the sandbox answers is parsed: a small text of JSON can become very large values.

``[[],[],...]`` takes 20 bytes of memory for each of its own, 16 MiB of it thus 320 MB. So what makes values is counted
before anything is parsed: each value but the first of a list or object has a comma before it, each of these a bracket.
"""

import json
from collections.abc import Callable
from typing import Any

#: Bytes that gdb may write for one report or list; 1,024 threads with 30 frames each, at 700 bytes a frame, are less.
MAX_ANSWER = 24 << 20
MAX_VALUES = 750_000
#: The same as in corebox/gdbside/answers/report.py, twice, for those that forge are not the only ones to say "pc".
MAX_FRAMES = 2 << 15


class Budget:
    """What may be parsed of all answers to one question together."""

    def __init__(self, size: int = MAX_ANSWER, values: int = MAX_VALUES, frames: int = MAX_FRAMES) -> None:
        self._size, self._values, self._frames = size, values, frames

    def loads(self, text: bytes, change: Callable[[dict[str, Any]], Any] | None = None) -> Any:
        """The value of a JSON text, each of its objects replaced by what ``change`` makes of it.

        Raises:
            ValueError: for what is not JSON, nested too deeply, or more than is left of the budget.
        """
        self._size -= len(text)
        self._values -= sum(text.count(sign) for sign in (b",", b"[", b"{"))
        self._frames -= text.count(b'"pc"')
        if min(self._size, self._values, self._frames) < 0:
            raise ValueError("more than is parsed of hostile data")
        try:
            return json.loads(text, object_hook=change, parse_constant=_refuse)
        except RecursionError as error:
            raise ValueError("nested too deeply") from error


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")
