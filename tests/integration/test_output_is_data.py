"""Nothing of a crash may move a cursor, turn text, be markup or look like our own words, on any way out of corebox."""

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from corebox.store.store import Store
from tests.support.lab import Lab, Result
from tests.support.programs import FOLDER
from tests.support.typist import PROMPT, sit_down

#: As a file's name: a screen cleared, a title set, text turned, a line of ours forged, markup.
NAME = "a\x1b[2J\x1b]0;owned\x07\u202egnp\nerror: forged\r<img src=x onerror=alert(1)>\u2028$(id)`'\""
PLAIN = re.compile(r"[a-z0-9.-]+:[0-9a-f]{12}")


@dataclass(frozen=True)
class Nasty:
    """A crash of that name, its bundle, and the desk where it is looked at."""

    folder: Path
    core: Path
    bundle: Path
    lab: Lab


@pytest.fixture(scope="module")
def nasty(tmp_path_factory: pytest.TempPathFactory) -> Nasty:
    """Program, library, thread and texts in memory have hostile names."""
    folder = tmp_path_factory.mktemp("nasty")
    lab, library, program = Lab(folder / "home"), folder / f"{NAME}.so", folder / NAME
    fail = "int fail(const char *text) { const char *copy = text; return *(volatile int *)0 + *copy; }"
    flags = ["gcc", "-g", "-x", "c", "-o"]
    subprocess.run([*flags, folder / "lib", "-shared", "-fPIC", "-"], input=fail, text=True, check=True)
    subprocess.run([*flags, folder / "app", FOLDER / "names/names.c", "-ldl", "-pthread"], check=True)
    (folder / "lib").rename(library)
    (folder / "app").rename(program)
    subprocess.run([program, library], cwd=folder, check=False)
    (core,) = folder.glob("core*")
    bundle = core.rename(folder / f"core {NAME}").with_name(f"{NAME}.corebox")
    lab.done("gather", folder / f"core {NAME}", "-o", bundle, "--no-nice")
    lab.build(bundle)
    return Nasty(folder, folder / f"core {NAME}", bundle, lab)


def must_be_plain(text: str) -> None:
    """Lines of characters that can be seen, none of them forged."""
    bad = {char for char in text if not char.isprintable() and char != "\n"}
    assert bad == set(), f"{sorted(bad)} in {text!r}"
    assert "error: forged" not in text.splitlines()


@pytest.mark.parametrize(
    "words",
    [
        ("gather", "{core}", "-o", "{folder}/{name}2.corebox", "--no-nice"),
        ("gather", "{core}", "--list"),
        ("gather", "{core}", "--dry-run"),
        ("info", "{bundle}"),
        ("info", "{core}"),
        ("verify", "{bundle}"),
        ("build", "{bundle}", "--no-load"),
        ("images",),
        ("images", "--tree"),
        ("report", "{bundle}", "--engine", "bubblewrap"),
        ("similar", "{bundle}", "--engine", "bubblewrap"),
        ("export", "{bundle}", "--core", "{folder}/{name}.core"),
        ("doctor",),
    ],
    ids=" ".join,
)
def test_text(nasty: Nasty, words: tuple[str, ...]) -> None:
    done = _run(nasty, words)
    assert done.status in (0, 1), done.errors
    must_be_plain(done.output + done.errors)


@pytest.mark.parametrize(
    "words",
    [
        ("info", "{name}"),
        ("shell", "{name}"),
        ("build", "{name}"),
        ("push", "{bundle}", "{name}"),
        ("pull", "{name}"),
        ("rm", "{name}"),
        ("export", "{bundle}", "--core", "/nothing/{name}"),
        ("run", "{bundle}", "{name}"),
        ("prune", "--limit", "{name}"),
        ("request", "{name}"),
        ("gather", "{name}"),
        ("gather", "{core}", "--redact", "{name}", "-o", "/nothing/{name}"),
        ("gather", "--jobs", "{name}"),
        ("gather", "{core}", "--{name}"),
        ("images", "{name}"),
        ("images", "--{name}"),
        ("build", "{bundle}", "--builder", "{name}"),
        ("build", "{bundle}", "--template", "{name}"),
        ("{name}",),
    ],
    ids=" ".join,
)
def test_errors(nasty: Nasty, words: tuple[str, ...]) -> None:
    done = _run(nasty, words)
    assert done.status in (2, 3, 4), done.errors
    must_be_plain(done.output + done.errors)


