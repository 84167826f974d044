"""What a session is the sum of: each part of it as a value."""

from collections.abc import Iterable
from itertools import chain
from typing import NamedTuple

from corebox.debugger.sources import SourceFolder
from corebox.engine.sandbox import Mount


class Provision(NamedTuple):
    """What one part adds to a session.

    Attributes:
        mounts: what is laid over the image's root.
        arguments: further arguments for gdb.
        notices: what the user should know before.
        lacking: those of the notices that say what a report cannot tell.
        symbol_folders: debug-file-directories to look into first.
        source_folders: what stands for folders of this machine in the names of sources that gdb may tell.
    """

    mounts: tuple[Mount, ...] = ()
    arguments: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()
    symbol_folders: tuple[str, ...] = ()
    source_folders: tuple[SourceFolder, ...] = ()


def sum_of(provisions: Iterable[Provision]) -> Provision:
    """All of them as one, in their order."""
    return Provision(*(tuple(chain.from_iterable(values)) for values in zip(*provisions, strict=True)))
