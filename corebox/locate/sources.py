"""What debuginfod servers have of the source files that a backtrace names."""

import os
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from corebox.locate.debuginfod import Debuginfod

_MAX_FILES, _MAX_PATH_LENGTH = 256, 1024


def fetch_sources(
    servers: "Debuginfod", names: Sequence[tuple[str, str]], build_ids: Collection[str], folder: Path
) -> int:
    """Fetch source files into ``folder``, each at its own path below it, and return how many there were.

    Args:
        servers: whom to ask.
        names: build ID and path of each as gdb has them. They come from the customer's files: what is no absolute path
            is left out, and none leads out of the folder.
        build_ids: those of the crash's modules; servers are asked for no other.
        folder: an empty one.
    """
    wanted = [each for each in dict.fromkeys(names) if each[0] in build_ids and _is_usable(each[1])][:_MAX_FILES]
    found = servers.find_sources(wanted)
    return sum(_lay(file, _steps(path), folder) for (_, path), file in sorted(found.items()))


def _is_usable(path: str) -> bool:
    return path.startswith("/") and len(path) <= _MAX_PATH_LENGTH and path.isprintable() and not path.endswith("/")


def _steps(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]


def _lay(file: Path, steps: Iterable[str], folder: Path) -> bool:
    """Copy ``file`` to where these steps lead; folders that the path leaves by ``..`` are made, for gdb walks there."""
    *parents, name = steps
    with suppress(OSError):  # a name too long, or a file where a folder has to be: then that one is not shown
        place = folder
        for step in parents:
            place = (place if place == folder else place.parent) if step == ".." else place / step
            place.mkdir(exist_ok=True)
            place.chmod(0o755)  # the sandbox's user is another, whatever our umask
        if name != "..":
            # Not through a link: a new file, or none.
            with (place / name).open("xb") as out:
                out.write(file.read_bytes())
                os.fchmod(out.fileno(), 0o644)
            return True
    return False
