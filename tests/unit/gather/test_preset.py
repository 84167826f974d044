"""The program as a vendor gives it to his customers, with options and words of his."""

import subprocess
import sys
from pathlib import Path

import pytest

from corebox.errors import UsageError
from corebox.gather.cli import main
from corebox.gather.preset import Preset, make_preset, preset_arguments
from corebox.unbundle.read import read_manifest

MESSAGE = "Upload the file at https://example.com/crash\nand tell us its name. Thank you!"


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program that redacts and slims, whatever the customer says."""
    out = tmp_path_factory.mktemp("program") / "acme-gather.pyz"
    words = ["--preset", "--slim --redact 'hunter2-hunter2'", "--message", MESSAGE]
    assert main(["--make-zipapp", str(out), *words]) == 0
    return out


def call(program: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-I", "-S", str(program), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_fixed_options_hold_and_the_vendors_words_come_last(
    program: Path, core_path: Path, root: Path, tmp_path: Path
) -> None:
    out = tmp_path / "x.corebox"
    done = call(program, str(core_path), "--root", str(root), "--no-nice", "-o", str(out), "--redact", "second")
    assert done.returncode == 0
    assert done.stdout.endswith(
        "next:      Upload the file at https://example.com/crash\n           and tell us its name. Thank you!\n"
    )
    manifest = read_manifest(out)
    assert manifest.core.original_stored
    assert manifest.core.redacted
    assert manifest.process.arguments == "./dynamic first ******"


def test_help_says_what_is_fixed(program: Path) -> None:
    assert "preset by whoever gave you this program: --slim --redact hunter2-hunter2" in call(program, "--help").stdout


def test_the_same_preset_gives_the_same_bytes(program: Path, tmp_path: Path) -> None:
    out = tmp_path / "again.pyz"
    words = ["--preset", "--slim --redact 'hunter2-hunter2'", "--message", MESSAGE]
    assert main(["--make-zipapp", str(out), *words]) == 0
    assert out.read_bytes() == program.read_bytes()


def test_a_handler_installed_by_it_has_the_options(program: Path, core_path: Path, tmp_path: Path) -> None:
    place = tmp_path / "dumps"
    assert call(program, "--install-handler", str(place), "--no-nice").returncode == 0
    with core_path.open("rb") as core:
        words = [str(place / "corebox-handler"), "999999999", "1700000001", "0", "!app"]
        subprocess.run(words, stdin=core, check=True, env={})
    (bundle,) = place.glob("*.corebox")
    assert read_manifest(bundle).core.original_stored


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("core.1", "core cannot be preset"),
        ("--pid 1", "--pid cannot be preset"),
        ("--install-handler /x", "--install-handler cannot be preset"),
        ("--no-such", "unrecognized arguments: --no-such"),
        ("--redact 'x", "No closing quotation"),
    ],
)
def test_what_cannot_be_fixed_is_refused(
    options: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "x.pyz"
    assert main(["--make-zipapp", str(out), "--preset", options]) == 2
    assert message in capsys.readouterr().err
    assert not out.exists()


def test_a_key_file_goes_into_the_program(tmp_path: Path) -> None:
    key = tmp_path / "keys.txt"
    key.write_text("age1abc\n")
    for words in (f"--encrypt-to {key} --slim", f"--slim --encrypt-to={key}"):
        preset = make_preset(words, None)
        assert preset == Preset(("--slim",), None, "age1abc\n")
        with preset_arguments(preset, ["core", "--", "-x"]) as arguments:
            assert arguments[:2] == ["core", "--slim"]
            assert arguments[3:] == ["--", "-x"]
            copy = Path(arguments[2].partition("=")[2])
            assert copy.read_text() == "age1abc\n"
        assert not copy.exists()
    assert make_preset("--encrypt-to age1abc", "m") == Preset(("--encrypt-to", "age1abc"), "m", None)


def test_quotes_must_end() -> None:
    with pytest.raises(UsageError, match="not a preset"):
        make_preset("'", None)
