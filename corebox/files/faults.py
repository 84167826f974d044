"""Errors of files on disk, worded once."""

import contextlib
from typing import Iterator

from corebox.errors import CoreboxError, InputError


def unreadable(path: str, error: OSError) -> CoreboxError:
    """``no-such-file`` or ``cannot-read``: the system refused to open or read ``path``."""
    if isinstance(error, FileNotFoundError):
        return InputError("no-such-file", "{} does not exist".format(path), "check the name: ls -l", path=path)
    hint = "check owner and permissions: ls -ld {}; cores often belong to root".format(path)
    return InputError("cannot-read", "cannot read {}: {}".format(path, error.strerror), hint, path=path)


def not_a_file(path: str) -> CoreboxError:
    """``not-a-file``: a directory, pipe or device stands in the place of a file."""
    return InputError("not-a-file", "{} is not a regular file".format(path), "check it: ls -ld " + path, path=path)


def changed(path: str) -> InputError:
    """``file-changed``: what is gathered is not as it was when that began."""
    return InputError(
        "file-changed",
        "{} changed while it was being gathered".format(path),
        "gather again when nothing is being installed and the core is completely written",
        path=path,
    )


@contextlib.contextmanager
def reading(path: str) -> Iterator[None]:
    """Tell a failure to read from a failure to write."""
    try:
        yield
    except OSError as error:
        raise InputError(
            "cannot-read",
            "cannot read {}: {}".format(path, error.strerror),
            "check its permissions and the disk; run it as root to read the rest",
            path=path,
        ) from error
