"""The steps of a report, and what is written of them."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from corebox.debugger.answer import PARTS, parse_answer
from corebox.debugger.records import read_records
from corebox.gdbside.answers import machine, report, sources
from corebox.gdbside.values import variables
from tests.support import gdbmodule
from tests.support.gdbmodule import Architecture, Block, Frame, State, Symbol, Value, error, thread

CODE = {0x400000: (4, "push %rbp"), 0x400004: (4, "mov %rsp,%rbp"), 0x400008: (3, "mov 0x10(%rdi),%eax")}
PROCESSOR = Architecture(code={**CODE, 0x40000B: (1, "ret")})


def crash(gdb: State, *more: Frame) -> None:
    """Two threads, of which the second is selected: it crashed."""
    order = Value(0, shown="0x0")
    block = Block([Symbol("order", is_argument=True, content=order)], Symbol("copy_order"), start=0x400000)
    first = Frame(
        0x400008, "copy_order", 12, "/src/copy.cc", {"rsp": 0x7FFE0000, "sp": 0x7FFE0000, "rdi": 0},
        block_=block, build_id="ab", processor=PROCESSOR,
    )  # fmt: skip
    main = Frame(0x400100, "main", 7, "/src/main.cc", reason=gdbmodule.FRAME_UNWIND_OUTERMOST, build_id="ab")
    other = thread(1, Frame(0x500000, None, reason=gdbmodule.FRAME_UNWIND_OUTERMOST))
    crashed = thread(2, first, *more, main, name="worker")
    gdb.open(other, crashed)
    crashed.switch()
    gdb.blocks[0x400008] = block
    gdb.files = []


def answered(capfd: pytest.CaptureFixture[str], first: int = 0) -> Any:
    report.answer(first)
    return list(read_records(capfd.readouterr().out.encode()))


def test_a_report_is_what_the_other_side_reads(gdb: State, capfd: pytest.CaptureFixture[str]) -> None:
    crash(gdb)
    records = answered(capfd)
    assert [each.part for each in records[: len(PARTS)]] == list(PARTS)
    assert records[-1].part == "end"
    answer = parse_answer(records)
    assert answer.missing == ()
    assert [(each.number, each.tid, each.name) for each in answer.threads] == [(2, 101, "worker"), (1, 100, None)]
    frames = answer.threads[0].frames
    assert [(each.function, each.line, each.file, each.unwind) for each in frames] == [
        ("copy_order", 12, "/src/copy.cc", "registers"), ("main", 7, "/src/main.cc", "cfi"),
    ]  # fmt: skip
    assert frames[0].sp == 0x7FFE0000
    assert frames[0].arguments[0] == ("order", "0x0")
    assert frames[1].no_values == "no debug information"
    assert answer.threads[0].complete
    assert {each.name: each.value for each in answer.registers} == {"rip": 0x400008, "rsp": 0x7FFE0000, "rdi": 0}
    assert [each.text for each in answer.disassembly][:3] == [text for _, text in CODE.values()]
    assert answer.gdb == "18.1"
    assert gdb.thread
    assert gdb.thread.num == 2, "selected again"


def test_a_step_that_fails_costs_that_step(gdb: State, capfd: pytest.CaptureFixture[str]) -> None:
    crash(gdb)
    for each in gdb.threads[1].frames:
        each.processor = Architecture(general=())
    found = {each.part: each for each in answered(capfd)}
    assert found["registers"].error == "gdb cannot read any register of this core"
    assert found["disassembly"].error == "Cannot access memory at address 0x400000"
    assert found["stacks"].error is None


def test_the_steps_before_the_first_are_not_taken_again(gdb: State, capfd: pytest.CaptureFixture[str]) -> None:
    crash(gdb)
    assert answered(capfd, 2)[0].part == PARTS[2]


def test_without_a_thread_there_is_nothing(gdb: State) -> None:
    assert report.stacks()["threads"] == []
    assert report.cause() is None
    assert report.values(0) is None
    assert report.python_stacks() is None


def test_a_long_stack_has_its_ends_and_numbers_between(gdb: State) -> None:
    deep = [Frame(0x401000 + index % 3, f"visit{index % 3}", registers={"sp": index * index}) for index in range(300)]
    crash(gdb, *deep)
    found = report.Walk().run()
    assert len(found["frames"]) == report.INNERMOST + report.OUTERMOST
    assert found["frames"][-1]["function"] == "main"
    omitted = found["omitted"]
    assert (omitted["after"], omitted["count"]) == (96, 302 - 96 - 32)
    assert {each["name"] for each in omitted["functions"]} == {"visit0", "visit1", "visit2"}
    assert sum(each["count"] for each in omitted["functions"]) == omitted["count"]


def test_a_stack_that_gdb_cannot_read_ends_with_its_words(gdb: State) -> None:
    crash(gdb)
    gdb.threads[1].frames[0].fails = "Cannot access memory at address 0x7ffe0008"
    found = report.Walk().run()
    assert len(found["frames"]) == 1
    assert (found["end"], found["complete"]) == ("Cannot access memory at address 0x7ffe0008", False)


def test_frames_of_handlers_and_inlined_functions_are_told_apart(gdb: State) -> None:
    crash(gdb, Frame(0x7000, "<signal handler called>", kind=gdbmodule.SIGTRAMP_FRAME), Frame(0x8000, "raise"))
    gdb.threads[1].frames[0].kind = gdbmodule.INLINE_FRAME
    found = report.Walk().run()["frames"]
    assert [each["kind"] for each in found] == ["inline", "signal-handler", "normal", "normal"]
    assert [each["unwind"] for each in found] == ["registers", "registers", "signal", "cfi"]


# Instructions


def test_a_function_begins_where_its_symbol_does(gdb: State) -> None:
    crash(gdb)
    frame = gdb.threads[1].frames[0]
    gdb.blocks.clear()
    gdb.addresses[0x400008] = "0x400008 <copy_order+8>"
    assert machine.beginning(frame, 0x400008) == 0x400000
    gdb.addresses[0x400008] = f"0x400008 <copy_order+{1 << 20}>"
    assert machine.beginning(frame, 0x400008) == 0x400008, "no function is so long"


def test_the_last_instruction_that_can_be_read_is_shown(gdb: State) -> None:
    crash(gdb)
    assert [each["text"] for each in machine.disassembly()][-1] == "mov 0x10(%rdi),%eax"
    assert machine.disassembly()[0] == {"address": "0x400000", "text": "push %rbp"}


# Values


class PrinterError(Exception):
    """Of a customer's."""


