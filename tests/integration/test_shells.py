"""Completion in real shells, and manual pages by a real man."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.lab import Lab
from tests.support.programs import REPOSITORY
from tests.support.typist import Typist

#: What is typed before the key for completion, and the words that are there afterwards.
TYPED = {
    "corebox doc": ["corebox", "doctor"],
    "corebox toolbox im": ["corebox", "toolbox", "import"],
    "corebox shell --no-cust": ["corebox", "shell", "--no-customer-code"],
    "corebox shell --engine bub": ["corebox", "shell", "--engine", "bubblewrap"],
    "corebox shell --engine=pod": ["corebox", "shell", "--engine=podman"],
    "corebox shell ran": ["corebox", "shell", "random:1"],
    "corebox shell random:": ["corebox", "shell", "random:1"],
    "corebox shell random\\:": ["corebox", "shell", "random:1"],
    "corebox rm ran": ["corebox", "rm", "random:1"],
    "corebox info cra": ["corebox", "info", "crash one.corebox"],
    "corebox shell x --source fol": ["corebox", "shell", "x", "--source", "folder"],
    "corebox shell x -- cra": ["corebox", "shell", "x", "--", "crash one.corebox"],
    "corebox gather --make-z": ["corebox", "gather", "--make-zipapp"],
    "corebox gather cra": ["corebox", "gather", "crash one.corebox"],
}
START = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], "source corebox.bash\n"),
    "zsh": (["zsh", "-f", "-i"], "bindkey -e; autoload -Uz compinit; compinit -u -D; source ./corebox.zsh\n"),
}


@pytest.fixture
def folder(stocked: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a bundle and a folder, at a desk with an image called random:1."""
    place = tmp_path / "work"
    (place / "folder").mkdir(parents=True)
    (place / "crash one.corebox").touch()
    for shell in ("bash", "zsh", "fish"):
        (place / f"corebox.{shell}").write_text(stocked.done("completion", shell).output)
    monkeypatch.setenv("COREBOX_HOME", str(stocked.home))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    monkeypatch.chdir(place)
    return place


@pytest.fixture(params=START)
def typist(request: pytest.FixtureRequest, folder: Path) -> Iterator[Typist]:
    """Somebody at the prompt of each shell that has to be typed at."""
    command, first = START[request.param]
    at = Typist(command, {**os.environ, "TERM": "vt100", "HOME": str(folder), "PS1": "$ "})
    at.type(first.encode())
    at.type(b"printf '%s-' ready; echo\n")
    at.wait_for(b"ready-")
    yield at
    at.leave(b"\x15exit\n")


def test_shells_complete_what_is_typed(typist: Typist) -> None:
    found = {}
    for number, text in enumerate(TYPED):
        typist.type(f"{text}\t".encode())
        # At the beginning of the line, and at its end: the words are printed instead of run.
        typist.type(b"\x01printf '<%%s>' \x05 end%d\n" % number)
        shown = typist.wait_for(b"<end%d>" % number)
        found[text] = re.findall(r"<([^<>%]+)>", shown.decode(errors="replace"))[:-1]
        found[text][-1] = found[text][-1].rstrip("/")  # which zsh takes away again
    assert found == TYPED


def test_fish_completes_what_is_typed(folder: Path) -> None:
    lines = ["source corebox.fish", *(f"echo '= {text}'; complete -C '{text}'" for text in TYPED)]
    environment = {**os.environ, "HOME": str(folder)}
    done = subprocess.run(
        ["fish", "--no-config", "-c", "\n".join(lines)], env=environment, capture_output=True, text=True, check=True
    )
    answers = dict(part.split("\n", 1) for part in done.stdout.split("= ")[1:])
    first = {text: answer.split("\n")[0].split("\t")[0] for text, answer in answers.items()}
    assert {text: word.rstrip("/") for text, word in first.items()} == {
        text: words[-1] for text, words in TYPED.items()
    }


def test_man_reads_every_page_without_a_warning(tmp_path: Path) -> None:
    subprocess.run([sys.executable, REPOSITORY / "tools" / "manpages", tmp_path], check=True)
    pages = sorted(tmp_path.iterdir())
    assert len(pages) > 20
    environment = {**os.environ, "MANWIDTH": "80", "LC_ALL": "C.UTF-8"}
    command = ["man", "--warnings", "-l", "-P", "cat", *map(str, pages)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    shown = re.sub(r".\x08", "", done.stdout)
    assert "corebox-shell - Open gdb on a crash, in a sandbox" in shown
    assert re.search(r"^ +--no-customer-code$", shown, re.MULTILINE)
