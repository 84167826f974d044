"""What greets the user of a session, its commands, and what is put right when a core is opened."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from corebox.gdbside import selection
from corebox.gdbside.memory.mapped import MappedCore
from corebox.gdbside.session import commands, history, opened, packages, programs
from corebox.gdbside.values import cxxprinters
from tests.support import gdbmodule
from tests.support.elfwriter import Format, module
from tests.support.gdbmodule import Frame, GdbError, Objfile, State, Value, error, thread
from tests.unit.bundle import samples
from tests.unit.gdbside import standin

APP, LIBRARY = "/opt/app/bin/app", "/usr/lib/libx.so.1.2"


def facts(**process: Any) -> dict[str, Any]:
    """A manifest as the image has it."""
    found: dict[str, Any] = samples.manifest().to_json()
    found["process"] |= process
    return found


@pytest.fixture(autouse=True)
def places(gdb: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A manifest, and no notes of corebox."""
    (tmp_path / "manifest.json").write_text(json.dumps(facts()))
    for owner in (commands, opened):
        monkeypatch.setattr(owner, "MANIFEST", tmp_path / "manifest.json")
    monkeypatch.setattr(commands, "SYMBOLS", tmp_path / "symbols.json")
    start = int(facts()["modules"][0]["start"], 16)
    frames = (
        Frame(start + 16, "deep\x1b[31m", 12, "/src/x.c", {"sp": 1}),
        Frame(0x10, None, registers={"sp": 2}, reason=gdbmodule.FRAME_UNWIND_OUTERMOST),
    )
    gdb.program = APP
    gdb.libraries = {(start, start + 4096): LIBRARY}
    gdb.open(thread(1, *frames), thread(2, Frame(0x20, "wait", registers={"sp": 3})))
    gdb.threads[1].switch()
    return tmp_path


def test_the_banner_says_what_crashed_where_and_how_far_files_can_be_trusted(gdb: State) -> None:
    lines = commands.banner(facts())
    assert lines[0] == f"{APP} was killed by SIGSEGV at address 0xdead"
    assert lines[1].startswith("The cause cannot be determined"), "there is no core"
    assert lines[2] == f"in thread 1 of 2 (LWP 100): deep\x1b[31m at /src/x.c:12, {LIBRARY}"
    assert "2 of 2 modules verified" in lines
    assert "0 of 2 modules with full symbols" in lines
    assert f"  not known: {LIBRARY} (build ID {samples.LIBRARY_ID})" in lines
    assert lines[-1].startswith("more: ")
    assert gdb.thread is gdb.threads[1], "what was selected is selected again"


def test_the_banner_of_a_copy_with_doubtful_files(gdb: State, places: Path) -> None:
    doubtful = facts(signal_name=None, executable=None)
    doubtful["modules"] = [{**doubtful["modules"][0], "verdict": "mismatch"} for _ in range(12)]
    doubtful["core"]["truncated"] = True
    gdb.values["(unsigned long) &_PyRuntime"] = Value(1)
    lines = commands.banner(doubtful)
    assert lines[0] == "app was running when the core was taken"
    assert lines.count(f"  mismatch: {LIBRARY}") == 10
    assert "  and 2 more" in lines
    assert "the core is truncated: some memory cannot be read" in lines
    assert 'it runs Python: "py-bt" shows the Python stack' in lines


def test_what_corebox_knows_of_symbols_is_told(gdb: State, places: Path) -> None:
    noted = {
        "program": "python app.py",
        "modules": [{"symbols": "partial", "package": "libx 1.2"}, {"symbols": "full"}],
    }
    (places / "symbols.json").write_text(json.dumps(noted))
    lines = commands.banner(facts())
    assert lines[0].startswith("python app.py was killed")
    assert "1 of 2 modules with full symbols" in lines
    assert f"  partial: {LIBRARY} (build ID {samples.LIBRARY_ID}, package libx 1.2)" in lines
    gdb.files = [Objfile("/lib/libx.so.1"), Objfile("/.corebox/debug/x", owner=Objfile("/lib/libx.so.1"))]
    first, second = commands.module_lines()
    assert first.startswith("verified")
    assert first.endswith("(symbols: partial, in /.corebox/debug/x)")
    assert second.endswith("(not opened)")


def test_without_a_core_nothing_is_told_of_it(gdb: State) -> None:
    gdb.thread = None
    assert commands.in_crashed_thread(lambda: ["never"]) == []
    with pytest.raises(error, match="no core is open"):
        selection.thread()


