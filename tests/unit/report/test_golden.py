"""The whole text of a report, of an issue's and of a comparison, as files to be read: ``golden``.

To write them anew: ``python -m tests.unit.report.test_golden``; then read them.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from corebox import __version__
from corebox.bundle.manifest import BuildIds
from corebox.debugger.answer import (
    Answer,
    Frame,
    Instruction,
    Missing,
    Omitted,
    Register,
    Repeated,
    SourceLine,
    Stack,
    Variable,
    Why,
)
from corebox.locate.status import ModuleSymbols
from corebox.report.difference import difference, difference_lines
from corebox.report.document import Report, group_threads
from corebox.report.markdown import markdown_lines
from corebox.report.memory import judge_memory
from corebox.report.signature import signature
from corebox.report.text import text_lines
from tests.unit.bundle import samples

FOLDER = Path(__file__).with_name("golden")
BEGUN = "this is the thread's first function"
PROGRAM = "/opt/app/bin/app"


def frame(function: str | None, line: int, unwind: str = "cfi", kind: str = "normal", **more: Any) -> Frame:
    start = 0x7F0000000000 if function is None else 0x400000
    found = Frame(start + line * 16, kind, function, f"/src/{function}.cc" if function else None, line, (), ())
    return found._replace(unwind=unwind, **more)


def crash() -> Report:
    """A null pointer below a recursion, with something of everything that a report can have."""
    order = Variable("order", "0x0")
    source = (SourceLine(11, "int copy(const Order *order) {"), SourceLine(12, "    return order->number;"))
    frames = (
        frame("copy", 12, "registers", arguments=(order,), source=source),
        frame("check", 20, kind="inline", arguments=(order,), locals=(Variable("all", "<optimized out>"),), omitted=3),
        frame(None, 5, "frame-pointer", no_values="no debug information"),
        *(frame(("visit", "descend")[index % 2], 30 + index % 2) for index in range(8)),
        frame("visit", 30, no_values="gdb crashed: Fatal signal: Segmentation fault"),
        frame("main", 40, arguments=(Variable("argc", "1"),)),
    )
    gap = Omitted(11, 120_000, (Repeated("visit", 60_000), Repeated("descend", 60_000)))
    crashed = Stack(1, 42, None, frames, BEGUN, True, omitted=gap)
    waiting = (frame("__futex_wait", 50, "registers"), frame("pthread_cond_wait", 51), frame("Queue::pop", 52))
    others = [Stack(number, 41 + number, "worker", waiting, "the stack is damaged", False) for number in (2, 3)]
    manifest = samples.manifest()
    library = manifest.modules[0]
    program = library._replace(
        path=PROGRAM,
        opened_as=(PROGRAM,),
        start=0x400000,
        end=0x401000,
        executable=True,
        build_id=BuildIds("ef" * 20, samples.LIBRARY_ID),
    )
    modules = (program, library)
    manifest = manifest._replace(modules=modules, runtime=samples.RUNTIME)
    evidence = ("instruction at 0x4000c0: mov 0x10(%rdi),%eax", "rdi = 0x0")
    why = Why("null-dereference", "Null pointer dereference (offset 16)", evidence)
    missing = (Missing("python", "gdb did not answer within 0:01:00 and was stopped"),)
    code = tuple(
        Instruction(0x4000BC + 4 * index, text) for index, text in enumerate(("push %rbp", "mov 0x10(%rdi),%eax"))
    )
    registers = tuple(Register(name, index) for index, name in enumerate(("rax", "rbx", "rcx", "rdx")))
    answer = Answer((crashed, *others), registers, code, why, missing, 1500, "18.1")
    groups = group_threads(answer.threads, modules)
    known = signature("SIGSEGV", groups[0].frames, why)
    symbols = tuple(
        ModuleSymbols(each.path, "full" if each.path == PROGRAM else "none", each.build_id.memory, None)
        for each in modules
    )
    fault, memory = "SIGSEGV app+0xc0", judge_memory(manifest)
    return Report("x.corebox", "sha256:" + "a" * 64, known, fault, manifest, answer, groups, symbols, memory)


def other() -> Report:
    """The same program in another release, which aborted elsewhere."""
    made = crash()
    program, library = made.manifest.modules
    manifest = made.manifest._replace(modules=(program, library._replace(build_id=BuildIds("cd" * 20, None))))
    frames = (frame("raise", 60, "registers"), frame("abort", 61), frame("check", 20), frame("main", 40))
    groups = group_threads([Stack(1, 42, None, frames, BEGUN, True)], manifest.modules)
    why = Why("abort", "The program called abort()", ())
    known = signature("SIGABRT", groups[0].frames, why)
    answer = made.answer._replace(why=why)
    return made._replace(
        name="y.corebox", fault="SIGABRT app+0x3c0", manifest=manifest, groups=groups, known=known, answer=answer
    )


def written() -> Iterator[tuple[str, str]]:
    """Name and content of each file; the version of corebox is not theirs."""
    texts = {
        "report.txt": text_lines(crash()),
        "report.md": markdown_lines(crash()),
        "diff.txt": difference_lines(difference(crash(), other()), 90),
    }
    for name, lines in texts.items():
        yield (
            name,
            "".join(line + "\n" for line in lines).replace(f"corebox {__version__}, gdb", "corebox VERSION, gdb"),
        )


@pytest.mark.parametrize("name", ["report.txt", "report.md", "diff.txt"])
def test_each_is_as_it_was_read(name: str) -> None:
    expected = (FOLDER / name).read_text()
    assert dict(written())[name] == expected, "read the change, then: python -m tests.unit.report.test_golden"


if __name__ == "__main__":
    for name, text in written():
        (FOLDER / name).write_text(text)