def values(*symbols: Symbol, outer: Block | None = None) -> dict[str, Any]:
    block = Block(symbols, None if outer else Symbol("f"), outer)
    return variables.read(Frame(1, "f", block_=block))


def test_variables_are_arguments_and_locals_by_their_blocks(gdb: State) -> None:
    outer = Block(
        [Symbol("n", is_argument=True, content=Value(1)), Symbol("x", is_variable=True, content=Value(2))], Symbol("f")
    )
    found = values(Symbol("x", is_variable=True, content=Value(3)), Symbol("label"), outer=outer)
    assert found["arguments"] == [{"name": "n", "value": "1"}]
    assert found["locals"] == [{"name": "x", "value": "3"}], "the innermost of that name"
    assert found["missing"] is None


def test_what_a_printer_does_costs_one_value(gdb: State) -> None:
    gone = Value(0)
    gone.is_optimized_out = True
    found = values(
        Symbol("bad", is_variable=True, content=Value(0, shown=PrinterError("no\nsuch field"))),
        Symbol("gone", is_variable=True, content=gone),
        Symbol("silent", is_variable=True, content=Value(77, shown=" ")),
        Symbol("part", is_variable=True, content=Value("{a = <optimized out>}", shown="")),
        Symbol("none", is_variable=True),
    )
    told = {each["name"]: each["value"] for each in found["locals"]}
    assert told == {
        "bad": "<no such field>", "gone": "<optimized out>", "silent": "77", "part": "<optimized out>",
        "none": "<value is not available>",
    }  # fmt: skip


def test_values_are_bounded(gdb: State) -> None:
    many = [Symbol(f"v{number}", is_variable=True, content=Value("x" * 1000)) for number in range(30)]
    found = values(*many)
    assert (len(found["locals"]), found["omitted"]) == (variables.MAX_VALUES, 30 - variables.MAX_VALUES)
    assert {len(each["value"]) for each in found["locals"]} == {variables.MAX_VALUE_LENGTH}


def test_source_lines_around_the_place(gdb: State, tmp_path: Path) -> None:
    path = tmp_path / "x.c"
    path.write_text("".join(f"\tline {number}\n" for number in range(1, 21)))
    frame = Frame(1, "f", 2, str(path))
    assert [each["line"] for each in variables.read(frame)["source"]] == [1, 2, 3, 4, 5]
    assert variables.read(frame)["source"][0]["text"] == "        line 1"
    frame.line_ = 1 << 70
    assert variables.read(frame)["source"] == []
    frame.line_, frame.source = 2, "/no\0where"
    assert variables.read(frame)["source"] == []
    frame.source = str(tmp_path)
    assert variables.read(frame)["source"] == []


# Sources


def test_sources_that_are_not_there_are_named(gdb: State, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    crash(gdb)
    (tmp_path / "here.c").touch()
    gdb.threads[0].frames[0].source = str(tmp_path / "here.c")
    gdb.threads[0].frames[0].build_id = "cd"
    sources.answer()
    written = re.search("\x1ecorebox-answer (.*)\x1e", capfd.readouterr().out)
    assert written
    named = [(each["build_id"], each["path"]) for each in json.loads(written[1])["sources"]]
    assert named == [("ab", "/src/copy.cc"), ("ab", "/src/main.cc")]
    gdb.threads[1].frames[0].fails = "the stack is damaged"
    assert sources.names() == [("ab", "/src/copy.cc")]
    gdb.thread = None
    assert sources.names() == []


def test_a_register_that_gdb_does_not_know_is_left_out(gdb: State) -> None:
    assert report.stack_pointer(Frame(1)) is None
    with pytest.raises(error):
        machine.registers()
