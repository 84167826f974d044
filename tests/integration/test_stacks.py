"""A stack has the frames that were there, no other and none twice, where unwinding is hard; each says why it ends."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from corebox.coredump.core import open_core
from tests.support.architectures import ARCHITECTURES
from tests.support.evidence import gdb_alone, machine_frames, sound_report
from tests.support.lab import Lab
from tests.support.stacks import CUT, SOURCES, TRUTH, UNNAMED, Crash, compile_library, compile_stacks, crash

ABORT = "function outer() { inner(); }\nfunction inner() { process.abort(); }\nsetTimeout(outer, 1);\n"
# What LuaJIT has compiled reads memory by its frame pointer register, which then leads nowhere.
TRACE = """
local ffi = require "ffi"
local function read(address) return ffi.cast("int *", address)[0] end
local numbers, total = ffi.new("int[4]"), 0
local good = tonumber(ffi.cast("intptr_t", numbers))
for i = 1, 100000 do total = total + read(good - good * math.floor(i / 90000)) end
"""


def crashed_thread(lab: Lab, made: Crash, *options: object) -> Any:
    """The thread that crashed, of the report that corebox makes of what was gathered."""
    bundle = made.core.with_suffix(".corebox")
    assert lab.corebox("gather", made.core, "-o", bundle).status in (0, 1)
    report = sound_report(lab, bundle, made.core, gdb_alone(made.core, made.executable), *options)
    thread: Any = report["threads"][0]
    return thread


def functions(thread: Any) -> list[str | None]:
    """The functions of a thread's frames that are frames of the machine."""
    return ["<signal>" if each["kind"] == "signal-handler" else each["function"] for each in machine_frames(thread)]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program that crashes in many ways."""
    return compile_stacks(tmp_path_factory.mktemp("stacks") / "stacks")


@pytest.mark.parametrize("kind", TRUTH)
def test_the_frames_are_the_true_ones(kind: str, program: Path, tmp_path: Path, lab: Lab) -> None:
    made = crash(tmp_path, program, kind)
    thread = crashed_thread(lab, made)
    truth = list(TRUTH[kind])
    shown = functions(thread)
    if kind.startswith("overflow"):
        assert shown[: len(truth)] == truth
        assert shown[-1] == "main"
    else:
        assert shown == truth
    assert thread["complete"] == (kind not in CUT)
    assert ("not in executable memory" in thread["end"]) == (kind in CUT)


def test_how_a_frame_was_found_is_said(program: Path, tmp_path: Path, lab: Lab) -> None:
    made = crash(tmp_path, program, "framed")
    ways = [frame["unwind"] for frame in crashed_thread(lab, made)["frames"]]
    assert ways == ["registers", "cfi", "frame-pointer", "cfi"]
    bundle = made.core.with_suffix(".corebox")
    shown = lab.gdb(bundle, "bubblewrap", "echo answer:\\n", "bt", "corebox stack").output.partition("answer:")[2]
    lines = [line.split() for line in shown.splitlines() if line.startswith("#")]
    assert [line[0] for line in lines] == ["#0", "#1", "#2", "#3"] * 2
    assert [line[1] for line in lines[4:]] == ways
    assert "the stack ends here: this is the thread's first function" in shown


@pytest.mark.parametrize("flags", [("-static",), ("-static", "-s"), ("-s",)], ids=" ".join)
def test_a_program_without_symbols_has_the_same_frames(
    flags: tuple[str, ...], program: Path, tmp_path: Path, lab: Lab
) -> None:
    made = crash(tmp_path / "work", compile_stacks(tmp_path / "stacks", *flags), "frameless")
    frames = crashed_thread(lab, made)["frames"]
    assert [frame["unwind"] for frame in frames[:4]] == ["registers", "cfi", "frame-pointer", "cfi"]
    assert [Path(frame["module"]).name if frame["module"] else None for frame in frames[:4]] == [
        "stacks", None, "stacks", "stacks",
    ]  # fmt: skip


def test_code_of_a_missing_module_is_passed(program: Path, tmp_path: Path, lab: Lab) -> None:
    library = compile_library(tmp_path / "library.so", "-fno-omit-frame-pointer")
    made = crash(tmp_path / "work", program, "library", library)
    library.unlink()
    thread = crashed_thread(lab, made)
    assert functions(thread) == ["crash", UNNAMED, "call", "main"]
    assert thread["frames"][2]["unwind"] == "frame-pointer"
    assert thread["frames"][1]["module"] == str(library)


def test_a_stack_that_is_not_whole_in_the_core_ends_where_it_was_cut(program: Path, tmp_path: Path, lab: Lab) -> None:
    made = crash(tmp_path, program, "framed")
    (frames,) = gdb_alone(made.core, program).values()
    with open_core(str(made.core)) as opened:
        at = frames[0].sp + 32  # in the frame of the code that has no unwind information
        (stack,) = (each for each in opened.segments if each.address <= at < each.address + each.memory_size)
    os.truncate(made.core, stack.offset + at - stack.address)
    thread = crashed_thread(lab, made)
    assert functions(thread) == ["crash", UNNAMED]
    assert re.fullmatch("the stack's memory at 0x[0-9a-f]+ is not in the core", thread["end"])
    assert not thread["complete"]


def test_v8_is_unwound_to_where_the_program_began(tmp_path: Path, lab: Lab) -> None:
    script = tmp_path / "abort.js"
    script.write_text(ABORT)
    made = crash(tmp_path / "work", shutil.which("node") or "node", script)
    thread = crashed_thread(lab, made)
    names = [(name or "").partition("(")[0] for name in functions(thread)]
    wanted = ["node::Abort", "v8::internal::Execution::Call", "v8::Function::Call", "node::Environment::RunTimers"]
    places = [names.index(name) for name in [*wanted, "uv_run", "node::Start"]]
    assert places == sorted(places)
    assert names[-1] in ("main", "_start")
    assert {frame["unwind"] for frame in thread["frames"]} == {"registers", "cfi", "frame-pointer"}
    assert thread["complete"]


def test_where_a_jit_uses_the_frame_pointer_otherwise_the_stack_ends(tmp_path: Path, lab: Lab) -> None:
    script = tmp_path / "trace.lua"
    script.write_text(TRACE)
    thread = crashed_thread(lab, crash(tmp_path / "work", shutil.which("luajit") or "luajit", script))
    assert functions(thread) == [UNNAMED]
    assert "has neither unwind information nor a valid frame pointer" in thread["end"]
    assert not thread["complete"]


@pytest.mark.parametrize("architecture", [each for each in ARCHITECTURES if each.compiler], ids=lambda each: each.name)
def test_a_function_looked_up_lazily_has_one_caller(architecture: Any, tmp_path: Path, lab: Lab) -> None:
    root, core = architecture.crash(tmp_path, _lazy)
    bundle = tmp_path / "lazy.corebox"
    assert lab.corebox("gather", core, "--root", root, "-o", bundle).status in (0, 1)
    report = sound_report(lab, bundle, core, architecture.gdb_alone(root, core))
    thread = report["threads"][0]
    named = [name for name in functions(thread) if name and not name.startswith("_dl")]
    assert named == ["choose", "caller", "main"]
    assert thread["complete"]


def _lazy(compiler: str, program: Path) -> None:
    library = compile_library(program.parent / "library.so", "-O1", compiler=compiler)
    words = [compiler, "-g", "-O1", "-Wl,-z,lazy", "-Wl,-rpath,/opt/acme/bin", "-o"]
    subprocess.run([*words, str(program), str(SOURCES / "lazy.c"), str(library)], check=True)


_MADE: dict[str, list[str | None]] = {
    "framed": ["crash", UNNAMED, "call", "main"],
    "frameless": ["crash", UNNAMED, "call", "main"],
    "leaf": [UNNAMED, "call", "main"],
    "null-call": [UNNAMED, "call", "main"],
}
#: How many of the frames are told where nothing tells the others: s390x has no frame pointer.
_NOT_TOLD = {("s390x", "framed"): 2, ("s390x", "leaf"): 1}


@pytest.mark.parametrize("architecture", [each for each in ARCHITECTURES if each.compiler], ids=lambda each: each.name)
def test_code_made_at_run_time_on_other_processors(architecture: Any, tmp_path: Path, lab: Lab) -> None:
    for kind, truth in _MADE.items():
        if kind == "frameless" and architecture.name not in ("aarch64", "i386"):
            continue  # there is no other kind of frame
        root, core = architecture.crash(tmp_path / kind, _made, kind)
        bundle = tmp_path / f"{kind}.corebox"
        assert lab.corebox("gather", core, "--root", root, "-o", bundle).status in (0, 1)
        thread = sound_report(lab, bundle, core, architecture.gdb_alone(root, core))["threads"][0]
        known = _NOT_TOLD.get((architecture.name, kind), len(truth))
        assert (kind, functions(thread)) == (kind, truth[:known])
        assert thread["complete"] == (known == len(truth))


def _made(compiler: str, program: Path) -> None:
    subprocess.run([compiler, "-g", "-O1", "-o", str(program), str(SOURCES / "made.c")], check=True)
