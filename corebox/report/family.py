"""What a crash is known by, in two levels: its family and its signature."""

import re
from typing import Any, NamedTuple

_MAX_DETAIL_LENGTH = 120
#: Kinds that one bug may have, depending on what happened to be at the address.
_ALIKE = {"no-access": "bad-pointer", "misaligned": "bad-pointer", "null-call": "bad-call"}
#: Kinds whose detail tells two bugs of one function apart, and is the same in every crash of each: not what was said.
_TELLING = ("sanitizer", "assertion", "uncaught-exception")
#: A function without a name: a program's own way to give up cannot be told from one that gives up.
_NAMELESS = re.compile(r".+\+0x[0-9a-f]+")


class Signature(NamedTuple):
    """What a crash is known by.

    Attributes:
        signal: name of the signal that the program failed with; None for a snapshot.
        kind: see ``Why.kind``; "unknown" if there is none.
        detail: what the program said, e.g. the exception's type.
        functions: the program's own, from the fault outwards; of an endless recursion the ones that recur come first,
            sorted. If there are none, the module and the nearest function of it.
        recursion: how many of ``functions`` recur.
        own: whether ``functions`` are the program's own.
    """

    signal: str | None
    kind: str
    detail: str | None
    functions: tuple[str, ...]
    recursion: int = 0
    own: bool = True

    @property
    def family(self) -> str:
        """``null-dereference in copy_order``."""
        kind = _ALIKE.get(self.kind, self.kind)
        if self.detail and (self.kind in _TELLING or not self.own):
            kind = f"{kind}({self.detail[:_MAX_DETAIL_LENGTH]})"
        if self.recursion:
            return f"{kind} in recursion of {self.functions[0]}"
        depth = 2 if self.kind == "abort" and _NAMELESS.fullmatch(self.functions[0]) else 1
        return f"{kind} in {' < '.join(self.functions[:depth])}"

    @property
    def text(self) -> str:
        """``SIGABRT assertion(order) in copy_order < main``."""
        kind = f"{self.kind}({self.detail[:_MAX_DETAIL_LENGTH]})" if self.detail else self.kind
        recurring = ", ".join(self.functions[: self.recursion])
        names = [f"recursion of {recurring}"] if recurring else []
        return f"{self.signal or 'no-signal'} {kind} in {' < '.join([*names, *self.functions[self.recursion :]])}"

    def to_json(self) -> dict[str, Any]:
        """The ``signature_parts`` object of ``schema/report-1.schema.json``."""
        return {**self._asdict(), "functions": list(self.functions)}
