"""Runs inside gdb when the core is open: collects the facts of a report and writes them as one line of JSON.

gdb's own Python API only, never the text that its commands print. Everything is bounded: a hostile core may have
endless stacks, values and names. Addresses are "0x" strings; what cannot be read is left out or None.
"""

import itertools
import json
import os
import pathlib

import gdb
import pystacks
import why

BEGIN, PYTHON, END = "\x1ecorebox-answer ", "\x1ecorebox-python ", "\x1e\n"
MOST_THREADS, MOST_FRAMES = 1024, 128
FRAMES_WITH_VALUES, MOST_VALUES, LONGEST_VALUE = 24, 24, 240
LONGEST_TEXT = 1024
BEFORE_FAULT, AFTER_FAULT, LONGEST_FUNCTION = 8, 6, 1 << 16
LINES_AROUND, LONGEST_LINE, LARGEST_SOURCE = 3, 240, 8 << 20


def text(value, longest=LONGEST_TEXT):
    """Any name as a string of bounded length, or None."""
    return None if value is None else str(value)[:longest]


def hexadecimal(value):
    """An address as JSON has it."""
    return f"0x{int(value) & 0xFFFFFFFFFFFFFFFF:x}"


def value_of(frame, symbol):
    """A variable as gdb prints it on one line, or what kept gdb from it."""
    try:
        return symbol.value(frame).format_string(max_elements=16, max_depth=3, styling=False)[:LONGEST_VALUE]
    except Exception as error:  # noqa: BLE001 - printers of the customer's run here; they may raise anything
        return "<{}>".format(" ".join(str(error).split()))[:LONGEST_VALUE]


def variables(frame):
    """Arguments and local variables of a frame; the innermost of several of one name wins."""
    found = {"arguments": [], "locals": []}
    try:
        block = frame.block()
    except RuntimeError:
        return found
    seen = set()
    while block is not None and not block.is_static and not block.is_global:
        for symbol in block:
            kind = "arguments" if symbol.is_argument else "locals" if symbol.is_variable else None
            if kind and symbol.name not in seen and len(found[kind]) < MOST_VALUES:
                seen.add(symbol.name)
                found[kind].append({"name": text(symbol.name, 128), "value": value_of(frame, symbol)})
        if block.function is not None:
            break
        block = block.superblock
    return found


KINDS = {gdb.NORMAL_FRAME: "normal", gdb.INLINE_FRAME: "inline", gdb.SIGTRAMP_FRAME: "signal-handler"}
# Both are how a whole stack ends.
ENDS = (gdb.FRAME_UNWIND_OUTERMOST, gdb.FRAME_UNWIND_NO_REASON)


def frame_facts(frame, with_values):
    """One frame: where it is, what function that is, and on demand its variables."""
    place = frame.find_sal()
    facts = {
        "pc": hexadecimal(frame.pc()),
        "kind": KINDS.get(frame.type(), "other"),
        "function": text(frame.name()),
        "file": text(place.symtab.filename) if place.symtab else None,
        "line": place.line if place.symtab and place.line else None,
    }
    facts.update(variables(frame) if with_values else {"arguments": [], "locals": []})
    facts["source"] = source(place) if with_values and facts["line"] else []
    return facts


def source(place):
    """The lines around ``place`` if its file is at hand, under gdb's substitute-path too."""
    path = pathlib.Path(place.symtab.fullname())
    first = max(place.line - LINES_AROUND, 1)
    try:
        if not path.is_file() or path.stat().st_size > LARGEST_SOURCE:
            return []
        with path.open(errors="replace") as file:
            lines = list(itertools.islice(file, first - 1, place.line + LINES_AROUND))
    except (OSError, ValueError):  # ValueError: a path with a NUL, a line number beyond all bounds
        return []
    numbered = enumerate(lines, first)
    return [{"line": number, "text": text(line.rstrip().expandtabs(), LONGEST_LINE)} for number, line in numbered]


