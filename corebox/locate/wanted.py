"""What a place is asked for, and what it answers: the contract between the search and the places.

A place offers candidates, by name or by build ID, and says where each comes from. It proves nothing: the search does
(``search.py``), with the core, for all places alike. Names are a hint: a file of the right name may be of another
build, and is offered all the same, so that the user is told of it.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

EXECUTABLE, LIBRARY = "executable", "library"
#: Whether a member of a tree is wanted, by its name.
Wants = Callable[[str], bool]


class Wanted(NamedTuple):
    """A file that the process had mapped.

    Attributes:
        names: absolute, as the core has them: the resolved one first, then those under which the process opened it.
        kind: ``EXECUTABLE`` or ``LIBRARY``.
        build_id: lower-case hex, from the memory of the process; None if it is not there, and dumped pages decide.
        machine: as by ``uname -m``, e.g. ``x86_64``.
        package: name and version of the package that it is said to be of.
    """

    names: tuple[str, ...]
    kind: str
    build_id: str | None
    machine: str
    package: tuple[str, str] | None = None


class Origin(NamedTuple):
    """Where a file comes from.

    Attributes:
        place: as the user named it.
        package: the package that it is in, if it is in one; ``version`` is the package's.
        url: what was downloaded, or the file on this machine that was read.
    """

    place: str
    package: str | None = None
    version: str | None = None
    url: str | None = None


class Member(NamedTuple):
    """A file or a symbolic link of a tree.

    Attributes:
        name: canonical, from the root of the tree: ``/usr/lib/libfoo.so.1.2``.
        path: a file on this machine with its content, mode and time; it lasts until the next member is asked for.
        target: of a symbolic link, which has no ``path``.
        origin: where it comes from, if not from where all of the tree does.
    """

    name: str
    path: Path | None
    target: str | None = None
    origin: Origin | None = None


class Tree(Protocol):
    """Files by name: of a folder, a package, an image. It is read from the beginning each time."""

    def members(self, wants: Wants, *, elf_only: bool = False) -> Iterator[Member]:
        """Those whose names are wanted; with ``elf_only`` of these the ELF files alone."""


class Candidate(NamedTuple):
    """A file that may be a wanted one.

    Attributes:
        wanted: which.
        path: a file on this machine; it lasts until the next candidate is asked for.
        name: in ``tree``, or what the place calls it.
        origin: where it comes from.
        tree: what else came with it, where companions are looked for (libthread_db, scripts for gdb); None if nothing.
    """

    wanted: Wanted
    path: Path
    name: str
    origin: Origin
    tree: Tree | None = None


class Place(Protocol):
    """Something that may have files; ``name`` is what the user calls it."""

    @property
    def name(self) -> str:
        """What the user calls it."""

    def candidates(self, wanted: Sequence[Wanted]) -> Iterator[Candidate]:
        """What it has of them, several for one wanted file if it cannot tell which is the one.

        The caller always asks for all, and takes what it needs of each before it asks for the next.
        """
