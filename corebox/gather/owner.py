"""Whose crash it is: root may read every file of the machine, and a stranger's crash must not make root pack them."""

import os
import pwd
from typing import Optional

from corebox.bundle.reader import Reader
from corebox.coredump.core import CoreFile


def reader_for(core: CoreFile, process: Optional[Reader]) -> Optional[Reader]:
    """The user who must have been able to read what is gathered; None if that is whoever gathers.

    It is the user of the ``process``, where that is known; else the one that the core names, or the owner of the core
    file where that is somebody else than root: anybody can write a core by hand. Who called sudo is no stranger.
    """
    if os.geteuid() != 0:
        return None
    owner = os.fstat(core.fileno())
    if process:
        found = process
    elif owner.st_uid != 0 and str(owner.st_uid) != os.environ.get("SUDO_UID"):
        found = _user(owner.st_uid, owner.st_gid)
    else:
        uid, gid = core.process.uid or 0, core.process.gid
        found = _user(uid, uid if gid is None else gid)
    return found if found.uid else None


def _user(uid: int, gid: int) -> Reader:
    """A user of this system, with all groups."""
    try:
        return Reader(uid, gid, tuple(os.getgrouplist(pwd.getpwuid(uid).pw_name, gid)))
    except (KeyError, OverflowError):
        return Reader(uid, gid, (gid,))
