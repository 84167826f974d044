"""Stacks below and above code without unwind information that programs of the field have: Java's, and musl's."""

import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_stacks import crashed_thread, functions
from tests.support.evidence import gdb_alone, sound_report
from tests.support.lab import Lab
from tests.support.programs import FOLDER
from tests.support.stacks import UNNAMED, crash

SOURCES = FOLDER / "runtimes"
JAVA = ("-Xmx64m", "-XX:+CreateCoredumpOnCrash", "-XX:+CrashOnOutOfMemoryError", "-cp")


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Java program, compiled."""
    folder = tmp_path_factory.mktemp("java")
    subprocess.run(["javac", "-nowarn", "-d", folder, SOURCES / "Orders.java"], check=True, capture_output=True)
    return folder


def java_thread(lab: Lab, classes: Path, kind: str, folder: Path) -> Any:
    """The thread that crashed of a Java program, and the names of its frames from the signal on."""
    java = shutil.which("java") or "java"
    return crashed_thread(lab, crash(folder, java, *JAVA, classes, "Orders", kind))


# What hs_err_pid.log has of the same crashes: compiled sum, interpreted outer and main, and the stub that calls them;
# interpreted the wrapper of a native function, two methods of the JDK that call it, and read and sum.
@pytest.mark.parametrize(("kind", "count"), [("compiled", 4), ("interpreted", 8)])
def test_compiled_and_interpreted_java_is_unwound_to_where_java_began(
    kind: str, count: int, classes: Path, tmp_path: Path, lab: Lab
) -> None:
    thread = java_thread(lab, classes, kind, tmp_path)
    named = [(name or "").partition("(")[0] for name in functions(thread)]
    below = named[named.index("<signal>") + 1 : named.index("JavaCalls::call_helper")]
    methods = below[below.count("Unsafe_GetLong") :]
    assert len(methods) == count, thread
    assert methods[-3:] == ["Orders.outer", "Orders.main", ""], "the stub that calls them has no name"
    assert methods[-4] == "Orders.sum"
    if kind == "interpreted":
        inner = ["jdk.internal.misc.Unsafe.getLong"] * 2 + ["sun.misc.Unsafe.getLong", "Orders.read"]
        assert methods[:-4] == inner
    assert named[-1] in ("clone3", "clone", "__clone")
    assert thread["complete"]
    assert kind != "compiled" or "runtime" in [frame["unwind"] for frame in thread["frames"]]


def test_a_full_heap_of_java_is_known_by_who_asked_for_memory(classes: Path, tmp_path: Path, lab: Lab) -> None:
    made = crash(tmp_path, shutil.which("java") or "java", *JAVA, classes, "Orders", "heap")
    bundle = tmp_path / "heap.corebox"
    assert lab.corebox("gather", made.core, "-o", bundle).status in (0, 1)
    report = sound_report(lab, bundle, made.core, gdb_alone(made.core, made.executable))
    assert report["why"]["kind"] == "java-out-of-memory"
    assert report["family"] == "java-out-of-memory in Orders.main"


def test_java_stacks_are_those_of_jstack(tmp_path: Path, lab: Lab) -> None:
    """Of all threads, compiled and interpreted, with what was inlined; jstack asks the virtual machine itself."""
    java = Path(shutil.which("java") or "java").resolve()
    subprocess.run(["javac", "-d", tmp_path, SOURCES / "Waiting.java"], check=True, capture_output=True)
    command = f"ulimit -c unlimited; exec {java} -Xbatch -XX:TieredStopAtLevel=1 -Xmx64m -cp . Waiting"
    with subprocess.Popen(["sh", "-c", command], cwd=tmp_path, stdout=subprocess.PIPE, text=True) as waiting:
        assert waiting.stdout
        assert waiting.stdout.readline() == "waiting\n"
        said = ""
        while "TIMED_WAITING (sleeping)" not in said:
            said = subprocess.run(["jstack", str(waiting.pid)], check=True, capture_output=True, text=True).stdout
        waiting.send_signal(signal.SIGABRT)
    core = tmp_path / "core"
    assert lab.corebox("gather", core, "-o", tmp_path / "x.corebox").status in (0, 1)
    report = sound_report(lab, tmp_path / "x.corebox", core, gdb_alone(core, java))
    ours = {thread["tid"]: java_frames(group) for group in report["threads"] for thread in group["threads"]}
    theirs = dict(told_by_jstack(said))
    assert len(theirs) >= 3
    assert {tid: ours[tid] for tid in theirs} == theirs


def java_frames(group: Any) -> list[tuple[str, int | None]]:
    """Name and line of each method, those included that have no frame of their own."""
    frames = [frame for frame in group["frames"] if frame["language"] == "Java"]
    return [(each["function"], each["line"]) for frame in frames for each in (frame, *frame["inlined_into"])]


def told_by_jstack(said: str) -> Iterator[tuple[int, list[tuple[str, int | None]]]]:
    """The same, by the thread's number, of those that have any."""
    for part in said.split("\n\n"):
        number = re.search(r" nid=(0x[0-9a-f]+|\d+)", part)
        found = re.findall(r"^\tat (\S+?)(?:/0x[0-9a-f]+)?(\.[^.(]+)\(.*?(?::(\d+))?\)$", part, re.MULTILINE)
        if number and found:
            yield int(number[1], 0), [(name + method, int(line) if line else None) for name, method, line in found]


