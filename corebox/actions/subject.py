"""What a SUBJECT on the command line is: a bundle file, a bare core, or an image in the store."""

import os
from dataclasses import dataclass
from pathlib import Path

from corebox.bundle import is_bundle
from corebox.errors import InputError
from corebox.store import Store, StoredImage


@dataclass(frozen=True)
class BundleFile:
    """A bundle on disk."""

    path: Path


@dataclass(frozen=True)
class BareCore:
    """A core file on disk, without the files that it was mapped from."""

    path: Path


@dataclass(frozen=True)
class Image:
    """An image in the store."""

    name: str
    image: StoredImage


Subject = BundleFile | BareCore | Image


def resolve(store: Store, text: str) -> Subject:
    """What ``text`` names; a file that is there wins over an image of the same name.

    Raises:
        InputError: ``no-such-file``, ``no-such-image``, ``cannot-read``.
    """
    path = Path(text)
    if path.is_file():
        return BundleFile(path) if is_bundle(path) else BareCore(path)
    if path.is_dir():
        raise InputError("not-a-file", f"{text} is a directory", "give a bundle, a core or the name of an image")
    if text.endswith(".corebox") or text.startswith((".", os.sep)):
        raise InputError("no-such-file", f"{text} does not exist", "check the name: ls -l; images: corebox images")
    return Image(text, store.find(text))
