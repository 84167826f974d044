"""The build IDs of what the vendor has released, which a customer's gatherer then leaves out."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from corebox.actions.places import opened_places
from corebox.errors import UsageError
from corebox.locate.folders import Folder
from corebox.locate.index import read_facts
from corebox.locate.places import GivenFile, SymbolOptions
from corebox.locate.wantedfiles import Source
from corebox.store.store import Store

#: Build IDs are between these many digits in ``gather --known``.
_MIN_LENGTH, _MAX_LENGTH = 4, 128


def known_files(
    store: Store, options: SymbolOptions, progress: Callable[[str], None] = lambda _: None
) -> list[tuple[str, str]]:
    """Build ID and name of each program and library in the places, sorted; each build ID once.

    Raises:
        UsageError: ``bad-place`` for a place that cannot list its files.
        The errors of the places.
    """
    found: dict[str, str] = {}
    for source in opened_places(store, options, progress).places.sources:
        for name, path in _programs(source, options.places):
            facts = read_facts(path)
            if facts.code and facts.build_id and _MIN_LENGTH <= len(facts.build_id) <= _MAX_LENGTH:
                found.setdefault(facts.build_id, name)
    return sorted(found.items(), key=lambda each: (os.fsencode(each[1]), each[0]))


def _programs(source: Source, named: Sequence[str]) -> Iterator[tuple[str, Path]]:
    if isinstance(source, GivenFile):
        yield source.name, source.path
        return
    members = getattr(source, "members", None)
    if members is None:
        name = getattr(source, "name", None) or " ".join(named)
        hint = "give folders, packages, archives or images of your releases"
        raise UsageError("bad-place", f"{name} is a server, which does not list its files", hint)
    for member in members(lambda _: True, elf_only=True):
        if member.path is not None:
            yield member.name, member.path
    for package in source.packages() if isinstance(source, Folder) else ():
        yield from _programs(package, named)
