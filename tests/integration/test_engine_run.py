"""Batch runs in the sandbox: output, status, and an end to all of it."""

import os
import tempfile
from pathlib import Path

import pytest

from corebox.engine.batch import MAX_OUTPUT
from corebox.engine.choose import choose_engine
from corebox.engine.sandbox import Limits, Mount, Sandbox
from corebox.errors import HostError


@pytest.fixture
def root() -> Sandbox:
    """This machine's own files, read-only, as if they were a customer's."""
    return Sandbox(Path("/"), environment={"PATH": "/usr/bin:/bin"})


def test_output_errors_and_status_come_back(any_engine: str, root: Sandbox) -> None:
    done = choose_engine(any_engine).run(root, ["sh", "-c", "echo out; echo err >&2; exit 7"], 60)
    assert (done.status, done.output, done.errors) == (7, b"out\n", b"err\n")


def test_a_command_that_does_not_end_is_stopped(any_engine: str, root: Sandbox) -> None:
    with pytest.raises(HostError) as caught:
        choose_engine(any_engine).run(root, ["sleep", "1000"], 1)
    assert caught.value.code == "time-limit"


def test_who_fills_the_memory_is_stopped(engine: str, root: Sandbox) -> None:
    script = "filled = [b'%d' % number * (1 << 18) for number in range(1024)]"
    narrow = root._replace(limits=Limits(memory=256 << 20))
    assert choose_engine(engine).run(narrow, ["python3", "-c", script], 60).status != 0
    assert choose_engine(engine).run(root, ["python3", "-c", script], 60).status == 0


def test_roots_of_every_shape(any_engine: str, tmp_path: Path) -> None:
    """Thousands of files at the top, names that are not UTF-8, a file at /etc and at /tmp."""
    strange = os.fsdecode(b"caf\xe9")
    for name in ("lib", "lib64", "bin"):
        (tmp_path / name).symlink_to(f"usr/{name}")
    for number in range(5000):
        (tmp_path / f"m{number}.so").write_text(f"the file {number}")
    (tmp_path / strange).mkdir()
    (tmp_path / strange / "x").write_text("strange")
    for name in ("etc", "tmp", "run"):
        (tmp_path / name).write_text("a file")
    folder = tmp_path
    while folder.is_relative_to(tempfile.gettempdir()) and folder != Path(tempfile.gettempdir()):
        folder.chmod(0o755)
        folder = folder.parent
    sandbox = Sandbox(tmp_path, (Mount(Path("/usr"), "/usr"),), {"PATH": "/usr/bin"}, processes=True)
    done = choose_engine(any_engine).run(sandbox, ["sh", "-c", "cat /m0.so /m4999.so /caf*/x /m*.so | wc -c; pwd"], 60)
    length = sum(len(f"the file {number}") for number in range(5000))
    expected = length + len("the file 0the file 4999strange")
    assert (done.status, done.output.split()) == (0, [str(expected).encode(), b"/.corebox/tmp"]), done


HOLDING = """
import ctypes, mmap, os, sys
libc, size = ctypes.CDLL(None, use_errno=True), 1 << 30
libc.shmat.restype = ctypes.c_void_p
def mapped(flags, file=-1):
    held = mmap.mmap(file, size, flags=flags)
    for place in range(0, size, 4096):
        held[place] = 1
def shared(): mapped(mmap.MAP_SHARED | mmap.MAP_ANONYMOUS)
def stack(): mapped(mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x100)
def zero(): mapped(mmap.MAP_SHARED, os.open("/dev/zero", os.O_RDWR))
def file():
    held = os.memfd_create("x")
    for _ in range(1024): os.write(held, bytes(1 << 20))
def system_v():
    got = libc.shmget(0, size, 0o1600)
    assert got >= 0
    ctypes.memset(libc.shmat(got, None, 0), 1, size)
globals()[sys.argv[1]]()
print("held")
"""


@pytest.mark.parametrize("kind", ["shared", "stack", "zero", "file", "system_v"])
@pytest.mark.parametrize("processes", [False, True])
def test_memory_of_every_kind_is_bounded(engine: str, root: Sandbox, kind: str, processes: bool) -> None:
    """Also where a program may share memory with others that it starts: a control group counts them all."""
    narrow = root._replace(limits=Limits(memory=128 << 20, scratch=16 << 20), processes=processes)
    done = choose_engine(engine).run(narrow, ["python3", "-c", HOLDING, kind], 60)
    assert (done.status != 0, done.output) == (True, b""), done


def test_processes_that_fill_the_memory_together_are_stopped(engine: str, root: Sandbox) -> None:
    """Each of them would be allowed to have what it has."""
    script = "import os, time\nfor _ in range(4): os.fork()\nfilled = b'x' * (24 << 20); time.sleep(3); print('held')"
    narrow = root._replace(limits=Limits(memory=128 << 20, scratch=16 << 20), processes=True)
    done = choose_engine(engine).run(narrow, ["python3", "-c", script], 60)
    assert done.output.count(b"held") < 16


def test_a_command_that_writes_for_ever_is_stopped(engine: str, root: Sandbox) -> None:
    done = choose_engine(engine).run(root, ["yes"], 60)
    assert done.status != 0
    assert len(done.output) == MAX_OUTPUT
