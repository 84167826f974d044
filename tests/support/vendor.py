"""The vendor's desk in the test's own process: a store, a stand-in for the toolbox, a stub of an engine, a crash.

The core is a real one (``tests/cores/dynamic``), its files are stand-ins with the right build IDs, and gdb's answers
are what the test says.
"""

import io
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from corebox.cli.main import main
from corebox.debugger.answer import PARTS
from corebox.engine.sandbox import Finished
from corebox.image.toolbox import import_toolbox
from corebox.store.store import Store
from tests.support.realcores import unpack_core
from tests.support.stubengine import StubEngine, stub_engine
from tests.unit.gather.sites import EXECUTABLE, make_site
from tests.unit.image.test_toolbox import a_toolbox, write_layer

BEGIN, END = b"\x1ecorebox-answer ", b"\x1e\n"
#: What gdb finds: a null pointer in a function that main called, and a thread that waits.
FRAMES = (("copy_order", 12), ("handle", 40), ("main", 7))


def frame(function: str | None, line: int | None, pc: int = 0x400010, **more: Any) -> dict[str, Any]:
    """A frame as gdbside writes it."""
    file = f"/src/{function}.cc" if line else None
    found = {"pc": hex(pc), "sp": "0x7ffe0000", "kind": "normal", "unwind": "cfi", "function": function}
    return {**found, "file": file, "line": line, "language": None, **more}


def stack(number: int, frames: Sequence[tuple[str, int]] = FRAMES) -> dict[str, Any]:
    """A thread's stack."""
    made = [frame(name, line, 0x400010 + 16 * index) for index, (name, line) in enumerate(frames)]
    facts = {"number": number, "tid": 41 + number, "name": "app", "frames": made}
    return {**facts, "end": "this is the thread's first function", "complete": True, "omitted": None}


def parts(function: str = "copy_order") -> dict[str, Any]:
    """What each step of a report finds."""
    why = {"kind": "null-dereference", "sentence": "Null pointer dereference (offset 16)", "evidence": ["rdi = 0x0"]}
    frames = ((function, 12), *FRAMES[1:])
    return {
        "stacks": {
            "threads": [stack(1, frames), stack(2, (("poll", 9),))], "total": 2, "gdb": "18.1", "python": False,
        },
        "registers": [{"name": "rip", "value": "0x400010"}, {"name": "rdi", "value": "0x0"}],
        "disassembly": [{"address": "0x400010", "text": "mov 0x10(%rdi),%eax"}],
        "cause": {**why, "detail": None, "thread": 1, "frame": 0, "signal": 11},
        "python": None,
    }  # fmt: skip


def values(level: int) -> dict[str, Any]:
    """The values of a frame."""
    order = [{"name": "order", "value": "0x0"}]
    source = [{"line": 12, "text": "return order->number;"}]
    return {"frame": level, "arguments": order, "locals": [], "omitted": 0, "missing": None, "source": source}


def records(found: dict[str, Any]) -> bytes:
    """A whole report as gdb writes it."""
    steps: list[tuple[str, Any]] = [(name, found.get(name)) for name in PARTS]
    steps += [("values", values(level)) for level in range(2)]
    steps += [("end", None)]
    lines = (
        json.dumps({"version": 1, "step": number, "part": name, "found": each, "error": None}).encode()
        for number, (name, each) in enumerate(steps)
    )
    return b"noise\n" + b"".join(BEGIN + line + END for line in lines)


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    status: int
    output: str
    errors: str

    @property
    def document(self) -> Any:
        """What it printed for machines."""
        return json.loads(self.output)


@dataclass(frozen=True)
class Vendor:
    """A desk; ``folder`` is empty but for what is named here."""

    folder: Path
    stub: StubEngine
    core: Path
    site: Path
    bundle: Path

    @property
    def store(self) -> Store:
        """The user's."""
        return Store.default()

    def corebox(self, *words: object, data: bytes = b"") -> Done:
        """Run a command in this process."""
        streams = [io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2)]
        before, sys.stdin = sys.stdin, io.TextIOWrapper(io.BytesIO(data))
        try:
            with redirect_stdout(streams[0]), redirect_stderr(streams[1]):
                try:
                    status = main([str(word) for word in words])
                except SystemExit as ended:  # argparse's way
                    status = int(ended.code or 0)
        finally:
            sys.stdin = before
        texts = (stream.buffer.getvalue().decode() for stream in streams)
        return Done(status, *texts)

    def good(self, *words: object) -> Done:
        """The same for a command that must succeed."""
        done = self.corebox(*words)
        assert done.status == 0, done.output + done.errors
        return done

    def fails(self, *words: object, status: int, says: str) -> Done:
        """The same for one that must fail, with an error that says so, and a hint."""
        done = self.corebox(*words)
        assert (done.status, says in done.errors) == (status, True), done.output + done.errors
        assert "hint: " in done.errors
        return done

    def answers(self, found: dict[str, Any] | None = None) -> None:
        """Have gdb answer a report."""
        output = records(found or parts())
        self.stub.program = lambda _command, _data: Finished(0, output, b"")


@contextmanager
def vendor(folder: Path, sockets: Path) -> Iterator[Vendor]:
    """A desk whose bundle was gathered, and is not built yet; ``sockets`` must have a short name."""
    with stub_engine(sockets) as stub, pytest.MonkeyPatch.context() as patch:
        for name, value in {**stub.environment(), "COREBOX_HOME": str(folder / "home"), "HOME": str(folder)}.items():
            patch.setenv(name, value)
        for name in ("DEBUGINFOD_URLS", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "NO_COLOR", "REGISTRY_AUTH_FILE"):
            patch.delenv(name, raising=False)
        patch.setenv("DOCKER_CONFIG", str(folder / "docker"))
        desk = Vendor(folder, stub, unpack_core("dynamic", folder), make_site(folder / "site"), folder / "app.corebox")
        Path(f"{desk.site}{EXECUTABLE}").chmod(0o755)
        import_toolbox(Store.default(), write_layer(Store(folder / "elsewhere"), *a_toolbox()))
        desk.good("gather", desk.core, "--root", desk.site, "-o", desk.bundle)
        os.chdir(folder)
        yield desk
