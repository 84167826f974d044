"""What differs between two crashes."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from corebox.bundle.manifest import ModuleEntry
from corebox.locate.status import ModuleSymbols
from corebox.printable import format_size
from corebox.report import words
from corebox.report.document import PlacedFrame, Report
from corebox.report.stack import entries


class Change(NamedTuple):
    """Something that both crashes have or only one, in words: None where it is not."""

    name: str
    first: str | None
    second: str | None


class Side(NamedTuple):
    """A line of two stacks side by side; None where the other has a function in between."""

    first: str | None
    second: str | None

    @property
    def same(self) -> bool:
        """Whether both have this function here."""
        return self.first == self.second


class Difference(NamedTuple):
    """What differs.

    Attributes:
        names: of the two crashes, as given.
        same_family: whether both have one family.
        same_signature: whether both have one signature.
        facts: cause, signal, system and so on, as far as they differ.
        modules: those that only one has, or that have another build, by path.
        memory: by kind, in bytes mapped and dumped, as far as it differs.
        stack: of the threads that crashed, the innermost call first.
    """

    names: tuple[str, str]
    same_family: bool
    same_signature: bool
    facts: tuple[Change, ...]
    modules: tuple[Change, ...]
    memory: tuple[Change, ...]
    stack: tuple[Side, ...]

    def to_json(self) -> dict[str, Any]:
        """The document of ``schema/diff-1.schema.json``."""
        return {
            "version": 1,
            "subjects": list(self.names),
            "same_family": self.same_family,
            "same_signature": self.same_signature,
            **{name: [each._asdict() for each in getattr(self, name)] for name in ("facts", "modules", "memory")},
            "stack": [{**each._asdict(), "same": each.same} for each in self.stack],
        }


def difference(first: Report, second: Report) -> Difference:
    """What differs between two reports."""
    return Difference(
        (first.name, second.name),
        first.known.family == second.known.family,
        first.signature == second.signature,
        tuple(_changes(_facts(first), _facts(second))),
        tuple(_changes(_modules(first), _modules(second))),
        tuple(_changes(_memory(first), _memory(second))),
        tuple(_sides(_stack(first), _stack(second))),
    )


def _changes(first: Mapping[str, str], second: Mapping[str, str]) -> Iterator[Change]:
    for name in dict.fromkeys([*first, *second]):
        if first.get(name) != second.get(name):
            yield Change(name, first.get(name), second.get(name))


#: What is another in any two crashes, and tells nothing.
_OWN = ("Process", "Time", "Bundle", "Report", "Family", "Signature")


def _facts(report: Report) -> dict[str, str]:
    process = report.manifest.process
    found = {
        "Cause": words.headline(report) if report.answer.why else "unknown",
        "Family": report.known.family,
        "Signature": report.signature,
        "Signal": process.signal_name or "none",
        "Out of memory": words.VERDICTS[report.memory.verdict],
    }
    facts = ((name, value) for name, value in words.facts(report) if name not in _OWN)
    return {**found, **dict(facts)}


def _modules(report: Report) -> dict[str, str]:
    pairs = zip(report.manifest.modules, report.symbols, strict=True)
    return {module.path: _module(module, symbols) for module, symbols in pairs}


def _module(module: ModuleEntry, symbols: ModuleSymbols) -> str:
    build_id = module.build_id.known
    known = [symbols.package or module.package, f"build ID {build_id}" if build_id else "no build ID"]
    return ", ".join(filter(None, known))


def _memory(report: Report) -> dict[str, str]:
    return {
        entry.kind: f"{format_size(entry.virtual)} mapped, {format_size(entry.dumped)} in the core"
        for entry in report.manifest.memory
    }


_FOLDED = {"recursion": "(recursion of {})", "library": "(in runtime libraries)", "omitted": "(frames not shown)"}


def _stack(report: Report) -> list[str]:
    """The functions of the thread that crashed; a recursion is one line."""
    if not report.groups:
        return []
    return [
        _named(entry.frames[0]) if entry.kind == "frame" else _FOLDED[entry.kind].format(", ".join(entry.functions))
        for entry in entries(report.groups[0])
    ]


def _named(frame: PlacedFrame) -> str:
    if frame.kind == "signal-handler":
        return "<signal handler called>"
    return frame.function or frame.place


def _sides(first: Sequence[str], second: Sequence[str]) -> Iterator[Side]:
    """Both stacks, equal functions in one line."""
    for _, i, j, k, m in difflib.SequenceMatcher(None, first, second, autojunk=False).get_opcodes():
        left, right = list(first[i:j]), list(second[k:m])
        length = max(len(left), len(right))
        padded = (side + [None] * (length - len(side)) for side in (left, right))
        yield from (Side(*each) for each in zip(*padded, strict=True))


def difference_lines(found: Difference, width: int = 100) -> Iterator[str]:
    """The difference for a terminal: what is the same first, then fact by fact, then the stacks side by side."""
    yield f"first:     {found.names[0]}"
    yield f"second:    {found.names[1]}"
    verdict = "the same signature" if found.same_signature else "different signatures"
    yield f"result:    {'the same family' if found.same_family else 'different families'}, {verdict}"
    for name in ("facts", "modules", "memory"):
        changes: tuple[Change, ...] = getattr(found, name)
        yield ""
        yield f"{name}:" if changes else f"{name}: no difference"
        for each in changes:
            yield f"  {each.name}"
            yield f"    - {each.first or '(absent)'}"
            yield f"    + {each.second or '(absent)'}"
    yield ""
    yield "stacks of the threads that crashed:"
    column = (width - 5) // 2
    for side in found.stack:
        left, right = (_cut(each or "", column) for each in side)
        mark = " " if side.same else "|" if side.first and side.second else "<" if side.first else ">"
        yield f"  {left:{column}} {mark} {right}".rstrip()


def _cut(value: str, width: int) -> str:
    return value if len(value) <= width else value[: width - 1] + "…"