@pytest.mark.parametrize(
    "words",
    [
        ("info", "{bundle}", "--json"),
        ("verify", "{bundle}", "--json"),
        ("images", "--json"),
        ("report", "{bundle}", "--engine", "bubblewrap", "--format", "json"),
        ("similar", "{bundle}", "--engine", "bubblewrap", "--json"),
        ("gather", "{core}", "--dry-run", "--json"),
    ],
    ids=" ".join,
)
def test_json_is_ascii_with_the_names_as_they_are(nasty: Nasty, words: tuple[str, ...]) -> None:
    """But for labels, whose control characters are question marks."""
    done = _run(nasty, words)
    assert done.output.isascii()
    assert ("forged" if words[0] == "images" else "\nerror: forged\r") in " ".join(_texts(json.loads(done.output)))
    must_be_plain(done.output)


def test_names_that_are_made_of_a_crash(nasty: Nasty, tmp_path: Path) -> None:
    """The tag, the image's labels and annotations, the Dockerfile, and the file that gather writes without -o."""
    store = Store(nasty.lab.home)
    (image,) = store.images()
    assert [tag for tag in image.tags if not PLAIN.fullmatch(tag)] == []
    for blob in (image.manifest_digest, image.image_id):
        for text in _texts(json.loads(store.blob_path(blob).read_bytes())):
            must_be_plain(text)
    nasty.lab.done("build", nasty.bundle, "--no-load", "--context", tmp_path / "context")
    must_be_plain((tmp_path / "context/Dockerfile").read_text())
    shutil.copy(nasty.core, tmp_path / "core")
    command = [*nasty.lab.command, "gather", "core", "--no-nice"]
    subprocess.run(command, cwd=tmp_path, check=False, capture_output=True)
    (made,) = tmp_path.glob("*.corebox")
    assert re.fullmatch(r"[A-Za-z0-9._+-]+", made.name)


def test_the_page_has_no_markup_of_theirs(nasty: Nasty) -> None:
    page = nasty.lab.done("report", nasty.bundle, "--engine", "bubblewrap", "--format", "html").output
    must_be_plain(page)
    assert "&lt;img src=x" in page
    assert not re.search("<img|<script|<b>\\\\n", page)


def test_the_banner_of_a_session(nasty: Nasty) -> None:
    """What gdb itself prints of names is as it is; what we say is not."""
    typist = sit_down(nasty.lab, nasty.bundle, "--engine", "bubblewrap")
    shown = typist.wait_for(PROMPT).decode()
    _, _, banner = shown.rpartition(" was killed by ")
    must_be_plain(banner.replace("\r\n", "\n"))
    typist.type(b"corebox modules\n")
    told = typist.wait_for(PROMPT).decode().replace("\r\n", "\n")
    must_be_plain(told)
    assert "\\u202egnp" in told
    assert typist.leave() == 0


def _run(nasty: Nasty, words: tuple[str, ...]) -> Result:
    fill = {"core": nasty.core, "bundle": nasty.bundle, "folder": nasty.folder, "name": NAME}
    return nasty.lab.corebox(*(word.format(**fill) for word in words))


def _texts(value: object) -> list[str]:
    """All texts in a document."""
    if isinstance(value, dict):
        return [text for pair in value.items() for each in pair for text in _texts(each)]
    if isinstance(value, list):
        return [text for each in value for text in _texts(each)]
    return [value] if isinstance(value, str) else []
