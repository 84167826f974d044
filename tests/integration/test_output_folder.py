"""Files leave the sandbox into one folder."""

from pathlib import Path

from tests.support.crashes import Program
from tests.support.lab import Lab


def test_what_gdb_and_a_script_write(lab: Lab, program: Program, any_engine: str, tmp_path: Path) -> None:
    bundle, out = tmp_path / "x.corebox", tmp_path / "out"
    lab.done("gather", program.crash(), "-o", bundle, "--no-nice")
    script = tmp_path / "s.py"
    script.write_text(
        "import gdb, os\n"
        "gdb.execute('set logging file log.txt')\ngdb.execute('set logging enabled on')\ngdb.execute('backtrace')\n"
        "gdb.execute('set logging enabled off')\n"
        "gdb.execute('dump binary memory stack.bin $sp $sp+64')\n"
        "os.symlink('/etc/passwd', 'passwd')\n"
    )
    done = lab.done("run", bundle, script, "--engine", any_engine, "--output", out)
    assert "fail ()" in (out / "log.txt").read_text()
    assert (out / "stack.bin").stat().st_size == 64
    assert sorted(path.name for path in out.iterdir()) == ["log.txt", "stack.bin"]
    assert "passwd is not copied: it is not a regular file" in done.errors
    again = ("shell", bundle, "--engine", any_engine, "--output", out, "--", "-batch", "-ex", "dump value v.bin $pc")
    assert "log.txt" not in lab.done(*again).errors
    assert (out / "v.bin").exists()
    assert list((lab.home / "tmp").rglob("log.txt")) == []
    refused = lab.corebox("shell", bundle, "--engine", any_engine, "--", "-batch", "-ex", "gcore x.core")
    assert "this one's is there: corebox export SUBJECT --core FILE" in refused.errors
