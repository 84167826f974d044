"""What a session offers: its history, the user's own commands, a Python prompt, and readable containers."""

import hashlib
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.lab import Lab
from tests.support.site import Site
from tests.support.typist import PROMPT, sit_down

PYTHON_PROMPT = b">>> "


def type_at(lab: Lab, subject: object, engine: str, *lines: bytes, options: Sequence[object] = ()) -> str:
    """What a session showed after these lines had been typed."""
    typist = sit_down(lab, subject, "--engine", engine, *options)
    shown = typist.wait_for(PROMPT)
    for line in lines:
        typist.type(line + b"\n")
        shown += typist.wait_for(PROMPT)
    assert typist.leave() == 0
    return shown.decode()


def test_commands_are_known_in_the_next_session_on_the_same_crash(lab: Lab, bundle: Path, engine: str) -> None:
    type_at(lab, bundle, engine, b"print 4100 + 11")
    shown = type_at(lab, bundle, engine, b"show commands")
    assert re.search(r"^ +\d+  print 4100 \+ 11\r?$", shown, re.MULTILINE)
    note = next(lab.home.glob("records/history/*"))
    assert oct(note.stat().st_mode)[-3:] == "600"
    crashes = {each["labels"]["io.corebox.bundle"] for each in lab.done("images", "--json").json["images"]}
    assert note.stem in {hashlib.sha256(each.encode()).hexdigest() for each in crashes}, "prune knows whose it is"


def test_the_history_brings_no_more_out_than_lines_of_text(lab: Lab, bundle: Path, engine: str) -> None:
    """A script of the customer's can write into the pipe what it likes, as much as fits, and into no file outside."""
    evil = r"\x1b[2J\x1b]0;evil\x07\nplain words\n"
    pipe = b"os.open('/.corebox/history.pipe', os.O_WRONLY | os.O_NONBLOCK)"
    write = f"os.write(pipe, b'{evil}' + b'x' * 2000 + b'\\n' + b'y\\n' * 900)".encode()
    fill = b"print('taken', os.write(pipe, b'z' * (1 << 20)))"
    shown = type_at(lab, bundle, engine, b"python import os; pipe = " + pipe + b"; " + write, b"python " + fill)
    taken = re.search(r"taken (\d+)", shown)
    assert taken
    assert int(taken[1]) < 1 << 16
    notes = [path.read_text() for path in lab.home.glob("records/history/*")]
    notes = [each for each in notes if "plain words" in each]
    assert notes
    assert not [each for each in notes for word in ("evil", "xxx", "zzz") if word in each]
    shown = type_at(lab, bundle, engine, b"python open('/.corebox/history', 'w')", b"python open('/.corebox/new', 'w')")
    for path in ("/.corebox/history", "/.corebox/new"):
        assert f"Read-only file system: '{path}'" in shown


def test_the_users_own_commands_come_before_the_core(lab: Lab, bundle: Path, engine: str, tmp_path: Path) -> None:
    own = tmp_path / "my gdbinit"
    settings = "set confirm on\nset print elements 7\nset pagination off\nset print symbol-loading brief\n"
    own.write_text(settings + "echo no core yet\\n\ndefine mine\n  frame function compare\nend\n")
    own.chmod(0o600)
    shown = lab.gdb(bundle, engine, "mine", options=["--gdbinit", own]).output
    before, _, after = shown.partition("Core was generated")
    assert "no core yet\n" in before
    assert after.count("in compare (left=") == 2, "where it crashed, and what the command prints"
    asked = (b"show confirm", b"show print elements", b"show pagination", b"show print symbol-loading")
    shown = type_at(lab, bundle, engine, *asked, b"pipe bt | id", options=["--gdbinit", own])
    for told in ("operations is on", "print is 7", "pagination is off", 'messages is "brief"'):
        assert told in " ".join(shown.split()), shown
    assert "pipe needs a shell, and no program is in this sandbox but gdb" in shown
    missing = lab.corebox("shell", bundle, "--engine", engine, "--gdbinit", tmp_path / "none", "--", "-batch")
    assert (missing.status, "does not exist" in missing.errors) == (3, True)


def test_a_python_prompt(lab: Lab, bundle: Path, engine: str) -> None:
    typist = sit_down(lab, bundle, "--engine", engine, "--python")
    assert b"pipeline was killed by SIGSEGV at address 0x0" in typist.wait_for(PYTHON_PROMPT)
    typist.type(b"gdb.newest_frame().name() * 2\n")
    assert b"'comparecompare'" in typist.wait_for(PYTHON_PROMPT)
    assert typist.leave(b"\x04") == 0


def test_a_core_of_another_program_is_refused(lab: Lab, bundle: Path, site: Site) -> None:
    other = site.crash_faults("containers").core
    refused = lab.corebox("shell", bundle, "--engine", "bubblewrap", "-c", other, "--", "-batch")
    assert (refused.status, "is a core of another program than pipeline" in refused.errors) == (3, True)
    forced = lab.gdb(bundle, "bubblewrap", "info inferiors", options=["-c", other, "--force"])
    assert "its frames will be wrong" in forced.errors


@pytest.fixture(scope="module")
def containers(site: Site, zipapp: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A crash amid containers, gathered with and without what the customer's machine has of pretty-printers."""
    crash = site.crash_faults("containers")
    folder = tmp_path_factory.mktemp(site.suite)
    made = {"theirs": folder / "theirs.corebox", "ours": folder / "ours.corebox"}
    assert site.gather_inside(crash, zipapp, made["theirs"]) == 0
    gather = [sys.executable, str(zipapp), str(crash.core), "--root", str(site.root), "-o", str(made["ours"])]
    hide = f'mount -t tmpfs none {site.root}/usr/share/gdb && exec "$@"'
    subprocess.run(["unshare", "--mount", "sh", "-c", hide, "sh", *gather], check=True, capture_output=True)
    return made


@pytest.mark.parametrize("whose", ["theirs", "ours"])
def test_containers_are_readable(containers: dict[str, Path], whose: str, lab: Lab) -> None:
    taken = lab.done("info", containers[whose], "--json").json["manifest"]["files"]
    assert any("auto-load/usr/lib" in each["path"] for each in taken) == (whose == "theirs")
    commands = ["up", "print words", "print numbers", "print amounts", "info pretty-printer"]
    shown = lab.gdb(containers[whose], "bubblewrap", *commands).output
    assert '= "an order"' in shown
    assert "= std::vector of length 3, capacity 3 = {1, 2, 3}" in shown
    assert 'std::map with 2 elements = {["nails"] = 7, ["screws"] = 40}' in shown
    assert bool(re.search(r"^objfile /.*/libstdc\+\+\.so\.6", shown, re.MULTILINE)) == (whose == "theirs")
    assert re.search(r"^global pretty-printers:\n(  .*\n)*  libstdc\+\+-v6$", shown, re.MULTILINE)
