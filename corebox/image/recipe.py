"""What a Dockerfile makes: the order of the layers, files to add, and the image's configuration."""

import re
from collections.abc import Container
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import NamedTuple

from corebox.image.dockerfile import (
    Dockerfile,
    Instruction,
    bad_dockerfile,
    not_native,
    parse_assignments,
    parse_command,
    parse_word,
)

_COPIED = re.compile(r"((?:--\S+\s+)*)(.*)")


class Step(NamedTuple):
    """An instruction that makes a layer: ADD of a layer's tar, or COPY of files beside the template."""

    line: int
    sources: tuple[str, ...]
    target: str
    mode: int | None = None
    unpacks: bool = False

    def adds_one_of(self, layers: Container[str]) -> bool:
        """Whether it adds one of these tars as it is."""
        return self.unpacks and self.target == "/" and len(self.sources) == 1 and self.sources[0] in layers


@dataclass
class Recipe:
    """A parsed Dockerfile; ``config`` has the keys of the OCI image config's ``config`` object."""

    steps: list[Step] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    settings: dict[str, object] = field(default_factory=dict)

    def config(self) -> dict[str, object]:
        """The OCI image config's ``config`` object."""
        variables = [f"{name}={value}" for name, value in self.environment.items()]
        return {**self.settings, "Labels": self.labels, "Env": variables}


def parse_recipe(dockerfile: Dockerfile) -> Recipe:
    """Read a rendered Dockerfile.

    Raises:
        UsageError: ``bad-dockerfile``; ``not-native`` for an instruction that needs something to be run.
    """
    recipe = Recipe()
    for number, instruction in enumerate(dockerfile.instructions):
        if (instruction.name == "FROM") != (number == 0):
            raise not_native(instruction, "begins another stage")
        _apply(instruction, recipe)
    return recipe


def _apply(instruction: Instruction, recipe: Recipe) -> None:
    match instruction.name:
        case "FROM":
            if instruction.rest != "scratch":
                raise not_native(instruction, "uses another image")
        case "ADD" | "COPY":
            recipe.steps.append(parse_step(instruction))
        case "LABEL":
            recipe.labels.update(parse_assignments(instruction))
        case "ENV":
            recipe.environment.update(parse_assignments(instruction))
        case "USER":
            recipe.settings["User"] = parse_word(instruction)
        case "WORKDIR":
            recipe.settings["WorkingDir"] = str(PurePosixPath("/", parse_word(instruction)))
        case "ENTRYPOINT":
            recipe.settings["Entrypoint"] = parse_command(instruction)
        case "CMD":
            recipe.settings["Cmd"] = parse_command(instruction)
        case _:
            raise not_native(instruction)


def parse_step(instruction: Instruction) -> Step:
    """What a COPY or ADD says.

    Raises:
        UsageError: ``bad-dockerfile``, ``not-native``.
    """
    words = instruction.rest.split()
    mode = None
    while words and words[0].startswith("--"):
        name, _, value = words.pop(0).partition("=")
        if name != "--chmod" or not value or set(value) - set("01234567"):
            raise not_native(instruction, f"with {name}")
        mode = int(value, 8)
    if len(words) < 2 or instruction.rest.startswith("[") or any(set(word) & set("*?[$\\\"'<") for word in words):
        raise bad_dockerfile(instruction.line, f"{instruction.name} needs plain names: SOURCE... TARGET")
    *sources, target = words
    if any(source.startswith(("http:", "https:", "git@")) for source in sources):
        raise not_native(instruction, "fetches something")
    return Step(instruction.line, tuple(sources), target, mode, instruction.name == "ADD")


def copied_files(dockerfile: Dockerfile) -> list[str]:
    """Names and patterns that COPY and ADD want from the context, in a Dockerfile that may be for a real builder."""
    found: list[str] = []
    for instruction in dockerfile.instructions:
        match = _COPIED.fullmatch(instruction.rest)
        if instruction.name in ("ADD", "COPY") and match and "--from=" not in match[1]:
            words = replace(instruction, rest=match[2])
            found += (parse_command(words) if match[2].startswith("[") else match[2].split())[:-1]
    return found
