"""Crashes whose true stack is known: tests/programs/stacks, and programs that make their code when they run."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.support.programs import FOLDER

SOURCES = FOLDER / "stacks"
#: Code without a name: what a compiler at run time made, or what no file is at hand for.
UNNAMED = None

_CALLED: tuple[str | None, ...] = ("crash", UNNAMED, "call", "main")
_LEAF: tuple[str | None, ...] = (UNNAMED, "call")
_HANDLED: tuple[str | None, ...] = ("crash", "handle", "<signal>")
_CALL: tuple[str | None, ...] = (UNNAMED, "call", "main")
#: How stacks.c crashes, and the true stack, as far as anything in the memory still tells it.
TRUTH: dict[str, tuple[str | None, ...]] = {
    "smashed": ("smash",),
    "smashed-low": (UNNAMED,),
    "smashed-heap": (UNNAMED,),
    "null-call": _CALL,
    "small-call": _CALL,
    "handled-call": (*_HANDLED, *_CALL),
    "handled-smash": (*_HANDLED, "smash"),
    "framed": _CALLED,
    "frameless": _CALLED,
    "leaf": _CALL,
    "by-hand": ("crash", "by_hand", "main"),
    "leaf-by-hand": ("leaf_by_hand", "main"),
    "overflow": (*_HANDLED, *["recurse"] * 20),
    "overflow-plain": ("recurse",) * 20,
    "other-stack": (*_HANDLED, *_LEAF, "in_thread", "start_thread", "clone3"),
    "vdso": ("clock_gettime", "__GI___clock_gettime", "main"),
}
#: Nothing tells who called these: where their stacks end is not where the thread began.
CUT = ("smashed", "smashed-low", "smashed-heap", "handled-smash")


@dataclass(frozen=True)
class Crash:
    """A program and its core."""

    executable: Path
    core: Path


def compile_stacks(out: Path, *flags: str) -> Path:
    """The program that crashes in many ways."""
    subprocess.run(["gcc", "-g", "-O0", "-pthread", *flags, "-o", out, SOURCES / "stacks.c", "-ldl"], check=True)
    return out


def compile_library(out: Path, *flags: str, compiler: str = "gcc") -> Path:
    """The library of that program."""
    words = ["-g", "-shared", "-fPIC", f"-Wl,-soname,{out.name}", *flags, "-o", str(out), str(SOURCES / "library.c")]
    subprocess.run([compiler, *words], check=True)
    return out


def crash(folder: Path, *command: object) -> Crash:
    """Run a program until it dies."""
    folder.mkdir(parents=True, exist_ok=True)
    environment = {"PATH": os.environ["PATH"]}
    subprocess.run(list(map(str, command)), cwd=folder, check=False, capture_output=True, env=environment)
    (core,) = folder.glob("core*")
    return Crash(Path(str(command[0])), core)