# A library without symbols hides the trampoline of signals from gdb, which ends these stacks in the handler or before.
@pytest.mark.parametrize(
    ("flags", "kind", "inner"),
    [
        (("-static",), "sort", ["fault", "compare", "sift", "trinkle", "qsort_r", "main"]),
        (("-static",), "thread", ["fault", "work", "start", "__clone"]),
        ((), "sort", ["fault", "compare", UNNAMED, UNNAMED]),
        ((), "thread", ["fault", "work", UNNAMED]),
    ],
)  # fmt: skip
def test_a_c_library_without_unwind_information(
    flags: tuple[str, ...], kind: str, inner: list[str | None], tmp_path: Path, lab: Lab
) -> None:
    program = tmp_path / "musl"
    subprocess.run(["musl-gcc", "-g", "-O1", *flags, "-o", program, SOURCES / "musl.c"], check=True)
    thread = crashed_thread(lab, crash(tmp_path / "work", program, kind))
    names = functions(thread)
    assert names[: names.index("<signal>")][-3:] == ["raise", "abort", "handle"]
    assert names[names.index("<signal>") + 1 :] == inner
    assert thread["complete"] == bool(flags)


# In free the frame pointer is still its caller's, whose own return address it leads to.
@pytest.mark.parametrize("flags", [("-O0",), ("-O1",), ("-O0", "-static")], ids=" ".join)
@pytest.mark.parametrize(
    ("kind", "inner"), [("called", ["drop", "cancel", "main"]), ("pointed", ["drop", "main"]), ("main", ["main"])]
)
def test_the_caller_of_a_function_that_keeps_no_frame_pointer(
    kind: str, inner: list[str], flags: tuple[str, ...], tmp_path: Path, lab: Lab
) -> None:
    program = tmp_path / "freed"
    subprocess.run(["musl-gcc", "-g", *flags, "-o", program, SOURCES / "freed.c"], check=True)
    thread = crashed_thread(lab, crash(tmp_path / "work", program, kind))
    own = [name for name in functions(thread) if name and not name.startswith(("get_meta", "__libc", "free"))]
    assert own == inner
    assert thread["complete"]


def test_what_hotspot_wrote_comes_with_its_crash_and_no_other(classes: Path, tmp_path: Path, lab: Lab) -> None:
    made = crash(tmp_path / "crash", shutil.which("java") or "java", *JAVA, classes, "Orders", "interpreted")
    (log,) = made.core.parent.glob("hs_err_pid*.log")
    lab.done("gather", made.core, "-o", tmp_path / "x.corebox")
    assert f"Java log:     {log}, in the bundle" in lab.done("report", tmp_path / "x.corebox").output
    lab.done("export", tmp_path / "x.corebox", "--sysroot", tmp_path / "site")
    assert Path(f"{tmp_path}/site{log}").read_bytes() == log.read_bytes()
    lab.done("gather", made.core, "--redact", "Orders", "-o", tmp_path / "redacted.corebox")
    log.write_text(re.sub(", pid=[0-9]+", ", pid=1", log.read_text()))
    lab.done("gather", made.core, "-o", tmp_path / "other.corebox")
    for bundle in ("redacted", "other"):
        assert log.name not in lab.done("info", "--json", tmp_path / f"{bundle}.corebox").output