def test_an_error_of_gdbs_is_a_line(gdb: State) -> None:
    def tell() -> list[str]:
        raise error("No frame selected")

    assert commands.in_crashed_thread(tell) == ["not available: No frame selected"]


def test_commands_print_lines_that_move_no_cursor(gdb: State) -> None:
    commands.begin()
    assert {"corebox why", "corebox modules", "corebox stack", "corebox python", "py-bt"} <= set(gdb.commands)
    gdb.threads[0].switch()
    gdb.commands["corebox stack"].invoke("", False)
    text = "".join(gdb.written)
    assert "deep\\x1b[31m" in text
    assert "\x1b" not in text
    assert text.splitlines()[-1].startswith("the stack ends here: ")
    gdb.written.clear()
    gdb.commands["py-bt"].invoke("", False)
    assert gdb.written == ["there is no CPython in this core\n"]


def test_the_banner_comes_once_at_the_first_prompt(gdb: State, capsys: pytest.CaptureFixture[str]) -> None:
    commands.begin()
    assert "set pagination off" in gdb.executed
    (greet,) = gdbmodule.events.before_prompt.listeners
    greet()
    assert capsys.readouterr().out.startswith(f"{APP} was killed by SIGSEGV")
    assert gdbmodule.events.before_prompt.listeners == []
    assert gdb.executed[-2:] == ["set print symbol-loading full", "set pagination on"]


