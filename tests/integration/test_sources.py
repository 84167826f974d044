"""Source lines in the session and in the report: from a folder, and from a debuginfod server."""

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from corebox.coredump.elffile import read_elf
from tests.support.debuginfod import serving
from tests.support.documents import validate
from tests.support.lab import Lab

LINES = ["static int fail(int *where) {", "    return *where; /* here it dies */", "}"]
SOURCE = "\n".join([*LINES, "int main(void) { return fail((int *)0); }", ""])


@dataclass(frozen=True)
class Compiled:
    """A stripped program's crash; its unstripped twin; its source, and the folder that was in ``place``."""

    bundle: Path
    twin: Path
    source: Path
    place: Path


@pytest.fixture(scope="module")
def compiled(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Compiled:
    top = tmp_path_factory.mktemp("sources")
    place, site = top / "build of app" / "src", top / "site"
    for folder in (place, site):
        folder.mkdir(parents=True)
    source, twin, app = place / "main file.c", top / "twin" / "app", site / "app"
    source.write_text(SOURCE)
    twin.parent.mkdir()
    subprocess.run(["gcc", "-g", "-O0", source, "-o", twin], check=True)
    subprocess.run(["strip", "-o", app, twin], check=True)
    subprocess.run([app], cwd=site, check=False)
    (core,) = site.glob("core*")
    bundle = top / "app.corebox"
    lab.done("gather", core, "-o", bundle)
    return Compiled(bundle, twin, source, place)


def listed(lab: Lab, crash: Compiled, engine: str, *options: object) -> str:
    given = ["--symbols", crash.twin, *options]
    return lab.gdb(crash.bundle, engine, "frame function fail", "list", options=given).output


@pytest.mark.parametrize("prefixed", [True, False])
def test_list_shows_the_lines_of_a_folder(
    lab: Lab, compiled: Compiled, engine: str, tmp_path: Path, prefixed: bool
) -> None:
    """With the name that it had where it was compiled, or by the file's own name alone."""
    moved = tmp_path / "moved=away"
    shutil.copytree(compiled.place, moved)
    shown = listed(lab, compiled, engine, "--source", f"{moved}={compiled.place}" if prefixed else moved)
    assert all(line in shown for line in LINES), shown
    assert LINES[1] not in listed(lab, compiled, engine)


def test_the_report_has_source_lines(lab: Lab, compiled: Compiled) -> None:
    options = ["--symbols", compiled.twin, "--source", compiled.place, "--engine", "bubblewrap"]
    document = lab.done("report", compiled.bundle, "--format", "json", *options).json
    validate(document, "report")
    frame = document["threads"][0]["frames"][0]
    assert (frame["function"], frame["line"]) == ("fail", 2)
    assert {"line": 2, "text": LINES[1]} in frame["source"]
    assert f"> 2  {LINES[1]}" in lab.done("report", compiled.bundle, *options).output
    assert LINES[1] in lab.done("report", compiled.bundle, "--format", "html", *options).output


def test_no_link_in_the_folder_shows_a_file_of_this_machine(lab: Lab, compiled: Compiled, tmp_path: Path) -> None:
    folder = tmp_path / "src"
    folder.mkdir()
    secret = tmp_path / "secret.c"
    secret.write_text("do not show this\n" * 9)
    (folder / compiled.source.name).symlink_to(secret)
    assert "do not show this" not in listed(lab, compiled, "bubblewrap", "--source", folder)


@pytest.fixture
def served(compiled: Compiled, tmp_path: Path) -> Iterator[str]:
    build_id = str(read_elf(str(compiled.twin)).build_id)
    with serving(compiled.twin.parent, tmp_path, [build_id]) as server:
        yield server.url


def test_sources_from_a_server(lab: Lab, compiled: Compiled, served: str, tmp_path: Path) -> None:
    """gdb is asked for the names first; the sandbox has no network."""
    environment = {"DEBUGINFOD_URLS": served, "DEBUGINFOD_CACHE_PATH": str(tmp_path / "cache")}
    commands = ["frame function fail", "list"]
    shown = lab.gdb(compiled.bundle, "bubblewrap", *commands, options=["--source", "debuginfod"], env=environment)
    assert all(line in shown.output for line in LINES), shown.output + shown.errors
    without = lab.gdb(compiled.bundle, "bubblewrap", *commands, env=environment)
    assert LINES[1] not in without.output


def test_a_server_must_be_named(lab: Lab, compiled: Compiled) -> None:
    refused = lab.corebox("shell", compiled.bundle, "--engine", "bubblewrap", "--source", "debuginfod", "--", "-batch")
    assert refused.status == 2
    assert "--symbols https://HOST" in refused.errors
