"""The one-file program starts quickly: it reads each module once, and none that it is not called for."""

import gzip
import os
import subprocess
import sys
from pathlib import Path

import pytest

from corebox.gather.cli import _read_in_full, main
from corebox.gather.options import make_parser
from corebox.gather.zipapp import make_zipapp

# Python has no bytecode of what is in an archive; zipimport's own importer compiles each module twice.
_WATCH = """
import builtins, runpy, sys
compiled, real = [], builtins.compile
def watch(source, name, *rest, **named):
    compiled.append(str(name))
    return real(source, name, *rest, **named)
builtins.compile = watch
import os
os._exit = sys.exit
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit:
    for name in compiled:
        if ".pyz/corebox/" in name:
            print("compiled", name)
    print("loaded", *sys.modules)
"""
_PROGRAMS_AND_ARCHIVES = {"subprocess", "tarfile", "zipfile", "tempfile", "logging", "concurrent.futures"}
_SELDOM = {
    f"corebox.gather.{name}"
    for name in (
        *("also", "compressed", "container", "dwo", "handler", "light", "live", "packagedb", "reduce", "systemd"),
        *("tree", "zipapp"),
    )
}


def start(folder: Path, *arguments: str) -> tuple[list[str], set[str]]:
    """Which files of the program were compiled, and all modules that are loaded in the end."""
    program = folder / "gather.pyz"
    make_zipapp(str(program))
    script = f"import sys; sys.argv = {[str(program), *arguments]!r}{_WATCH}"
    done = subprocess.run([sys.executable, "-S", "-c", script], capture_output=True, text=True, check=True)
    words = [line.split() for line in done.stdout.splitlines()]
    (loaded,) = [line[1:] for line in words if line[:1] == ["loaded"]]
    return [line[1] for line in words if line[:1] == ["compiled"]], set(loaded)


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_the_version_and_the_help_do_without_what_gathers(option: str, tmp_path: Path) -> None:
    compiled, loaded = start(tmp_path, option)
    assert len(set(compiled)) == len(compiled) < 12
    assert loaded & ({"json", "ctypes", "corebox.gather.job", "corebox.bundle"} | _PROGRAMS_AND_ARCHIVES) == set()


def test_a_gathering_reads_what_it_needs_once(core_path: Path, root: Path, tmp_path: Path) -> None:
    arguments = [str(core_path), "--root", str(root), "--no-nice", "-o", str(tmp_path / "x.corebox")]
    compiled, loaded = start(tmp_path, *arguments)
    assert (tmp_path / "x.corebox").exists()
    assert len(set(compiled)) == len(compiled)
    assert loaded & (_PROGRAMS_AND_ARCHIVES | _SELDOM | {"corebox.bundle.envelope", "corebox.reduce.slim"}) == set()


@pytest.mark.parametrize("way", ["archive", "module"])
def test_ctrl_c_while_it_starts_is_told_without_a_traceback(way: str, tmp_path: Path) -> None:
    program = tmp_path / "gather.pyz"
    make_zipapp(str(program))
    run = f"run_path({str(program)!r}" if way == "archive" else "run_module('corebox.gather'"
    script = f"""if True:
        import os, runpy, signal, sys
        class Interrupt:
            def find_spec(self, name, *rest):
                if name == "corebox.gather.preset":
                    os.kill(os.getpid(), signal.SIGINT)
        signal.signal(signal.SIGINT, signal.default_int_handler)  # the jobs that a shell runs beside it ignore it
        sys.meta_path.insert(0, Interrupt())
        sys.argv = ["gather.pyz", "core"]
        runpy.{run}, run_name="__main__")"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "interrupted; no partial files were left behind\n")


def test_a_directory_that_is_gone_is_told(core_path: Path, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    script = "import os, sys; os.rmdir(os.getcwd()); from corebox.gather.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", script, str(core_path)]
    done = subprocess.run(command, cwd=gone, env={}, capture_output=True, text=True, check=False)
    assert done.returncode == 4
    assert "the current directory was removed" in done.stderr
    assert "hint: cd to a directory that exists" in done.stderr


def test_only_what_is_read_in_full_is_looked_through_ahead(core_path: Path, tmp_path: Path) -> None:
    packed = tmp_path / "core.gz"
    packed.write_bytes(gzip.compress(core_path.read_bytes()[:100]))
    given = {str(core_path): [str(core_path)], None: [str(packed)]}
    for path, words in given.items():
        assert _read_in_full(make_parser().parse_args(words)) == path
    for more in ("--slim", "--no-core", "--list", "--dry-run"):
        assert _read_in_full(make_parser().parse_args([str(core_path), more])) is None
    assert _read_in_full(make_parser().parse_args(["--pid", "1"])) is None


def test_a_named_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "core")
    assert main([str(tmp_path / "core")]) == 3
