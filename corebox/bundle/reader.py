"""Reading with somebody else's permissions: the kernel decides, by the same rules as it did when the program ran."""

import contextlib
import os
from typing import Iterator, NamedTuple, Optional, Tuple


class Reader(NamedTuple):
    """The user whose crash it is: IDs as this system counts them."""

    uid: int
    gid: int
    groups: Tuple[int, ...] = ()


@contextlib.contextmanager
def reading_as(reader: Optional[Reader]) -> Iterator[None]:
    """Open files as ``reader`` could, in this block and in this whole process; as ourselves if there is none.

    Only root may ask for that. The real user stays root, so that the reader can neither signal nor trace us
    (kill(2), ptrace(2)); with the effective user go the capabilities that pass over permissions (capabilities(7)).
    """
    if reader is None:
        yield
        return
    gid, groups = os.getegid(), os.getgroups()
    try:
        os.setgroups(reader.groups)
        os.setegid(reader.gid)
        os.seteuid(reader.uid)
        yield
    finally:
        os.seteuid(0)
        os.setegid(gid)
        os.setgroups(groups)
