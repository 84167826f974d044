"""Paths in an unpacked root as they are for who runs in it: a link never leads out of it, wherever it says it goes."""

import stat
from pathlib import Path

#: As many links as the kernel follows for one path (path_resolution(7)).
_MAX_LINKS = 40


def within(root: Path, path: str) -> Path | None:
    """Where the file called ``path`` in ``root`` lies here, free of links; None if there is nothing of that name."""
    left, found, links = _parts(path), [str(root)], 0
    while left:
        part = left.pop(0)
        if part == "..":
            found = found[: max(1, len(found) - 1)]
            continue
        here = Path("/".join([*found, part]))
        try:
            target = str(here.readlink()) if stat.S_ISLNK(here.lstat().st_mode) else None
        except (OSError, ValueError):
            return None
        if target is None:
            found.append(part)
            continue
        links += 1
        if links > _MAX_LINKS:
            return None
        if target.startswith("/"):
            found = [str(root)]
        left = [*_parts(target), *left]
    return Path("/".join(found))


def file_within(root: Path, path: str) -> Path | None:
    """As ``within``, if it is a regular file."""
    found = within(root, path)
    return found if found is not None and stat.S_ISREG(found.lstat().st_mode) else None


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]
