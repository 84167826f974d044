"""Whose crash it is: root may read every file of the machine, and another user's crash must not make root pack them."""

import os
import pwd
import re
from typing import Optional

from corebox.coredump.core import CoreFile
from corebox.errors import HostError
from corebox.files.reader import Reader, can_read_as

_NOBODY = 65534


def reader_for(core: CoreFile, path: Optional[str], root: str, process: Optional[Reader]) -> Optional[Reader]:
    """The user who must have been able to read what is gathered; None if that is whoever gathers.

    It is the user of the ``process``, where that is known; else the one that the core names, or the owner of the core
    file at ``path`` where that is somebody else than root: anybody can write a core by hand. Who called sudo is no
    stranger. ``root`` may be that of a process in a user namespace, which counts its users from another number on.
    """
    if os.geteuid() != 0:
        return None
    owner = os.stat(path) if path else None
    if process:
        found = process
    elif owner and owner.st_uid != 0 and str(owner.st_uid) != os.environ.get("SUDO_UID"):
        found = user_of(owner.st_uid)  # its group may be that of the folder
    else:
        uid, gid = core.process.uid or 0, core.process.gid
        found = user_of(_outside(uid, root, "uid_map"), _outside(uid if gid is None else gid, root, "gid_map"))
    if found.uid == 0 or _is_confined():
        return None
    if not can_read_as(found):
        raise HostError(
            "cannot-change-user",
            "this process is not permitted to act as user {}, whose permissions decide what is taken".format(found.uid),
            "gather as that user; or, if you trust the crash, add --trust",
        )
    return found


def _is_confined() -> bool:
    """Whether we are root of a user namespace only: then the kernel keeps us to the files of whoever made that."""
    try:
        with open("/proc/self/uid_map") as file:
            return [line.split() for line in file] != [["0", "0", "4294967295"]]
    except OSError:
        return False


def _outside(number: int, root: str, table: str) -> int:
    """What a user or group of the namespace of a process is called here (user_namespaces(7))."""
    process = re.match(r"/proc/[0-9]+(?=/root/*\Z)", root)
    if process:
        try:
            with open("{}/{}".format(process.group(), table)) as file:
                ranges = [[int(word) for word in line.split()] for line in file]
        except OSError:
            ranges = []
        for inside, outside, count in ranges:
            if inside <= number < inside + count:
                return outside + number - inside
    return number


def user_of(uid: int, gid: Optional[int] = None) -> Reader:
    """A user of this system, with all groups; where ``gid`` is not known, the user's own is the first of them."""
    try:
        user = pwd.getpwuid(uid)
        own = user.pw_gid if gid is None else gid
        return Reader(uid, own, tuple(os.getgrouplist(user.pw_name, own)))
    except (KeyError, OverflowError):
        own = _NOBODY if gid is None else gid
        return Reader(uid, own, (own,))
