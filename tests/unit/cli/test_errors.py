"""Every error is documented, means one thing, and is printed in one way."""

import errno
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from corebox import errors
from corebox.cli import output
from corebox.cli.main import main
from corebox.errors import CoreboxError, InputError, system_message
from corebox.store.store import Store
from tests.support.documents import validate
from tests.support.errorcodes import codes_in_source

DOCUMENT = Path(__file__).parents[3] / "docs" / "reference" / "errors.md"


def _documented() -> dict[str, int]:
    """Each section's code with the exit status that it states."""
    sections = re.findall(r"^## (\S+)\n\*Exit status (\d)\.\*$", DOCUMENT.read_text(), re.MULTILINE)
    return {code: int(status) for code, status in sections}


def test_each_code_is_raised_as_one_class() -> None:
    assert {code: classes for code, classes in codes_in_source().items() if len(classes) > 1} == {}


def test_each_code_has_a_section_with_its_exit_status() -> None:
    raised = {code: getattr(errors, next(iter(classes))).exit_status for code, classes in codes_in_source().items()}
    assert _documented() == raised


def test_sections_are_sorted() -> None:
    codes = re.findall(r"^## (\S+)$", DOCUMENT.read_text(), re.MULTILINE)
    assert codes == sorted(codes)


def test_codes_are_kebab_case() -> None:
    assert [code for code in codes_in_source() if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", code)] == []


def test_exit_statuses_differ() -> None:
    kinds = (errors.UsageError, errors.InputError, errors.HostError, errors.CoreboxError)
    assert [kind.exit_status for kind in kinds] == [2, 3, 4, 5]


def test_an_error_without_a_hint_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="helps nobody"):
        InputError("some-code", "something is wrong", "")


def test_an_error_is_two_lines_without_anything_a_terminal_would_obey(capsys: pytest.CaptureFixture[str]) -> None:
    output.complain(InputError("some-code", "lib\x1b[2J\udcff.so\nerror: faked is missing", "look at it"))
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "\x1b" not in printed.err
    assert printed.err.count("\n") == 2
    assert printed.err.splitlines()[1] == "hint: look at it"


def test_a_bug_is_one_line_and_where_to_report_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("COREBOX_DEBUG", raising=False)
    monkeypatch.setenv("COREBOX_HOME", str(tmp_path))
    monkeypatch.setattr(Store, "images", _raise(KeyError("surprise")))
    assert main(["images"]) == 5
    assert capsys.readouterr().err == (
        "error: a bug in corebox: KeyError: 'surprise'\n"
        "hint: please report it with the output of the same command under COREBOX_DEBUG=1\n"
    )
    monkeypatch.setenv("COREBOX_DEBUG", "1")
    assert main(["images"]) == 5
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("raised", "status"),
    [(KeyboardInterrupt(), 130), (CoreboxError("some-code", "m", "h"), 5)],
    ids=["ctrl-c", "our own"],
)
def test_what_ends_a_command_becomes_a_status(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, raised: BaseException, status: int
) -> None:
    monkeypatch.setenv("COREBOX_HOME", str(tmp_path))
    monkeypatch.setattr(Store, "images", _raise(raised))
    assert main(["images"]) == status


def test_what_is_raised_on_the_way_out_of_ctrl_c_is_ctrl_c(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_: object) -> None:
        try:
            raise KeyboardInterrupt
        finally:
            os.close(os.open(tmp_path, os.O_RDONLY) + 1000)  # as shutil.rmtree may

    monkeypatch.setenv("COREBOX_HOME", str(tmp_path))
    monkeypatch.setattr(Store, "images", interrupted)
    assert main(["images"]) == 130
    assert capsys.readouterr().err.strip() == "interrupted; no partial files were left behind"


