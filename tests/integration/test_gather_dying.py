"""The handler reads a dying process in place of its core: the bundle is the same, and nothing else is written."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from corebox.gather.cli import main
from corebox.unbundle.verify import verify_bundle
from tests.support.handler import PATTERN, bundle_of, handler_in
from tests.support.programs import FOLDER

pytestmark = pytest.mark.alone

SECRET = b"secret of the environment"


def crashed(*command: str | Path, root: Path | None = None) -> int:
    """Its process ID, when a signal has ended it and its parent has learnt of a core."""
    words = ["/usr/sbin/chroot", root, *command] if root else list(command)
    died = subprocess.Popen([str(word) for word in words], cwd="/", env={"KEY": SECRET.decode()})
    status = os.waitid(os.P_PID, died.pid, os.WEXITED | os.WNOWAIT)
    died.wait()
    assert status
    assert (status.si_code, status.si_status) == (os.CLD_DUMPED, 11)
    return died.pid


@pytest.fixture(scope="module")
def threads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program with threads, a list in its heap, memory that it shares, and much that it never touched."""
    out = tmp_path_factory.mktemp("program") / "threads"
    subprocess.run(["gcc", "-g", "-O0", "-pthread", "-static", "-o", out, FOLDER / "handler" / "threads.c"], check=True)
    return out


@contextlib.contextmanager
def both(place: Path, *options: str) -> Iterator[Path]:
    """A handler that lets a program behind it have the raw core of each crash first: what the kernel itself writes."""
    with handler_in(place, *options):
        script = place.parent / "tee"
        script.write_text(f'#!/bin/sh\ntee {place.parent}/raw-$1 | {place}/corebox-handler "$@"\n')
        script.chmod(0o700)
        PATTERN.write_text(f"|{script} %P %t %u %F %E\n")
        yield place


def core_in(bundle: Path, folder: Path) -> bytes:
    folder.mkdir()
    subprocess.run(["tar", "--zstd", "-xf", bundle, "-C", folder, "core"], check=True)
    return (folder / "core").read_bytes()


@pytest.mark.parametrize("options", [["--slim"], ["--slim", "--redact", "env"], []], ids=["slim", "redacted", "whole"])
def test_the_core_is_the_one_that_the_kernel_writes(threads: Path, tmp_path: Path, options: list[str]) -> None:
    """Byte for byte, of a program in another root: the same threads, registers and memory."""
    root = tmp_path / "root"
    root.mkdir()
    shutil.copy(threads, root / "threads")
    with both(tmp_path / "crashes", "--no-nice", *options) as place:
        pid = crashed("/threads", root=root)
        bundle = bundle_of(place, pid)
        assert sorted(path.suffix for path in place.glob(f"*-{pid}-*")) == [".corebox"]
    assert verify_bundle(bundle).ok
    raw = tmp_path / f"raw-{pid}"
    out = tmp_path / "raw.corebox"
    main([str(raw), "-o", str(out), "--root", str(root), *options])
    assert core_in(bundle, tmp_path / "handled") == core_in(out, tmp_path / "gathered")
    if options[1:]:
        assert SECRET in raw.read_bytes()
        assert SECRET not in core_in(bundle, tmp_path / "searched")
