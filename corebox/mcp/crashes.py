"""Which crashes an agent may open, and those that are open."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple, Protocol

from corebox.actions.session import SessionOptions
from corebox.actions.subject import resolve
from corebox.errors import InputError
from corebox.mcp.crash import Crash, open_crash
from corebox.store.store import Store

#: Each has a gdb, with up to some gigabytes.
MAX_OPEN = 4


class Archive(Protocol):
    """Many crashes, which are found by what they have in common: a fleet."""

    def bundle(self, name: str) -> Path | None:
        """That of the crash ``name``; None if no crash of an archive is called so."""
        ...

    def find(self, asked: dict[str, str]) -> Iterator[str]:
        """A line for each crash that is meant, with its name first."""
        ...


class Choice(NamedTuple):
    """What the user lets an agent see: subjects and folders of bundles; how gdb runs; whether secrets are blanked."""

    subjects: tuple[str, ...]
    options: SessionOptions = SessionOptions()
    redact: bool = True
    archive: Archive | None = None


class Crashes:
    """The crashes of a server; each is opened when it is asked for, and the least recently used one is closed."""

    def __init__(self, store: Store, choice: Choice) -> None:
        self._store, self._choice = store, choice
        self._open: dict[str, tuple[Crash, ExitStack]] = {}

    def __enter__(self) -> "Crashes":
        return self

    def __exit__(self, *_: object) -> None:
        for name in list(self._open):
            self.close(name)

    @property
    def archive(self) -> Archive | None:
        """The fleet, if the user offers one."""
        return self._choice.archive

    def names(self) -> list[str]:
        """What may be opened."""
        found: list[str] = []
        for subject in self._choice.subjects:
            folder = Path(subject)
            found += map(str, sorted(folder.rglob("*.corebox"))) if folder.is_dir() else [subject]
        return found

    def get(self, name: str) -> Crash:
        """The crash, open.

        Raises:
            InputError: ``not-offered``, and those of ``open_crash``.
            HostError: those of ``open_crash``.
        """
        if name in self._open:
            self._open[name] = self._open.pop(name)
            return self._open[name][0]
        bundle = self.archive.bundle(name) if self.archive else None
        if not bundle and name not in self.names():
            raise InputError("not-offered", f"{name:.200} is none of the crashes of this server", "see: crashes")
        while len(self._open) >= MAX_OPEN:
            self.close(next(iter(self._open)))
        with ExitStack() as stack:
            subject = resolve(self._store, str(bundle or name))
            crash = stack.enter_context(
                open_crash(self._store, name, subject, self._choice.options, redact=self._choice.redact)
            )
            self._open[name] = (crash, stack.pop_all())
        return crash

    def close(self, name: str) -> None:
        """End its gdb."""
        if name in self._open:
            self._open.pop(name)[1].close()
