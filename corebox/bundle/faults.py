"""Errors of bundles that are written or read."""

from corebox.errors import InputError


def damaged(what: str) -> InputError:
    """The error to raise when a bundle is not as the specification says."""
    return InputError(
        "bundle-damaged",
        "the bundle is damaged or not written by corebox: " + what,
        "compare its size and sha256sum with the customer's copy and transfer it again",
    )
