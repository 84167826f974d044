"""The file that is written: nobody loses another one by a slip, and it belongs to who asked for it."""

import contextlib
import os
import stat
import sys
from typing import Callable, Sequence

from corebox.bundle.layout import STREAM, SUFFIX
from corebox.bundle.tarformat import BLOCK
from corebox.errors import CoreboxError, HostError, UsageError


def absolute(path: str) -> str:
    """The path from the root on.

    Raises:
        HostError: ``no-current-directory``.
    """
    try:
        return os.path.abspath(path)
    except FileNotFoundError as error:
        raise HostError(
            "no-current-directory",
            "the current directory was removed, so {} names nothing".format(path or "."),
            "cd to a directory that exists",
        ) from error


def is_bundle(path: str) -> bool:
    """Whether it is a bundle; of an encrypted one only that it is encrypted can be seen, and its name."""
    from corebox.bundle.envelope import AGE_MAGIC, OPENSSL_MAGIC  # noqa: PLC0415  # most outputs are new files
    from corebox.bundle.members import begins_bundle  # noqa: PLC0415
    from corebox.gather.compressed import first_bytes  # noqa: PLC0415

    try:
        with open(path, "rb") as file:
            if file.read(32).startswith((AGE_MAGIC, OPENSSL_MAGIC)):
                return SUFFIX + "." in os.path.basename(path)
        return begins_bundle(first_bytes(path, BLOCK))
    except (OSError, CoreboxError):
        return False


def require_harmless(
    out: str,
    inputs: Sequence[str],
    force: bool,
    may_go: Callable[[str], bool] = is_bundle,
    kind: str = "a bundle",
) -> None:
    """Refuse an output that would take the place of a file which is wanted still.

    Nothing is lost by an empty file, another one of its ``kind``, or what the user gives up by ``force``.

    Raises:
        UsageError: ``output-is-input``, ``output-exists``.
    """
    if out == STREAM or not os.path.isfile(out):
        return
    for path in inputs:
        if os.path.exists(path) and os.path.samefile(out, path):
            raise UsageError(
                "output-is-input",
                "{} is an input and cannot be the output too".format(out),
                "choose another name for the output",
            )
    if not (force or os.path.getsize(out) == 0 or may_go(out)):
        raise UsageError(
            "output-exists",
            "{} exists and is not {}".format(out, kind),
            "choose another name, or replace it with --force",
        )


def require_harmless_stream(out: str) -> None:
    """Refuse to write a bundle to a terminal.

    Raises:
        UsageError: ``output-is-terminal``.
    """
    if out != STREAM:
        return
    if sys.stdout is None:
        raise HostError("cannot-write", "standard output is closed", "pipe it into a program, or give -o FILE")
    if sys.stdout.isatty():
        raise UsageError(
            "output-is-terminal",
            "standard output is a terminal",
            "pipe it into a program: -o - | ssh HOST 'cat > crash.corebox'; a file of this name is ./-",
        )


def give_to_caller(path: str) -> None:
    """Let a file that root has made under sudo belong to the user who called sudo, who else could not send it."""
    if path == STREAM:
        return
    user, group = os.environ.get("SUDO_UID", ""), os.environ.get("SUDO_GID", "")
    if os.geteuid() != 0 or not (user.isdigit() and group.isdigit()):
        return
    with contextlib.suppress(OSError):  # a file system without owners
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            status = os.fstat(descriptor)
            # Ours, and under no other name: whoever may write to the directory could have put another file there.
            if stat.S_ISREG(status.st_mode) and status.st_uid == 0 and status.st_nlink == 1:
                os.fchown(descriptor, int(user), int(group))
        finally:
            os.close(descriptor)
