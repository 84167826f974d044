"""From modules that lack symbols to the files that have them, asked for in one place after the other."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from posixpath import dirname
from typing import NamedTuple

from corebox.bundle.manifest import ModuleEntry
from corebox.coredump.elffile import debug_path
from corebox.coredump.values import FULL, ElfFile
from corebox.locate.index import read_facts
from corebox.locate.wantedfiles import Facts, Key, Source, WantedFiles, answers, is_build_id

# Names come from the customer, and become paths in the sandbox and in an image.
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_+~@%-][A-Za-z0-9._+~@%-]{0,199}")
_PLAIN_FOLDER = re.compile(r"(/[A-Za-z0-9_+~@%-][A-Za-z0-9._+~@%-]{0,199})*")


class DebugFile(NamedTuple):
    """A file with symbols; ``target`` is where gdb looks for it below a debug-file-directory."""

    target: str
    path: Path
    facts: Facts


class Lacking(NamedTuple):
    """A module without full symbols, and the key by which its debug file is known; ``targets`` as of ``DebugFile``."""

    module: ModuleEntry
    key: Key
    targets: tuple[str, ...]


def lacking(module: ModuleEntry, file_of: Callable[[ModuleEntry], ElfFile | None]) -> Lacking | None:
    """What to look for, None if nothing tells; ``file_of`` reads the module's own file.

    By build ID if it has one, in memory or in the file. Only if not, by the file's debuglink, which gdb looks for in
    the module's folder below a debug-file-directory (gdb manual, "Separate Debug Files").
    """
    build_id = module.build_id.known
    if build_id is not None:
        return Lacking(module, build_id, (debug_path(build_id),)) if is_build_id(build_id) else None
    file = file_of(module)
    link = file.debuglink if file else None
    if link is None or not _PLAIN_NAME.fullmatch(link[0]):
        return None
    folders = dict.fromkeys(dirname(path) for path in (module.path, *module.opened_as))
    return Lacking(module, link, tuple(f"{each}/{link[0]}"[1:] for each in folders if _PLAIN_FOLDER.fullmatch(each)))


def find_debug_files(sources: Sequence[Source], modules: Iterable[Lacking]) -> list[DebugFile]:
    """The debug files of these modules, as far as the sources have them, an earlier source's before a later one's.

    What has debug information ends the search, a mere symbol table does not. What dwz has put into a file of its own
    comes along under that file's build ID; such a file shares nothing further (dwz(1)).

    Raises:
        The errors of the sources.
    """
    targets = {each.key: each.targets for each in modules}
    found = _find(sources, targets)
    shared = {facts.shared for _, facts in found.values() if facts.shared} - found.keys()
    targets |= {build_id: (debug_path(build_id),) for build_id in shared if is_build_id(build_id)}
    found |= _find(sources, shared & targets.keys())
    return [DebugFile(*each) for each in _files(found, targets)]


def _files(
    found: dict[Key, tuple[Path, Facts]], targets: dict[Key, tuple[str, ...]]
) -> Iterator[tuple[str, Path, Facts]]:
    for key, (path, facts) in found.items():
        for target in targets[key]:
            yield target, path, facts


def _find(sources: Sequence[Source], keys: Iterable[Key]) -> dict[Key, tuple[Path, Facts]]:
    best: dict[Key, tuple[Path, Facts]] = {}
    wanted_files = WantedFiles(frozenset(keys))
    for source in sources:
        if not wanted_files.keys:
            break
        for key, path in source.find(wanted_files).items():
            # Whatever the source goes by, an index or a cache, the file itself has the last word.
            facts = read_facts(path)
            if answers(key, path, facts) and (key not in best or facts.symbols == FULL):
                best[key] = (path, facts)
        wanted_files = wanted_files.without(key for key, (_, facts) in best.items() if facts.symbols == FULL)
    return best
