"""Which files of a place may be wanted ones: by build ID, and by name where that decides or is worth a word."""

from collections.abc import Iterable, Sequence
from posixpath import basename

from corebox.locate.wanted import Wanted
from corebox.locate.wantedfiles import Facts


class Sieve:
    """Lets through what may be one of ``wanted``."""

    def __init__(self, wanted: Iterable[Wanted]) -> None:
        self._by_id: dict[str, list[Wanted]] = {}
        self._by_name: dict[str, list[Wanted]] = {}
        for each in wanted:
            if each.build_id is not None:
                self._by_id.setdefault(each.build_id, []).append(each)
            for name in {basename(name) for name in each.names}:
                self._by_name.setdefault(name, []).append(each)

    def has_name(self, path: str) -> bool:
        """Whether a file with the last part of ``path`` is wanted."""
        return basename(path) in self._by_name

    def match(self, path: str, facts: Facts) -> Sequence[Wanted]:
        """For which of them the file at ``path`` is a candidate; what has no code is one for none."""
        if not facts.code:
            return ()
        by_id = self._by_id.get(facts.build_id) if facts.build_id else None
        return by_id or self._by_name.get(basename(path), [])
