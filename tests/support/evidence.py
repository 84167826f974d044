"""What is true of every stack of every report, and what gdb alone makes of the same core."""

import json
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from corebox.coredump.core import open_core
from tests.support.lab import Lab
from tests.support.programs import HOST_GDB

#: Frames whose program counter is that of the registers: what has jumped to no code is there all the same.
TRUE = ("registers", "signal")
#: Where Go goes to another stack: gdb alone shows what the word above on this one points into.
SWITCHES = ("runtime.mcall", "runtime.morestack", "runtime.systemstack")
WAYS = (*TRUE, "cfi", "frame-pointer", "call", "prologue", "runtime")
_PF_X = 1
_MAX_COUNT = 90  # of the innermost frames; a report has a few more in full
# Each machine frame of each thread, the innermost first: program counter, stack pointer, and function.
_ASK = """
import gdb, json
found = {}
for thread in gdb.selected_inferior().threads():
    thread.switch()
    frames, frame = [], gdb.newest_frame()
    try:
        while frame is not None and len(frames) < MAX_COUNT:
            if frame.type() != gdb.INLINE_FRAME:
                mask = (1 << 8 * gdb.lookup_type("void").pointer().sizeof) - 1
                kind = "<signal>" if frame.type() == gdb.SIGTRAMP_FRAME else frame.name()
                frames.append((frame.pc() & mask, int(frame.read_register("sp")) & mask, kind))
            frame = frame.older()
    except gdb.error:
        pass
    found[thread.ptid[1]] = frames
print("answer:" + json.dumps(found))
"""


class Frame(NamedTuple):
    """A frame as gdb alone shows it."""

    pc: int
    sp: int
    function: str | None


def mappings(core: Path) -> list[tuple[int, int, bool]]:
    """From where to where a core says that memory was, and whether code can be there."""
    with open_core(str(core)) as opened:
        told = [(each.address, each.address + each.memory_size, bool(each.flags & _PF_X)) for each in opened.segments]
        # gcore leaves out what files have.
        return told + [(each.start, each.end, True) for each in opened.mappings]


def _is_code(memory: list[tuple[int, int, bool]], pc: int) -> bool:
    """Whether code can be at an address; everywhere if the core says so of no memory."""
    if not any(code for _, _, code in memory):
        return True
    return next((code for start, end, code in memory if start <= pc < end), False)


def machine_frames(thread: Any) -> list[Any]:
    """The frames of a thread of a report that the machine has; those of inlined functions are parts of them."""
    return [frame for frame in thread["frames"] if frame["kind"] != "inline"]


def must_be_sound(report: Any, core: Path) -> None:
    """No frame outside executable memory, none twice, and each stack says why it ends."""
    assert report["threads"]
    code = mappings(core)
    for thread in report["threads"]:
        assert thread["end"], thread
        assert isinstance(thread["complete"], bool)
        assert thread["frames"][0]["unwind"] == "registers"
        assert {frame["unwind"] for frame in thread["frames"]} <= set(WAYS)
        before = None
        for frame in machine_frames(thread):
            pc = int(frame["pc"], 16)
            assert _is_code(code, pc) or frame["unwind"] in TRUE, f"no code is at {pc:#x}: {thread['frames']}"
            here = frame["pc"], frame["sp"]
            assert here != before, f"{here} is there twice: {thread['frames']}"
            before = here


def sound_report(lab: Lab, bundle: object, core: Path, alone: dict[int, list[Frame]] | None, *options: object) -> Any:
    """The report of a crash, whose stacks are evidence and show no less than gdb alone does, if that shows any."""
    report = lab.done("report", bundle, "--engine", "bubblewrap", "--format", "json", *options).json
    must_be_sound(report, core)
    if alone is not None:
        must_show_no_less(report, core, alone)
    return report


def gdb_alone(
    core: Path, executable: Path | None, gdb: str = HOST_GDB, root: Path | None = None
) -> dict[int, list[Frame]]:
    """The frames of each thread, by the kernel's number, as a gdb shows them that knows nothing of corebox.

    Args:
        core: the core.
        executable: its program.
        gdb: which gdb.
        root: where the customer's files are, None for this machine's.
    """
    words = [gdb, "-nx", "-batch", "-iex", "set debuginfod enabled off"]
    words += [] if root is None else ["-iex", f"set sysroot {root}"]
    words += [] if executable is None else ["-se", str(executable)]
    words += ["-c", str(core), "-ex", "python " + f"exec({_ASK.replace('MAX_COUNT', str(_MAX_COUNT))!r})"]
    shown = subprocess.run(words, capture_output=True, text=True, check=True).stdout.rpartition("answer:")[2]
    return {int(tid): [Frame(*each) for each in frames] for tid, frames in json.loads(shown).items()}


def must_show_no_less(report: Any, core: Path, alone: dict[int, list[Frame]]) -> None:
    """Each frame that gdb alone finds is in the report, and has a name there if it has one here.

    What gdb finds from code that it knows nothing of is a guess: only what the report has of that counts. So is what
    is not in executable memory, and the same frame again.
    """
    code = mappings(core)
    for numbers, thread in _by_thread(report):
        for tid in numbers:
            shown = {int(frame["pc"], 16): frame for frame in machine_frames(thread)}
            for frame in _evident(alone[tid], code):
                assert frame.pc in shown, f"gdb alone has {frame}: {thread}"
                ours = shown[frame.pc]
                assert frame.function is None or ours["function"] or ours["kind"] == "signal-handler", frame


def _by_thread(report: Any) -> Iterable[tuple[list[int], Any]]:
    for group in report["threads"]:
        yield [each["tid"] for each in group["threads"]], group


def _evident(frames: list[Frame], code: list[tuple[int, int, bool]]) -> Iterable[Frame]:
    before = None
    for index, frame in enumerate(frames):
        if (index and not _is_code(code, frame.pc)) or frame[:2] == before:
            return
        yield frame
        if frame.function is None or frame.function in SWITCHES:
            return
        before = frame[:2]
