"""Where an image comes from: a registry, a folder or an archive, all asked for the same two things."""

from collections.abc import Iterator
from typing import Protocol

from corebox.store.values import Descriptor


class Source(Protocol):
    """A place with images; ``name`` is for messages, ``key`` for notes of what was pulled from where."""

    name: str

    def manifest(self, wanted: str) -> tuple[bytes, str]:
        """The manifest or index called so, or with this digest, and its media type if the place tells it."""

    def blob(self, blob: Descriptor) -> Iterator[bytes]:
        """The bytes of a blob in pieces of at most a MiB; whoever asks checks the digest."""
