"""Stacks below and above code without unwind information that programs of the field have: Java's, and musl's."""

import shutil
import subprocess
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
    assert below[below.count("Unsafe_GetLong") :] == [""] * count, thread
    assert named[-1] in ("clone3", "clone", "__clone")
    assert thread["complete"]
    assert kind != "compiled" or "runtime" in [frame["unwind"] for frame in thread["frames"]]


def test_a_full_heap_of_java_is_known_by_who_asked_for_memory(classes: Path, tmp_path: Path, lab: Lab) -> None:
    made = crash(tmp_path, shutil.which("java") or "java", *JAVA, classes, "Orders", "heap")
    bundle = tmp_path / "heap.corebox"
    assert lab.corebox("gather", made.core, "-o", bundle).status in (0, 1)
    report = sound_report(lab, bundle, made.core, gdb_alone(made.core, made.executable))
    assert report["why"]["kind"] == "java-out-of-memory"
    assert report["family"].endswith("in libjvm.so(MemAllocator::allocate)")


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
