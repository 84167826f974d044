"""A customer's script that runs in the same gdb forges the report: it costs neither memory nor time."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.crashes import build_program
from tests.support.lab import Lab

#: Writes what our own Python would write, 62 MB of it; corebox's own gdb has not begun with its report by then.
SCRIPT = """
import os
unit = {unit!r}
found = b"[" + b",".join([unit] * ((62 << 20) // (len(unit) + 1))) + b"]"
head = b'\\x1ecorebox-answer {{"version":1,"step":0,"part":"stacks","error":null,"found":{{"threads":'
data = head + found + b',"total":1,"gdb":null,"python":false}}}}\\x1e\\n'
for _ in range({times}):
    left = memoryview(data)
    while left:
        left = left[os.write(1, left):]
"""
RUN = """
import sys
from corebox.cli.main import main
status = main(sys.argv[1:])
# Not ru_maxrss, which begins with what its parent had, the tests (execve(2) keeps it).
(peak,) = (line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM:"))
print("peak", int(peak) >> 10, file=sys.stderr)
sys.exit(status)
"""
UNITS = {"lists": b"[]", "frames": b'{"pc":"0x1","kind":"normal","function":"f","file":null,"line":1,"unwind":"cfi"}'}
MAX_COUNT = 200  # MB


@pytest.mark.parametrize("kind", UNITS)
@pytest.mark.parametrize("times", [1, 20])
def test_a_forged_report_of_62_mb(lab: Lab, tmp_path: Path, kind: str, times: int) -> None:
    program = build_program(tmp_path / "app")
    Path(f"{program.library}-gdb.py").write_text(SCRIPT.format(unit=UNITS[kind], times=times))
    bundle = tmp_path / "x.corebox"
    lab.done("gather", program.crash(), "-o", bundle, "--no-nice")
    lab.build(bundle)
    words = ["report", str(bundle), "--engine", "bubblewrap", "--format", "json"]
    done = subprocess.run(
        [sys.executable, "-c", RUN, *words],
        env={"COREBOX_HOME": str(lab.home), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode in (0, 1, 3), done.stderr
    assert "Traceback" not in done.stderr
    peak = int(done.stderr.rpartition("peak ")[2])
    assert peak < MAX_COUNT, f"{peak} MB"
