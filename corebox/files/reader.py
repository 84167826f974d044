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
    with contextlib.ExitStack() as stack:
        groups, gid = os.getgroups(), os.getegid()
        os.setgroups(reader.groups)
        stack.callback(os.setgroups, groups)
        os.setegid(reader.gid)
        stack.callback(os.setegid, gid)
        os.seteuid(reader.uid)
        stack.callback(os.seteuid, 0)
        yield


def can_read_as(reader: Reader) -> bool:
    """Whether this process may change its user (CAP_SETUID, CAP_SETGID) to that one."""
    try:
        with reading_as(reader):
            return True
    except OSError:
        return False
