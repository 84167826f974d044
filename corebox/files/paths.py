"""Names under a root that is not ours: canonical paths, and symbolic links that mean the same wherever the root lies.

A link is interpreted as the crashed process would: an absolute target begins at the root, and ".." of the root is
the root (path_resolution(7)). Nothing here follows a link by handing it to the kernel.
"""

import os
from typing import Callable, List, NamedTuple, Optional, Tuple

#: Canonical paths are at most this long: PATH_MAX of Linux (``linux/limits.h``).
MAX_PATH = 4096
#: and this deep: what walks or removes a tree may call itself for each directory, and Python does that 1000 times.
MAX_DEPTH = 256
#: Target of the symbolic link at a canonical path, or None if there is none.
ReadLink = Callable[[str], Optional[str]]

#: The kernel gives up after 40 links (MAXSYMLINKS, path_resolution(7)).
_MAX_LINKS = 40
#: Components walked for one name; without this a hostile manifest costs hours.
_MAX_STEPS = 1024


class Resolution(NamedTuple):
    """Where a name leads: its canonical path, the links passed (path, target), whether ".." went above the root."""

    path: str
    links: Tuple[Tuple[str, str], ...]
    above_root: bool


def is_canonical(path: str) -> bool:
    """Whether ``path`` is absolute, without empty, "." and ".." components, not longer or deeper than it may be."""
    if not path.startswith("/") or "\0" in path or len(os.fsencode(path)) > MAX_PATH:
        return False
    parts = path[1:].split("/")
    return len(parts) <= MAX_DEPTH and not any(part in ("", ".", "..") for part in parts)


def resolve(path: str, read_link: ReadLink) -> Optional[Resolution]:
    """Where the absolute name ``path`` leads, or None when the way there is longer than the kernel would go."""
    done: List[str] = []
    pending = path.split("/")[::-1]
    links: List[Tuple[str, str]] = []
    above_root = False
    steps = 0
    while pending:
        steps += 1
        if steps > _MAX_STEPS or len(links) > _MAX_LINKS:
            return None
        part = pending.pop()
        if part in ("", "."):
            continue
        if part == "..":
            above_root = above_root or not done
            done[-1:] = []
            continue
        here = "/" + "/".join([*done, part])
        target = read_link(here) if len(here) <= MAX_PATH else None
        if target is None:
            done.append(part)
            continue
        links.append((here, target))
        if target.startswith("/"):
            done = []
        pending.extend(target.split("/")[::-1])
    return Resolution("/" + "/".join(done), tuple(links), above_root)


def relative_target(link: str, target: str, read_link: ReadLink) -> Optional[str]:
    """A relative target for the link at canonical path ``link`` that means what ``target`` means inside the root.

    Returns:
        The target, unchanged if it is relative and stays inside; None if it leads nowhere (a loop).
    """
    parent = os.path.dirname(link)
    up = "../" * (link.count("/") - 1)
    if target.startswith("/"):
        target = up + target.lstrip("/") or "."
    resolution = resolve(parent + "/" + target, read_link)
    if resolution is None:
        return None
    return (up + resolution.path[1:] or ".") if resolution.above_root else target
