"""The rules for the paths of a bundle: what is a file, what a link, and where links may lead."""

import os
from collections.abc import Iterable, Sequence
from itertools import pairwise

from corebox.bundle.faults import damaged
from corebox.files.paths import MAX_PATH, resolve


def check_tree(files: Sequence[str], links: Sequence[tuple[str, str]]) -> None:
    """Check the rules for the canonical paths of a bundle's files and symbolic links together.

    Raises:
        InputError: ``bundle-damaged`` for wrong order, a path twice, a path beneath a file or a link, a link that
            leaves the root.
    """
    targets = dict(links)
    for paths in (list(files), [path for path, _ in links]):
        encoded = [os.fsencode(path) for path in paths]
        if any(first >= second for first, second in pairwise(encoded)):
            raise damaged("paths are not in order, or one occurs twice")
    leaves = set(files) | set(targets)
    if len(leaves) != len(files) + len(links):
        raise damaged("a path is both a file and a symbolic link")
    _check_parents(leaves)
    for path, target in links:
        _check_link(path, target, targets)


def _parent(path: str) -> str:
    return path.rpartition("/")[0] or "/"


def _check_parents(leaves: Iterable[str]) -> None:
    taken = frozenset(leaves)
    seen: set[str] = set()
    for path in taken:
        parent = _parent(path)
        while parent != "/" and parent not in seen:
            if parent in taken:
                raise damaged(f"{path!r:.200} is beneath a file or a symbolic link")
            seen.add(parent)
            parent = _parent(parent)


def _check_link(path: str, target: str, targets: dict[str, str]) -> None:
    resolution = None
    if target and not target.startswith("/") and len(os.fsencode(target)) <= MAX_PATH:
        resolution = resolve(_parent(path) + "/" + target, targets.get)
    if resolution is None or resolution.above_root:
        raise damaged(f"the symbolic link {path!r:.200} points outside the root")