def frames(most, with_values):
    """The stack of the selected thread from the innermost frame on, and why it ends."""
    found, why = [], None
    try:
        frame = gdb.newest_frame()
        while frame is not None and len(found) < most:
            found.append(frame_facts(frame, with_values and len(found) < FRAMES_WITH_VALUES))
            older = frame.older()
            if older is None and frame.unwind_stop_reason() not in ENDS:
                why = gdb.frame_stop_reason_string(frame.unwind_stop_reason())
            frame = older
        if frame is not None:
            why = f"more than {most} frames"
    except (gdb.error, RuntimeError) as error:
        why = str(error)
    return found, text(why)


def threads(crashed):
    """All threads, the crashed one first; values are shown of that one only."""
    every = sorted(gdb.selected_inferior().threads(), key=lambda each: (each.num != crashed.num, each.num))
    found = []
    for thread in every[:MOST_THREADS]:
        thread.switch()
        stack, why = frames(MOST_FRAMES, thread.num == crashed.num)
        found.append(
            {"number": thread.num, "tid": thread.ptid[1], "name": text(thread.name, 64), "frames": stack, "end": why}
        )
    crashed.switch()
    return found


def registers():
    """The general registers of the innermost frame, as numbers of the machine's word size."""
    frame = gdb.newest_frame()
    found = []
    for register in frame.architecture().registers("general"):
        try:
            value = int(frame.read_register(register.name))
        except (gdb.error, ValueError, TypeError):
            continue
        found.append({"name": register.name, "value": hexadecimal(value)})
    return found


def disassembly():
    """The instructions around the fault. Only a known function tells where instructions before it begin."""
    frame = gdb.newest_frame()
    counter = frame.pc()
    start = counter
    try:
        block = gdb.block_for_pc(counter) if frame.function() else None
        while block is not None and block.function is None:
            block = block.superblock
        if block and 0 <= counter - block.start <= LONGEST_FUNCTION:
            start = block.start
    except (gdb.error, RuntimeError):
        start = counter
    found = []
    try:
        if start < counter:
            found = frame.architecture().disassemble(start, counter - 1)[-BEFORE_FAULT:]
        found += frame.architecture().disassemble(counter, count=AFTER_FAULT)
    except gdb.error:
        pass  # the code is not in the core, or the jump went nowhere
    return [{"address": hexadecimal(each["addr"]), "text": text(each["asm"], 256)} for each in found]


def cause():
    """What kind of fault it is."""
    found = why.explain()
    evidence = [text(each) for each in found["evidence"][:64]]
    return {
        "kind": found["kind"],
        "sentence": text(found["sentence"]),
        "evidence": evidence,
        "detail": text(found.get("detail")),
    }


def collect():
    """The whole answer."""
    crashed = gdb.selected_thread()
    if crashed is None:
        return {"version": 1, "threads": [], "registers": [], "disassembly": [], "why": None, "python": False}
    return {
        "version": 1,
        "threads": threads(crashed),
        "registers": registers(),
        "disassembly": disassembly(),
        "why": cause(),
        "python": pystacks.is_python(),
    }


def python_stacks():
    """The stacks of all Python threads, the innermost frame first, or why they cannot be told."""
    try:
        found = pystacks.stacks()
    except RuntimeError as error:
        return {"error": text(error), "threads": []}
    threads = [{"tid": tid, "frames": list(map(python_frame, each))} for tid, each in found[:MOST_THREADS]]
    return {"error": None, "threads": threads}


def python_frame(frame):
    """A Python frame; its names are as bounded as all others."""
    return {
        "function": text(frame.function),
        "file": text(frame.file),
        "line": max(0, frame.line),
        "entry": frame.entry,
    }


def write(mark, facts):
    """Write facts to the standard output past gdb's pager and filters."""
    gdb.flush()
    data = (mark + json.dumps(facts) + END).encode("ascii")
    while data:
        data = data[os.write(1, data) :]


def answer():
    """Write the answer, then what is read natively: a hostile core may crash or hang that, and gdb with it."""
    gdb.execute("set width 0")
    write(BEGIN, collect())
    if pystacks.is_python():
        write(PYTHON, python_stacks())


if __name__ == "__main__":
    answer()
