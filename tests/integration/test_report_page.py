"""The report's page in a real browser: it shows what it should, and nothing from the core is more than text."""

import json
import re
import struct
import subprocess
import zlib
from pathlib import Path

import pytest

from tests.integration.test_report import SOURCE
from tests.integration.test_why import die
from tests.support.crashes import compile_cxx
from tests.support.lab import Lab

#: A file name that is markup, that turns the text around, and that moves a terminal's cursor.
HOSTILE = '<img src=x onerror=document.title="owned">&lt;\u202egnp.\x1b[2J'


def chromium(*words: object) -> str:
    """Run the browser without a window."""
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", *map(str, words)]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout


@pytest.fixture(scope="module")
def page(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a crash of a program with that name."""
    folder = tmp_path_factory.mktemp("page")
    program = compile_cxx(SOURCE, folder / "plain", "-O1", "-g").rename(folder / HOSTILE)
    lab.done("gather", die(program, "null-read", "thread"), "--with", SOURCE, "-o", folder / "x.corebox")
    both = ("-o", folder / "page.html", "-o", folder / "page.json")
    lab.done("report", folder / "x.corebox", "--engine", "bubblewrap", *both)
    return folder / "page.html"


def test_nothing_of_the_core_is_markup(page: Path) -> None:
    text = page.read_text()
    assert "&lt;img src=x onerror=" in text
    assert not re.search("<img|<script|\u202e|\x1b", text)
    shown = chromium("--dump-dom", page.as_uri())
    assert re.search("<title>SIGSEGV [^<]*null_read", shown)
    assert "<img" not in shown


def test_the_page_needs_nothing_else(page: Path) -> None:
    assert re.findall('(?:src|href)="(?!#)|url[(]|@import', page.read_text()) == []


def test_it_is_only_for_the_user(page: Path) -> None:
    assert page.stat().st_mode & 0o777 == 0o600


def test_one_gdb_wrote_it_and_the_document(page: Path) -> None:
    """Each in the form that its suffix says."""
    assert json.loads(page.with_suffix(".json").read_text())["signature"].startswith("SIGSEGV null-dereference in ")


def test_the_cause_and_the_pictures_are_shown(page: Path) -> None:
    shown = chromium("--dump-dom", page.as_uri())
    assert "<h1><bdi>Null pointer dereference</bdi></h1>" in shown
    assert len(re.findall('role="img"', shown)) >= 2
    assert "<b>1 \u00d7</b>" in shown  # the other thread
    assert re.search('<tr class="here"><td class="quiet">[0-9]+</td><td><bdi>.*return order-&gt;number', shown)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark(scheme: str, page: Path, tmp_path: Path) -> None:
    shot = tmp_path / "page.png"
    dark = f"--blink-settings=preferredColorScheme={0 if scheme == 'dark' else 1}"
    chromium("--window-size=400,300", dark, f"--screenshot={shot}", page.as_uri())
    assert corner(shot) == {"light": (255, 255, 255), "dark": (13, 17, 23)}[scheme]


def corner(png: Path) -> tuple[int, ...]:
    """Red, green and blue of the first pixel: in the first row filters have nothing to the left or above (PNG, 9.2)."""
    data, at, stream = png.read_bytes(), 8, b""
    while at < len(data):
        (size,) = struct.unpack_from(">I", data, at)
        if data[at + 4 : at + 8] == b"IDAT":
            stream += data[at + 8 : at + 8 + size]
        at += size + 12
    return tuple(zlib.decompress(stream)[1:4])


def test_it_prints_what_is_folded_too(page: Path, tmp_path: Path) -> None:
    chromium(f"--print-to-pdf={tmp_path}/page.pdf", page.as_uri())
    text = subprocess.check_output(["pdftotext", "-layout", tmp_path / "page.pdf", "-"], text=True)
    # Of the other thread, whose stack is folded on the screen; how far it has come by then is chance.
    assert re.search(r"(?m)^\s+[0-9]+\s+main\b", text)
    assert "To the stack" not in text


@pytest.mark.parametrize("width", [500, 1280])
def test_nothing_is_wider_than_the_screen(width: int, page: Path, tmp_path: Path) -> None:
    """A script of the test's own measures a copy, which lacks the policy that lets no script run."""
    probe = tmp_path / "probe.html"
    measure = "<script>document.title = document.documentElement.scrollWidth</script></html>"
    probe.write_text(re.sub("<meta http-equiv[^>]*>", "", page.read_text()).replace("</html>", measure))
    shown = chromium(f"--window-size={width},800", "--dump-dom", probe.as_uri())
    assert re.search(f"<title>{width}</title>", shown)
