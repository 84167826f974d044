"""The manifest of a crash after a search: what the bundle said, what was found since, and what is still missing."""

import os
from collections.abc import Iterable, Iterator, Mapping

from corebox.bundle.manifest import CrashedProcess, FileEntry, FileOrigin, Manifest, ModuleEntry, Omission, SymlinkEntry
from corebox.locate.gaps import describe_gap
from corebox.locate.search import Gap, Recovered, absolute_names


def completed(known: Manifest | None, fresh: Manifest, origins: Mapping[str, FileOrigin], found: Recovered) -> Manifest:
    """The manifest of what is in the root now.

    Args:
        known: what the bundle said; None if there was a core alone.
        fresh: what gathering gives of the root with the files that were found.
        origins: of these, by path.
        found: what the search gave.
    """
    base = known or fresh
    taken = {name for each in found.taken for name in (*each.wanted.names, each.path)}
    gaps = {gap.wanted.names[0]: gap for gap in found.gaps}
    modules = _with_details(_modules(known, fresh, taken), found)
    files = _files(known, fresh, origins)
    paths = {entry.path for entry in files}
    there = paths | taken
    return base._replace(
        process=_process(known, fresh, taken),
        modules=modules,
        files=files,
        symlinks=_links(known, fresh, files),
        missing=tuple(_missing(base, there, gaps, found.asked)),
        left_out=tuple(entry for entry in base.left_out if entry.path not in paths),
        not_taken=tuple(omission for omission in base.not_taken if omission.path not in paths),
    )


def with_gaps(manifest: Manifest, found: Recovered) -> Manifest:
    """The manifest of a crash for which nothing was found, with what is said of that."""
    return manifest._replace(modules=_with_details(manifest.modules, found))


def _with_details(modules: Iterable[ModuleEntry], found: Recovered) -> tuple[ModuleEntry, ...]:
    gaps = {gap.wanted.names[0]: gap for gap in found.gaps}
    return tuple(_module(entry, gaps, found.asked) for entry in modules)


def _modules(known: Manifest | None, fresh: Manifest, taken: set[str]) -> Iterator[ModuleEntry]:
    """Those of the bundle, but for the ones whose files were found now."""
    if known is None:
        yield from fresh.modules
        return
    now = {(entry.start, entry.build_id.memory): entry for entry in fresh.modules}
    for entry in known.modules:
        new = now.get((entry.start, entry.build_id.memory))
        names = {entry.path, *entry.opened_as, *((new.path, *new.opened_as) if new else ())}
        yield new if new and names & taken else entry


def _module(entry: ModuleEntry, gaps: Mapping[str, Gap], asked: tuple[str, ...]) -> ModuleEntry:
    gap = next((gaps[name] for name in absolute_names((entry.path, *entry.opened_as)) if name in gaps), None)
    if gap is None or not asked:
        return entry
    return entry._replace(detail="; ".join(filter(None, (describe_gap(gap, asked), entry.detail))))


def _process(known: Manifest | None, fresh: Manifest, taken: set[str]) -> CrashedProcess:
    process = (known or fresh).process
    executable = fresh.process.executable
    named = process.executable is None or executable in taken
    return process._replace(executable=executable) if executable and named else process


def _files(known: Manifest | None, fresh: Manifest, origins: Mapping[str, FileOrigin]) -> tuple[FileEntry, ...]:
    """All of both; of two at one path the later, which is what lies there now."""
    entries = {entry.path: entry for entry in known.files} if known else {}
    for entry in fresh.files:
        old = entries.get(entry.path)
        same = old is not None and (old.size, old.mode, old.mtime) == (entry.size, entry.mode, entry.mtime)
        if not same or entry.path in origins:
            entries[entry.path] = entry._replace(origin=origins.get(entry.path))
    return tuple(entries[path] for path in sorted(entries, key=os.fsencode))


def _links(known: Manifest | None, fresh: Manifest, files: Iterable[FileEntry]) -> tuple[SymlinkEntry, ...]:
    links = {link.path: link for link in (*fresh.symlinks, *(known.symlinks if known else ()))}
    taken = {entry.path for entry in files}
    folders = {folder for path in (*taken, *links) for folder in _parents(path)}
    return tuple(links[path] for path in sorted(links, key=os.fsencode) if path not in taken | folders)


def _parents(path: str) -> Iterator[str]:
    while (path := os.path.dirname(path)) != "/":  # noqa: PTH120  # names of the crash are no paths of this machine
        yield path


def _missing(base: Manifest, there: set[str], gaps: Mapping[str, Gap], asked: tuple[str, ...]) -> Iterator[Omission]:
    for omission in base.missing:
        if omission.path in there:
            continue
        gap = gaps.get(omission.path)
        yield Omission(omission.path, describe_gap(gap, asked)) if gap and asked else omission
