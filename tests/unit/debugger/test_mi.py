"""What is changed between a client of gdb's machine interface and gdb."""

import io
import subprocess
from pathlib import Path
from typing import BinaryIO, cast

import pytest

from corebox.debugger import mi
from corebox.debugger.adapter import Client
from corebox.debugger.mi import Mapped, Translator, quote, relay, shortened
from corebox.debugger.sources import SourceFolder
from corebox.errors import HostError


@pytest.mark.parametrize(
    "command",
    [
        "-target-select core /home/me/core",
        "-target-select --thread-group i1 core /home/me/core",
        '-interpreter-exec console "core-file \\"/home/me/my core\\""',
        '-interpreter-exec --thread-group i1 console "target core x"',
        "core-file x",
        "core x\r\n",
    ],
)
def test_every_core_is_the_crash(command: str) -> None:
    assert Translator(()).to_gdb(f"42{command}") == "42-target-select core /.corebox/core"


@pytest.mark.parametrize(
    "command",
    [
        "-file-exec-and-symbols --thread-group i1 /home/me/app",
        "file /home/me/app",
        "-gdb-set sysroot /x",
        '-interpreter-exec console "set solib-search-path /x"',
        "-environment-cd /x",
    ],
)
def test_what_would_open_another_program_does_nothing(command: str) -> None:
    said = Translator(()).to_gdb(f"7{command}")
    assert said.startswith('7-interpreter-exec console "python print(')


@pytest.mark.parametrize(
    "command", ["-exec-run", "-exec-next 3", "-exec-continue --all", "-target-attach 1", "-target-select remote :1"]
)
def test_what_needs_a_process_is_refused(command: str) -> None:
    said = Translator(()).to_gdb(f"7{command}")
    assert said.startswith('7-interpreter-exec console "python raise gdb.GdbError(')
    assert "not a running one" in said


@pytest.mark.parametrize(
    "command",
    [
        *("-stack-list-frames 0 9", "-exec-arguments a b", "print core", "list main", "corebox why", ""),
        *("-gdb-set print pretty on", "info files", "-file-list-exec-source-files", "-enable-pretty-printing"),
    ],
)
def test_all_else_is_handed_on(command: str) -> None:
    assert Translator(()).to_gdb(f"12{command}\n") == f"12{command}"


@pytest.mark.parametrize("command", ["-gdb-exit", "quit", '-interpreter-exec console "quit"', "q"])
def test_the_last_word_is_known(command: str) -> None:
    made = Translator(())
    made.to_gdb(f"1{command}")
    assert made.ended


def test_names_of_sources_are_those_of_the_client_and_back(tmp_path: Path) -> None:
    folder = tmp_path / 'my "own" é'
    folder.mkdir()
    (folder / "sort.c").touch()
    made = Translator((SourceFolder(folder, "/build/acme"),))
    told = made.to_client(rb'4^done,frame={file="sort.c",fullname="/build/acme/sort.c",line="1"}')
    named = quote(str(folder / "sort.c").encode())
    assert told == b'4^done,frame={file="sort.c",fullname=' + named + b',line="1"}'
    assert rb"\"own\" \303\251/sort.c" in told
    asked = made.to_gdb(f"-data-disassemble -f {folder / 'sort.c'} -l 1 -- 0")
    assert asked == "-data-disassemble -f /build/acme/sort.c -l 1 -- 0"
    other = b'^done,value="fullname=\\"/build/acme/sort.c\\"",fullname="/build/other.c"'
    assert made.to_client(other) == other
    assert made.to_client(b'~"fullname=\\"/build/acme/sort.c\\""') == b'~"fullname=\\"/build/acme/sort.c\\""'


def test_frames_without_symbols_are_named_by_their_module() -> None:
    made = Translator((), (Mapped(0x1000, 0x2000, 'lib"x.so'),))
    told = made.to_client(b'1^done,frame={addr="0x0000000000001234",func="??",from="/lib/x.so"}')
    assert told == rb'1^done,frame={addr="0x0000000000001234",func="lib\"x.so+0x234",from="/lib/x.so"}'
    for line in (b'^done,frame={addr="0x0000000000002000",func="??"}', b'^done,frame={addr="0x1",func="main"}'):
        assert made.to_client(line) == line


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (b"raw \x1b[1m text", b'@"raw \\033[1m text\\n"'),
        (b"", b'@"\\n"'),
        (b'~"red \x1b[31m"', b'~"red \\033[31m"'),
        (b"\xff\xfe", b'@"\\377\\376\\n"'),
        (b"(gdb) ", b"(gdb) "),
        (b"9^done", b"9^done"),
        (b'=breakpoint-modified,bkpt={number="1"}', b'=breakpoint-modified,bkpt={number="1"}'),
    ],
)
def test_only_records_reach_the_client(line: bytes, shown: bytes) -> None:
    assert Translator(()).to_client(line) == shown


def test_large_records_are_cut_or_refused() -> None:
    text = b'~"' + rb"\303\251" * 100_000
    cut = shortened(text, len(text))
    assert len(cut) <= mi.MAX_LENGTH + 20
    assert cut.endswith((rb'\303\251\342\200\246\n"', rb'\303\342\200\246\n"'))
    slashes = b'~"' + rb"\\" * 200_000 + b'"'
    assert shortened(slashes, len(slashes)).replace(rb"\\", b"").startswith(b'~"\\342')
    answer = shortened(b"17^done,value=", mi.MAX_SIZE + 1)
    assert answer.startswith(b'17^error,msg="the answer is too large (16,384 KiB)')
    assert shortened(b"*stopped,x=", mi.MAX_SIZE + 1).startswith(b'&"the answer is too large')
    assert shortened(b"x" * 300_000, 300_000) == b"x" * mi.MAX_LENGTH
    assert shortened(b"17^done", 7) == b"17^done"


def test_a_gdb_that_ends_by_itself_is_told() -> None:
    said = io.BytesIO()
    words = ["echo", "(gdb) "]
    with (
        subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as silent,
        subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as gdb,
    ):
        assert silent.stdout
        assert silent.stdin
        client = Client(cast("BinaryIO", silent.stdout), said)
        with pytest.raises(HostError, match="gdb ended unexpectedly"):
            relay(client, gdb, Translator(()))
        silent.stdin.close()
    assert said.getvalue() == b"(gdb) \n"