@pytest.mark.parametrize("words", [["--help"], ["images"], ["gather", "--help"]], ids=" ".join)
def test_a_reader_that_has_seen_enough_hears_no_complaint(words: list[str], tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    environment = {**os.environ, "COREBOX_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "corebox", *words]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, check=False, env=environment)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


def test_of_an_error_in_the_wrappings_of_libraries_the_systems_words_are_told() -> None:
    wrapped = ValueError("ConnectionError(ProtocolError('Connection aborted.', ...))")
    wrapped.__cause__ = OSError(errno.ECONNREFUSED, "Connection refused")
    assert system_message(wrapped) == "Connection refused"
    assert system_message(ValueError("of our own")) is None


def _raise(error: BaseException) -> object:
    def method(_: object) -> None:
        raise error

    return method


@pytest.mark.parametrize(
    ("words", "told"),
    [(("shell", "x", "-batch"), True), (("shell", "x", "-ex", "bt"), True), (("build", "x", "-batch"), False)],
    ids=["batch", "ex", "build"],
)
def test_who_gives_gdbs_options_to_corebox_is_told_where_they_belong(
    words: tuple[str, ...], told: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    assert ("put gdb's own options after --" in capsys.readouterr().err) is told


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["info", "--jsno", "x"], "wrong-usage", "No such option '--jsno'. Did you mean '--json'?"),
        (["info"], "wrong-usage", "Missing argument 'SUBJECT'"),
        (["info", ""], "no-such-file", "the name is empty"),
        (["gather", ""], "wrong-usage", "argument CORE: the value is empty"),
        (["gather", "core", "more"], "wrong-usage", "unrecognized arguments: more"),
        (["gather", "--pid", "-1"], "wrong-usage", "argument --pid: -1 is not a positive integer"),
        (["gather"], "no-core-given", "no core given"),
        (["shel", "x"], "no-such-command", "unknown command: shel"),
        (["info", "/nonexistent/x"], "no-such-file", "/nonexistent/x does not exist"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_an_error_looks_the_same_wherever_it_is_found_and_machines_get_its_code(
    words: list[str], code: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status = main([*words, "--json"])
    printed = capsys.readouterr()
    first, *_, second = printed.err.splitlines()
    assert first == f"error: {message}"
    document = json.loads(printed.out)
    validate(document, "error")
    error = document["error"]
    assert (error["code"], error["message"], error["exit_status"]) == (code, message, status)
    assert second == f"hint: {error['hint']}"
    assert main(words) == status
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("asked", [["--format", "json"], ["--format=json"]])
def test_a_report_for_machines_that_fails_is_for_machines_too(
    asked: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", "/nonexistent/x", *asked]) == 3
    document = json.loads(capsys.readouterr().out)
    validate(document, "error")
    assert document["error"]["code"] == "no-such-file"


def test_json_behind_two_dashes_is_of_somebody_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["shell", "/nonexistent/x", "--", "--json"]) == 3
    assert capsys.readouterr().out == ""


def test_a_command_that_is_none_is_guessed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    bundle = tmp_path / "crash.corebox"
    bundle.touch()
    hints = []
    for word in ("shel", str(bundle), "frobnicate"):
        assert main([word]) == 2
        hints.append(capsys.readouterr().err.splitlines()[1])
    assert hints == [
        "hint: try corebox shell or corebox help",
        f"hint: try corebox info {bundle} or corebox shell {bundle}",
        "hint: corebox --help lists the commands",
    ]


def test_ctrl_c_while_it_starts_is_told_without_a_traceback() -> None:
    script = """if True:
        import os, runpy, signal, sys
        class Interrupt:
            def find_spec(self, name, *rest):
                if name == "click":
                    os.kill(os.getpid(), signal.SIGINT)
        signal.signal(signal.SIGINT, signal.default_int_handler)  # the jobs that a shell runs beside it ignore it
        sys.meta_path.insert(0, Interrupt())
        sys.argv = ["corebox", "images"]
        runpy.run_module("corebox", run_name="__main__")"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "interrupted; no partial files were left behind\n")
