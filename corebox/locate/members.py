"""What is known of the ELF files in a tree that takes long to read: it is read through once, then for what is wanted.

A list of its members with their build IDs is kept in the store's cache, and so are debug files that were found.
"""

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from corebox.coredump.values import FULL, NONE
from corebox.locate.index import read_facts
from corebox.locate.sieve import Sieve
from corebox.locate.wanted import Candidate, Member, Origin, Tree, Wanted
from corebox.locate.wantedfiles import Best, Facts, Key, WantedFiles, file_name
from corebox.store.store import Store

_VERSION = 1
#: The name of a debug file in a tree by build ID (gdb manual, "Separate Debug Files").
_BUILD_ID = re.compile(r"/\.build-id/([0-9a-f]{2})/([0-9a-f]{2,126})\.debug$")
_WantsFacts = Callable[[str, Facts], bool]


class Members:
    """The ELF files of ``tree``, whose content ``stamp`` stands for."""

    def __init__(self, tree: Tree, store: Store, stamp: str) -> None:
        self._tree = tree
        self._store = store
        self._digest = hashlib.sha256(os.fsencode(stamp)).hexdigest()[:16]

    def candidates(self, wanted: Sequence[Wanted], origin: Origin) -> Iterator[Candidate]:
        """The members that may be one of ``wanted``; see ``Place.candidates``."""
        sieve = Sieve(wanted)
        for member, facts in self._read(lambda name, facts: bool(sieve.match(name, facts))):
            assert member.path
            for each in sieve.match(member.name, facts):
                yield Candidate(each, member.path, member.name, origin, self._tree)

    def find(self, wanted_files: WantedFiles) -> dict[Key, Path]:
        """The debug files of ``wanted_files``, kept in the cache."""
        places = {key: self._store.cached(f"symbols/{self._digest}/{file_name(key)}") for key in wanted_files.keys}
        kept = {key: path for key, path in places.items() if path.exists()}
        rest = wanted_files.without(kept)
        if not rest.keys:
            return kept
        best = Best()
        with self._store.workplace() as work:
            for number, (member, facts) in enumerate(self._read(lambda name, facts: _may_be(rest, name, facts))):
                assert member.path
                key = rest.match(member.name, member.path, facts)
                if key is None:
                    continue
                path = work / str(number)
                os.link(member.path, path)
                best.add(key, path, facts)
            found = {key: self._store.cache(f"symbols/{self._digest}/{file_name(key)}", path)
                     for key, path in best.files.items()}  # fmt: skip
        return kept | found

    def _read(self, wants: _WantsFacts) -> Iterator[tuple[Member, Facts]]:
        """The ELF files that are wanted by name and facts."""
        known = self._known()
        if known is None:
            yield from self._read_all(wants)
            return
        names = {name for name, facts in known.items() if wants(name, facts)}
        if names:
            for member in self._tree.members(names.__contains__, elf_only=True):
                if member.path is not None:
                    yield member, read_facts(member.path)

    def _read_all(self, wants: _WantsFacts) -> Iterator[tuple[Member, Facts]]:
        known: dict[str, Facts] = {}

        def is_needed(name: str) -> bool:
            """Of a file whose name is its build ID the name is enough, until it is wanted."""
            match = _BUILD_ID.search(name)
            if match:
                known[name] = Facts(match[1] + match[2], FULL)
            return match is None or wants(name, known[name])

        for member in self._tree.members(is_needed, elf_only=True):
            if member.path is not None:
                known[member.name] = facts = read_facts(member.path)
                if wants(member.name, facts):
                    yield member, facts
        self._note({name: facts for name, facts in known.items() if facts.code or facts.symbols != NONE})

    def _known(self) -> dict[str, Facts] | None:
        try:
            value = json.loads(self._list().read_bytes())
            if value["version"] == _VERSION:
                return {str(name): Facts(*facts) for name, facts in value["members"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            pass
        return None

    def _note(self, known: dict[str, Facts]) -> None:
        text = json.dumps({"version": _VERSION, "members": known}, separators=(",", ":"))
        with self._store.workplace() as work, suppress(OSError, UnicodeError):
            (work / "list").write_text(text, encoding="utf-8")
            self._store.cache(f"members/{self._digest}.json", work / "list")

    def _list(self) -> Path:
        return self._store.cached(f"members/{self._digest}.json")


def _may_be(wanted_files: WantedFiles, name: str, facts: Facts) -> bool:
    """Whether a member may be a debug file of ``wanted_files``; a debuginfo's name is compared, its checksum later."""
    if facts.symbols == NONE:
        return False
    return facts.build_id in wanted_files.keys or any(
        isinstance(key, tuple) and key[0] == name.rpartition("/")[2] for key in wanted_files.keys
    )
