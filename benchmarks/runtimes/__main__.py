"""Print the table: ``python -m benchmarks.runtimes [go=/opt/go/bin/go] [node=...] [java=...] [python=...]``."""

import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.runtimes import stacks
from benchmarks.runtimes.stacks import Counts, Frame
from tests.support.lab import Lab

PROGRAMS = Path(__file__).with_name("programs")
HEADER = """| runtime | programs | frames | function | file | line | wrong | more time, median | most |
|---|---|---|---|---|---|---|---|---|"""
Stacks = dict[str, list[Frame]]


class Language(NamedTuple):
    """How a language's programs are made and run, and how its runtime's stacks and ours are read."""

    command: Callable[[str, Path], list[str]]
    version: tuple[str, ...]
    of_runtime: Callable[[str], Stacks]
    of_core: Callable[[Any], Stacks]
    environment: dict[str, str] = {}  # noqa: RUF012 - not changed


def of_go(go: str, source: Path) -> list[str]:
    """Without symbols: a program that has them is read by the same tables."""
    environment = {**os.environ, "GOTOOLCHAIN": "local", "GO111MODULE": "off", "CGO_ENABLED": "1"}
    command = [go, "build", "-ldflags", "-s -w", "-o", "program", source.name]
    subprocess.run(command, cwd=source.parent, env=environment, check=True)
    return ["./program"]


def of_java(java: str, source: Path) -> list[str]:
    """Hidden frames are frames."""
    compiler = Path(java).resolve().with_name("javac")
    shutil.copy(PROGRAMS / "java/Crash.java", source.parent)
    command = [str(compiler), "-encoding", "UTF-8", "-nowarn", "-XDignore.symbol.file", source.name, "Crash.java"]
    subprocess.run(command, cwd=source.parent, check=True, stderr=subprocess.DEVNULL)
    options = ["-XX:+UnlockDiagnosticVMOptions", "-XX:+ShowHiddenFrames", "-XX:ErrorFile=/dev/null"]
    return [java, *options, "-Dfile.encoding=UTF-8", "-Dstderr.encoding=UTF-8", "-Xmx128m", source.stem]


LANGUAGES = {
    "go": Language(
        of_go, ("version",), stacks.of_go, stacks.go_of, {"GOTRACEBACK": "crash", "GOMAXPROCS": "1"}
    ),
    "node": Language(lambda node, source: [node, str(source)], ("--version",), stacks.of_node, stacks.node_of),
    "java": Language(of_java, ("--version",), stacks.of_java, stacks.java_of, {"LC_ALL": "C.UTF-8"}),
    "python": Language(
        lambda python, source: [python, str(source)], ("--version",), stacks.of_python, stacks.python_of
    ),
}  # fmt: skip


def row(name: str, program: str, lab: Lab, only: str) -> str:
    """A line of the table; what differs goes to the standard error."""
    language, extra, counts, count = LANGUAGES[name], [], Counts(), 0
    for source in sorted((PROGRAMS / name).iterdir()):
        if source.stem == "Crash" or only not in source.name:
            continue
        true, answer = crash(language, program, source, lab)
        ours = language.of_core(answer)
        count += 1
        extra.append(answer["extra"])
        for number, frames in true.items():
            found, differ = stacks.compare(frames, ours.get(number, []))
            counts += found
            if differ:
                print(f"{source.name} {number}", *differ, sep="\n", file=sys.stderr, flush=True)
    said = subprocess.run([program, *language.version], capture_output=True, text=True, check=True).stdout
    version = re.search(r"\d+[.\d]+", said)
    cells = [
        f"{name} {version[0] if version else ''}", count, counts.true, part(counts.function, counts.true),
        part(counts.file, counts.with_file), part(counts.line, counts.with_line), counts.wrong,
        f"{statistics.median(extra):.2f} s", f"{max(extra):.2f} s",
    ]  # fmt: skip
    return "| " + " | ".join(map(str, cells)) + " |"


def part(found: int, of: int) -> str:
    """``12 of 13, 92 %``."""
    return f"{found} of {of}, {100 * found / of:.1f} %" if of else "0 of 0"


def crash(language: Language, program: str, source: Path, lab: Lab) -> tuple[Stacks, Any]:
    """The stacks that the runtime printed, and what a report has of them."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        command = language.command(program, Path(shutil.copy(source, folder)))
        environment = {**os.environ, **language.environment}
        said = subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False)
        core = next(iter(folder.glob("core*")), None)
        assert core, "no core: /proc/sys/kernel/core_pattern has to be core"
        lab.corebox("gather", core, "-o", folder / "x.corebox")
        asked = lab.done("run", folder / "x.corebox", Path(__file__).with_name("asked.py"))
        answer = json.loads(asked.output.partition("answer:")[2].partition("\n")[0])
        return language.of_runtime((said.stderr + said.stdout).decode()), answer


def main(words: list[str]) -> None:
    """Print the table, a row as soon as it is measured."""
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    found = {name: shutil.which("python3" if name == "python" else name) for name in LANGUAGES}
    wanted = [each.partition("=")[::2] for each in words] or [(name, path) for name, path in found.items() if path]
    print(HEADER, flush=True)
    with tempfile.TemporaryDirectory() as home:
        for name, program in wanted:
            language, _, only = name.partition(":")
            print(row(language, program or found[language] or language, Lab(Path(home)), only), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