def test_what_the_user_sets_holds_at_the_prompt(
    gdb: State, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(commands, "_kept", {"print symbol-loading": "full", "pagination": "on"})
    commands.begin()
    commands.before_user()
    assert gdb.executed[-2:] == ["set print symbol-loading full", "set pagination on"]
    gdb.parameters = {"print symbol-loading": "brief", "pagination": False}
    commands.after_user()
    gdbmodule.events.before_prompt.listeners[0]()
    assert gdb.executed[-2:] == ["set print symbol-loading brief", "set pagination off"]


@pytest.mark.parametrize(("name", "says"), [("run", "corebox rerun"), ("attach", "no process"), ("shell", "--output")])
def test_what_a_session_cannot_do_is_told_with_what_can_be_done(gdb: State, name: str, says: str) -> None:
    programs.refuse()
    with pytest.raises(GdbError, match=says):
        gdb.commands[name].invoke("", True)


# History


def test_commands_of_earlier_sessions_are_read_and_handed_on(
    gdb: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    past, file, pipe = tmp_path / "history", tmp_path / "gdb_history", tmp_path / "pipe"
    for name, value in (("PAST", past), ("FILE", file), ("PIPE", str(pipe))):
        monkeypatch.setattr(history, name, value)
    ended: list[object] = []
    monkeypatch.setattr(history.atexit, "register", ended.append)
    history.begin()
    assert (gdb.executed, ended) == ([], [])
    past.write_bytes(b"bt\n")
    history.begin()
    assert file.read_bytes() == b"bt\n"
    assert ended == [history.end]
    assert f"set history filename {file}" in gdb.executed
    file.write_bytes(b"".join(b"command %d\n" % number for number in range(10_000)))
    os.mkfifo(pipe)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    history.end()
    handed = os.read(reading, 1 << 20)
    os.close(reading)
    assert handed.endswith(b"command 9999\n")
    assert handed.startswith(b"command ")
    assert history.MAX_SIZE - 32 < len(handed) <= history.MAX_SIZE, "what fits into a pipe"


# Packages


def test_packages_of_the_users_are_imported(gdb: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "HOME", tmp_path / "python")
    monkeypatch.setattr(sys, "path", list(sys.path))
    packages.load()
    for number, files in enumerate(
        ({"ours_fine.py": "import gdb", "json.py": "", "x.txt": ""}, {"ours_bad/__init__.py": "1/0"})
    ):
        for name, text in files.items():
            path = tmp_path / "python" / str(number) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    packages.load()
    assert "ours_fine" in sys.modules
    assert gdb.written == [
        "--python-path: cannot import json: Python, gdb or corebox has a module of this name: rename it\n",
        "--python-path: cannot import ours_bad: division by zero\n",
    ]
    assert sys.path[-2:] == [str(tmp_path / "python/0"), str(tmp_path / "python/1")]
    del sys.modules["ours_fine"]


def test_our_printers_leave_the_name_to_the_customers(
    gdb: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cxxprinters, "HOME", str(tmp_path))
    before = list(sys.path)
    cxxprinters.register()
    assert sys.path == before
    package = tmp_path / "libstdcxx/v6"
    package.mkdir(parents=True)
    text = "import gdb\ndef register_libstdcxx_printers(where):\n    gdb.set_parameter('registered', where is None)\n"
    (package / "printers.py").write_text(text)
    cxxprinters.register()
    assert gdb.parameters == {"registered": True}
    assert sys.path == before
    assert not [name for name in sys.modules if name.startswith("libstdcxx")]


# When a core is opened


def mapped_core(*files: tuple[int, int, int, str], auxv: dict[int, int] | None = None) -> MappedCore:
    core = standin.core(*files)
    core.auxv = auxv or {}
    return core


def write_modules(places: Path, *modules: dict[str, Any]) -> None:
    (places / "manifest.json").write_text(json.dumps({"modules": modules}))


def entry(path: Path, start: int, *, executable: bool = False, verdict: str = "verified") -> dict[str, Any]:
    return {"path": str(path), "start": hex(start), "executable": executable, "verdict": verdict}


def test_modules_that_gdb_has_not_loaded_are_put_where_they_were(gdb: State, places: Path) -> None:
    path, known = places / "lib x.so", places / "known.so"
    for each in (path, known):
        each.write_bytes(module(Format(), b"\x01" * 20))
    write_modules(
        places,
        entry(path, 0x10000),
        entry(known, 0x20000),
        entry(places / "gone.so", 0x30000),
        entry(path, 0x40000, verdict="mismatch"),
    )
    (places / "text.so").write_text("no ELF file")
    gdb.libraries = {(0x20000, 0x22000): str(known)}
    opened.add_modules(mapped_core((0x10000, 0x12000, standin.CODE, str(path))))
    quoted = str(path).replace(" ", "\\ ")
    assert gdb.executed == [f"add-symbol-file {quoted} -o 0x10000"]


def test_the_executable_is_a_program_and_not_a_library(gdb: State, places: Path) -> None:
    path = places / "app"
    path.write_bytes(module(Format(), b"\x01" * 20))
    write_modules(places, entry(path, 0x10000, executable=True))
    gdb.program, gdb.libraries = str(path), {}
    opened.add_modules(mapped_core((0x10000, 0x12000, standin.CODE, str(path))))
    assert gdb.executed == [f"symbol-file {path} -o 0x10000"]
    gdb.program = "line\nbreak"
    write_modules(places, entry(Path("line\nbreak"), 0x10000))
    opened.add_modules(mapped_core((0x10000, 0x12000, standin.CODE, str(path))))
    assert len(gdb.executed) == 1, "no name is more than a name"


def test_a_program_whose_headers_read_as_zeros_is_moved(gdb: State, places: Path) -> None:
    path = places / "app"
    path.write_bytes(module(Format(), b"\x01" * 20))
    gdb.program = str(path)
    core = mapped_core(auxv={3: 0x10040, 9: 0x10000})
    opened.place_executable(core)
    assert gdb.executed == [], "the memory cannot be read"
    gdb.memory = standin.Memory({0x10040: bytes(32)})
    opened.place_executable(core)
    assert gdb.executed == [f"symbol-file -o 0x10000 {path}"]
    gdb.memory = standin.Memory({0x10040: b"\1" * 32})
    opened.place_executable(core)
    opened.place_executable(mapped_core())
    assert len(gdb.executed) == 1, "gdb has found out itself"


def test_an_editor_is_greeted_when_the_core_is_open(
    gdb: State, places: Path, opened: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from corebox.gdbside.session import opened as opening

    write_modules(places)
    opening.prepare(lambda: ["a line", "another"])
    (changed,) = gdbmodule.events.corefile_changed.listeners
    changed(None)
    assert capfd.readouterr().out == ""
    monkeypatch.setitem(sys.modules, "gdb.dap", gdbmodule)
    changed(None)
    assert capfd.readouterr().out == "a line\nanother\n"
    gdb.thread = None
    changed(None)
    assert capfd.readouterr().out == "", "it was closed"


def test_a_core_of_another_processor_is_opened_without_what_misleads(gdb: State) -> None:
    said = "warning: Unable to find libthread_db matching\nCore was generated by `x'.\n#0  0x1 in ?? ()\n"
    gdb.said["core-file"] = said
    opened.open_core("/.corebox/core")
    assert gdb.written == ["Core was generated by `x'.\n"]
    assert gdb.executed == ["core-file /.corebox/core", "frame"]
