"""Light bundles: files that the desk can find again are left out, and the manifest says which they were."""

import hashlib
import os
import re
from typing import Dict, FrozenSet, List, NamedTuple, Optional, Tuple

from corebox.bundle.manifest import FileEntry, LeftOutFile, Omission
from corebox.coredump.elffile import elf_of
from corebox.coredump.verdict import VERIFIED
from corebox.errors import InputError
from corebox.files.diskroot import DiskRoot
from corebox.files.extents import open_regular, read_at
from corebox.files.openfile import OpenFile
from corebox.gather.collect import Collection
from corebox.gather.defaults import PACKAGES
from corebox.gather.packagedb import Owner, Owners, find_owners

#: What counts as known: a build ID, and behind it whatever ``corebox known`` notes.
_LINE = re.compile(rb"([0-9a-fA-F]{4,128})(\s|\Z)")
_MAX_LIST_SIZE = 64 << 20
_CHUNK = 1 << 20
_ROLES = ("executable", "module", "libthread_db", "debug")


class LightOptions(NamedTuple):
    """What may be left out: what is a package's, and what has one of the ``known`` build IDs."""

    packages: bool = False
    known: FrozenSet[str] = frozenset()


def read_known(path: str) -> FrozenSet[str]:
    """The build IDs of a list that ``corebox known`` has made.

    Raises:
        InputError: ``no-such-file``, ``not-a-file``, ``cannot-read``, ``not-a-list``.
    """
    descriptor = open_regular(path)
    try:
        data = read_at(descriptor, 0, _MAX_LIST_SIZE + 1)
    finally:
        os.close(descriptor)
    lines = [line for line in data.splitlines() if line.strip() and not line.startswith(b"#")]
    found = [_LINE.match(line) for line in lines]
    if len(data) > _MAX_LIST_SIZE or not all(found):
        raise InputError(
            "not-a-list",
            "{} is not a list of build IDs".format(path),
            "give the file that the vendor made: corebox known RELEASES > FILE",
        )
    return frozenset(each.group(1).decode("ascii").lower() for each in found if each)


def lightened(collection: Collection, root: DiskRoot, options: LightOptions) -> Collection:
    """The collection without the files that can be found again; those that the core does not prove stay."""
    candidates = {entry.path: entry for entry in collection.manifest.files if _may_go(entry, collection)}
    owners = find_owners(root, candidates) if options.packages else Owners({}, ())
    gone = {}
    for path, entry in candidates.items():
        left_out = _left_out(entry, collection.sources[path], owners.of.get(path, []), options.known)
        if left_out:
            gone[path] = left_out
    return _without(collection, gone, owners.problems)


def _may_go(entry: FileEntry, collection: Collection) -> bool:
    """Whether the desk could prove another copy of the file to be the same."""
    modules = [each for each in collection.manifest.modules if each.path == entry.path]
    file = collection.sources[entry.path]
    return entry.role in _ROLES and all(each.verdict == VERIFIED for each in modules) and elf_of(file) is not None


def _left_out(entry: FileEntry, file: OpenFile, owners: List[Owner], known: FrozenSet[str]) -> Optional[LeftOutFile]:
    elf = elf_of(file)
    build_id = elf.build_id if elf else None
    is_known = build_id in known
    if not owners and not is_known:
        return None
    digests = _digests(file, {owner.algorithm for owner in owners} | {"sha256"})
    file.check_unchanged()
    left_out = LeftOutFile(*entry[:5], digests["sha256"], build_id, None, None, None)
    for owner in owners:
        if digests.get(owner.algorithm) == owner.digest:
            return left_out._replace(manager=owner.manager, package=owner.package, version=owner.version)
    return left_out if is_known else None


def _digests(file: OpenFile, algorithms: "set[str]") -> Dict[str, str]:
    """The digests of the content, read once; a Python that must not know an algorithm (FIPS) leaves it out."""
    hashes = {name: value for name, value in ((name, _new(name)) for name in algorithms) if value}
    for offset in range(0, file.status.size, _CHUNK):
        piece = read_at(file.fileno(), offset, _CHUNK)
        for value in hashes.values():
            value.update(piece)
    return {name: value.hexdigest() for name, value in hashes.items()}


def _new(name: str) -> "Optional[hashlib._Hash]":
    try:
        return hashlib.new(name)
    except ValueError:
        return None


def _without(collection: Collection, gone: Dict[str, LeftOutFile], problems: Tuple[str, ...]) -> Collection:
    manifest, sources = collection.manifest, collection.sources
    manifest = manifest._replace(
        files=tuple(entry for entry in manifest.files if entry.path not in gone),
        left_out=tuple(gone[path] for path in sorted(gone, key=os.fsencode)),
        not_taken=manifest.not_taken + tuple(Omission(PACKAGES, why) for why in problems),
    )
    kept = {path: file for path, file in sources.items() if path not in gone}
    return Collection(manifest, kept, aside={path: sources[path] for path in gone})
