"""Errors of bundles that are written or read."""

import contextlib
from typing import Iterator

from corebox.errors import InputError


def damaged(what: str) -> InputError:
    """The error to raise when a bundle is not as the specification says."""
    return InputError(
        "bundle-damaged",
        "the bundle is damaged or not written by corebox: " + what,
        "compare its size and sha256sum with the customer's copy and transfer it again",
    )


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
