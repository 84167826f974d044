"""What a site will not give away is not in its bundle, however the program keeps it."""

import os
import subprocess
from pathlib import Path

import pytest

from corebox.gather.cli import main
from corebox.unbundle.read import read_manifest
from corebox.unbundle.verify import verify_bundle
from tests.support.programs import FOLDER

# Of each no 8 bytes are in the program, in a path, or in another.
TEXT = "txt-9f27c1-Quartz-Vellum-and-more"
VALUES = {
    "DB.PASSWORD": "pw-71aa0e-Hunter-Lagoon/with+signs=and more",
    "with blank": "blk-55d2f9-Marble-Cascade",
    "odd-%name": "odd-c0ffee-Pewter-Thicket",
    "BASH_FUNC_greet%%": "() {  echo fn-3e3e3e-Willow-Granite\n}",
    "AFTER_THE_FUNCTION": "aft-8b8b8b-Saffron-Meadow",
    "REPLACED": "rep-d4d4d4-Copper-Orchard",
    "REMOVED": "rem-a1a1a1-Velvet-Harbour",
    "LAST": "lst-e7e7e7-Crimson-Lantern",
}
NAMES = {*VALUES, "LATE", "PATH", *(f"N.{number}" for number in range(50))}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, with a file beside it to map."""
    path = tmp_path_factory.mktemp("secrets") / "keeper"
    source = FOLDER / "secrets" / "secrets.c"
    subprocess.run(["gcc", "-g", "-O0", "-w", "-o", path, source], check=True)
    (path.parent / "data").write_bytes(bytes(4096))
    return path


def crash(program: Path, into: Path, mode: str) -> Path:
    """Its core; the text is its first argument, and once more where the kernel cuts the arguments at 80 bytes."""
    into.mkdir()
    words = ["./keeper", TEXT, "data", mode]
    words += ["f" * (68 - len(" ".join(words))), TEXT]
    values = {b"PATH": b"/usr/bin", **{os.fsencode(name): os.fsencode(value) for name, value in VALUES.items()}}
    subprocess.run(words, env=values, cwd=program.parent, check=False)
    return (program.parent / "core").rename(into / "core")


def content(bundle: Path) -> bytes:
    """All of the bundle's bytes, decompressed."""
    return subprocess.run(["zstd", "-dc", bundle], check=True, capture_output=True).stdout


def left(data: bytes, secrets: list[str]) -> list[str]:
    """The secrets of which a beginning of 8 bytes or more is there, or of which a copy in wide characters is."""
    codes = [(text, code) for text in secrets for code in ("utf-8", "utf-16-le", "utf-32-le")]
    return [f"{text} as {code}" for text, code in codes if text[:8].encode(code) in data]


@pytest.mark.parametrize("options", [[], ["--slim"]])
@pytest.mark.parametrize("mode", ["plain", "title"])
def test_no_secret_is_in_the_bundle(program: Path, tmp_path: Path, options: list[str], mode: str) -> None:
    core, whole, out = crash(program, tmp_path / "run", mode), tmp_path / "whole.corebox", tmp_path / "out.corebox"
    secrets = [TEXT, *VALUES.values(), VALUES["DB.PASSWORD"][3:], VALUES["BASH_FUNC_greet%%"][12:]]
    if not options:
        assert main([str(core), "-o", str(whole), "--no-nice"]) == 0
        assert len(left(content(whole), secrets)) > len(secrets) / 2
    redact = ["--redact", "env", "--redact", TEXT]
    assert main([str(core), "-o", str(out), "--no-nice", *redact, *options]) == 0
    assert left(content(out), secrets) == []
    manifest = read_manifest(out)
    if mode == "plain":
        assert set(manifest.core.redacted_variables or ()) >= NAMES
    assert TEXT[:8] not in manifest.to_bytes().decode()
    assert manifest.process.name == "*" * 15
    assert verify_bundle(out).ok
