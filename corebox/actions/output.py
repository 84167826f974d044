"""Files that leave the sandbox: gdb writes into a folder of ours, and what is there at the end is looked at first.

Hostile code may have made it. So the user's folder is never in the sandbox: plain files are copied out, under names
that can do no harm, and nothing that is in the user's folder already is replaced.
"""

import os
import stat
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from corebox.errors import HostError

MAX_FILES = 10_000
_DEEPEST = 16


@contextmanager
def lent_output(folder: Path | None, work: Path, tell: Callable[[str], None]) -> Iterator[Path | None]:
    """A folder for the sandbox, whose files come into ``folder`` at the end; None if there is none.

    Raises:
        HostError: ``cannot-write``.
    """
    if folder is None:
        yield None
        return
    lent = work / "output"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HostError(
            "cannot-write", f"cannot make {folder}: {error.strerror}", "give a folder that you can write to"
        ) from error
    lent.mkdir()
    lent.chmod(0o777)  # a container's user is another one; nobody else gets past the folders above it
    try:
        yield lent
    finally:
        take(lent, folder, tell)


def take(lent: Path, folder: Path, tell: Callable[[str], None]) -> None:
    """Copy what may be taken; ``tell`` is told of everything else.

    Raises:
        HostError: ``cannot-write``.
    """
    from corebox.image.export import copy_sparse  # noqa: PLC0415  # slow to import, and seldom needed

    # The command may have taken the permissions of its folders away; without them nothing here could be removed.
    subprocess.run(["chmod", "-R", "u+rwX", lent], check=False, capture_output=True)
    for taken, (path, name) in enumerate(_files(lent, tell)):
        if taken == MAX_FILES:
            tell(f"more than {MAX_FILES} files: the rest is not copied")
            return
        try:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            copy_sparse(path, folder / name)
        except FileExistsError:
            tell(f"{folder / name} exists: the new one is not copied")
        except OSError as error:
            hint = "check its permissions, and the space on its disk: df -h"
            raise HostError("cannot-write", f"cannot write {folder / name}: {error.strerror}", hint) from error


def _files(place: Path, tell: Callable[[str], None], inside: str = "") -> Iterator[tuple[Path, str]]:
    """The plain files in it, each with its name from the top, without following a link."""
    with os.scandir(place) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        name = f"{inside}{entry.name}"
        status = entry.stat(follow_symlinks=False)
        is_folder = stat.S_ISDIR(status.st_mode)
        too_deep = "it is nested too deeply" if is_folder and name.count("/") == _DEEPEST else None
        why = _harm(entry.name) or too_deep or (None if is_folder else _not_plain(status))
        if why:
            tell(f"{name} is not copied: {why}")
        elif is_folder:
            yield from _files(Path(entry.path), tell, f"{name}/")
        else:
            yield Path(entry.path), name


def _harm(name: str) -> str | None:
    """Shells, gdb and other programs read some hidden files by themselves."""
    if name.startswith("."):
        return "it is hidden"
    return None if name.isprintable() else "its name is not printable"


def _not_plain(status: os.stat_result) -> str | None:
    if not stat.S_ISREG(status.st_mode):
        return "it is not a regular file"
    return "it has several hard links" if status.st_nlink > 1 else None
