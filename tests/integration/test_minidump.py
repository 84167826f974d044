"""A minidump of a crash, read by lldb: the stacks are those that gdb finds in the core."""

import re
import subprocess
from pathlib import Path

from tests.support.editors import crash_of_items
from tests.support.lab import Lab

_THREAD = re.compile(r"[ *]+thread #\d+")
_FRAME = re.compile(r"[ *]+frame #\d+: (0x[0-9a-f]{16}) (.*)")


def lldb(*words: object) -> str:
    command = ["lldb-16", "--batch", "--no-lldbinit", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


def stacks(said: str) -> list[list[int]]:
    """The addresses of each thread's frames; of those that are inlined in one another that of the innermost."""
    found: list[list[int]] = []
    inside = False
    for line in said.splitlines():
        if _THREAD.match(line):
            found.append([])
            inside = False
        elif frame := _FRAME.match(line):
            if not inside:
                found[-1].append(int(frame[1], 16))
            inside = "[inlined]" in frame[2]
    return found


def test_lldb_reads_the_same_frames(lab: Lab, tmp_path: Path) -> None:
    image = crash_of_items(lab, tmp_path / "app")
    out = tmp_path / "x.dmp"
    shown = lab.done("export", image, "--minidump", out).output
    assert shown.startswith(f"minidump {out}, ")
    assert out.stat().st_mode & 0o777 == 0o600
    assert out.stat().st_size < 100_000
    said = lldb("--core", out, "-o", "bt all", "-o", "image list", "-o", "register read rip rsp rflags")
    report = lab.done("report", image, "--engine", "bubblewrap", "--format", "json").json
    crashed, other = stacks(said)
    frames = [int(each["pc"], 16) for each in report["threads"][0]["frames"] if each["kind"] != "inline"]
    assert crashed[: len(frames)] == frames, "gdb ends at main"
    assert len(frames) > 3
    assert re.search(r"frame #0: .* items`compare\(", said)
    assert "stop reason = signal SIGSEGV" in said
    assert [each["pc"] for each in report["threads"][1]["frames"]][:1] == [f"{other[0]:#x}"]
    for module in report["manifest"]["modules"]:
        assert module["build_id"]["memory"].upper() in said.replace("-", ""), "lldb has the file of that build ID"
    rip, rsp = (int(re.search(rf"{name} = (0x[0-9a-f]+)", said)[1], 16) for name in ("rip", "rsp"))  # type: ignore[index]
    registers = {each["name"]: each["value"] for each in report["registers"]}
    assert (rip, rsp) == (int(registers["rip"], 16), int(registers["rsp"], 16))
    told = lab.corebox("import", out, "-o", tmp_path / "x.corebox")
    assert told.status == 3
    threads, modules = len(report["threads"]), len(report["manifest"]["modules"])
    assert f"Linux on x86-64, {threads} threads, {modules} modules, " in told.errors
    assert f"lldb --core {out}" in told.errors
    assert not (tmp_path / "x.corebox").exists()
