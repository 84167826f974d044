"""gdb's Python API, for the lines that call it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import gdbmodule
from tests.unit.conftest import RealCore

gdbmodule.install()  # before a module of corebox.gdbside is imported


@pytest.fixture
def gdb() -> gdbmodule.State:
    """A gdb that has nothing open, nor anything known of what was open before."""
    from corebox.gdbside.frames.evidence import evidence

    state = gdbmodule.reset()
    evidence.forget()
    return state


@pytest.fixture
def opened(gdb: gdbmodule.State, real_core: RealCore, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A real core in the place where gdb has it."""
    from corebox.gdbside.memory import mapped

    path: Path = real_core("dynamic")
    monkeypatch.setattr(mapped, "PATH", str(path))
    mapped.opened.cache_clear()
    yield path
    mapped.opened.cache_clear()
