"""Parses the part of the Dockerfile language that needs nothing to be run (Dockerfile reference, docs.docker.com)."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from corebox.errors import UsageError

_ASSIGNMENT = re.compile(r'([A-Za-z0-9_.\-/]+)=((?:"(?:[^"\\]|\\.)*"|\'[^\']*\'|\\.|[^\s"\'\\])*)(?:\s+|$)', re.ASCII)
_PART = re.compile(r'"((?:[^"\\]|\\.)*)"|\'([^\']*)\'|\\(.)|([^"\'\\]+)')
_ESCAPED = re.compile(r'\\(["\\$])')


@dataclass(frozen=True)
class Instruction:
    """One instruction; ``line`` counts from 1, ``length`` is how many lines it has."""

    line: int
    name: str
    rest: str
    length: int = field(default=1, compare=False)


class Dockerfile(NamedTuple):
    """A Dockerfile and what it says."""

    text: str
    instructions: tuple[Instruction, ...]

    def with_instead(self, old: Instruction, name: str, rest: str) -> "Dockerfile":
        """The same with another instruction in the place of ``old``; no line moves."""
        lines = self.text.split("\n")
        lines[old.line - 1 : old.line - 1 + old.length] = [f"{name} {rest}", *[""] * (old.length - 1)]
        new = replace(old, name=name, rest=rest)
        return Dockerfile("\n".join(lines), tuple(new if each is old else each for each in self.instructions))


def parse_dockerfile(text: str) -> Dockerfile:
    """The Dockerfile with its instructions, continued lines joined and comments left out.

    Raises:
        UsageError: ``bad-dockerfile``.
    """
    instructions = []
    for begun, end, line in _logical_lines(text):
        name, _, rest = line.partition(" ")
        instructions.append(Instruction(begun, name.upper(), rest.strip(), end - begun + 1))
    if not instructions or instructions[0].name != "FROM":
        raise bad_dockerfile(1, "it does not begin with FROM")
    return Dockerfile(text, tuple(instructions))


def _logical_lines(text: str) -> Iterator[tuple[int, int, str]]:
    """First and last number of each line, and its text."""
    begun, parts = 0, list[str]()
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue  # also within a continued instruction, as Docker has it
        begun = begun or number
        if stripped.endswith("\\"):
            parts.append(stripped[:-1])
            continue
        yield begun, number, " ".join(("".join([*parts, stripped])).split("\t"))
        begun, parts = 0, []
    if parts:
        raise bad_dockerfile(begun, "the last line is continued")


def parse_assignments(instruction: Instruction) -> dict[str, str]:
    """The ``NAME=VALUE`` words of LABEL and ENV."""
    found: dict[str, str] = {}
    at = 0
    while at < len(instruction.rest):
        match = _ASSIGNMENT.match(instruction.rest, at)
        if match is None:
            raise bad_dockerfile(instruction.line, f"{instruction.name} needs NAME=VALUE")
        found[match[1]] = _unquote(match[2], instruction)
        at = match.end()
    return found


def _unquote(word: str, instruction: Instruction) -> str:
    text = []
    for part in _PART.finditer(word):
        double, single, escaped, plain = part.groups()
        if "$" in (plain or "") or "$" in re.sub(r"\\.", "", double or ""):
            raise not_native(instruction, "expands a variable")
        text.append(_ESCAPED.sub(r"\1", double) if double is not None else single or escaped or plain or "")
    return "".join(text)


def parse_command(instruction: Instruction) -> list[str]:
    """The words of ENTRYPOINT and CMD in their exec form."""
    try:
        words = json.loads(instruction.rest)
    except ValueError:
        words = None
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise bad_dockerfile(instruction.line, f'{instruction.name} needs ["WORD", ...]: the image has no shell')
    return words


def parse_word(instruction: Instruction) -> str:
    """The single argument of USER and WORKDIR."""
    if not instruction.rest or re.search(r"[\s\\]", instruction.rest):
        raise bad_dockerfile(instruction.line, f"{instruction.name} needs one word")
    if "$" in instruction.rest:
        raise not_native(instruction, "expands a variable")
    return _unquote(instruction.rest, instruction)


def bad_dockerfile(line: int, what: str) -> UsageError:
    """The error for a line that Docker would not take either, or that makes no sense in an image of corebox."""
    return UsageError("bad-dockerfile", f"line {line} of the rendered Dockerfile: {what}", "correct the template")


def not_native(instruction: Instruction, what: str = "must be run") -> UsageError:
    """The error for what only a real builder can do."""
    where = f"line {instruction.line} of the rendered Dockerfile"
    message = f"{where}: {instruction.name} {what}, which the native builder does not support"
    return UsageError("not-native", message, "use --builder docker", line=instruction.line)
