"""What the process that serves a core is asked for, and what it answers: a line of JSON each."""

from pathlib import Path
from typing import NamedTuple

from corebox.files.extents import Extent
from corebox.store.values import Descriptor, Json


class InRegistry(NamedTuple):
    """A blob in a registry; ``reference`` names an image of its repository, and ``kept`` is the file for its parts."""

    reference: str
    blob: Descriptor
    kept: Path
    ca_file: Path | None = None
    plain_http: bool = False

    def to_json(self) -> Json:
        """The JSON object of this value."""
        ca_file = str(self.ca_file) if self.ca_file else None
        return {**self._asdict(), "blob": self.blob.to_json(), "kept": str(self.kept), "ca_file": ca_file}

    @staticmethod
    def from_json(value: Json) -> "InRegistry":
        """The value of such an object."""
        ca_file = Path(str(value["ca_file"])) if value["ca_file"] else None
        blob = Descriptor.from_json(value["blob"])
        return InRegistry(str(value["reference"]), blob, Path(str(value["kept"])), ca_file, bool(value["plain_http"]))


class Request(NamedTuple):
    """A core to be served.

    Attributes:
        folder: where it is mounted; it exists and is empty.
        place: of the compact core in what ``file`` or ``blob`` holds when it is unpacked; None for the core of a layer.
        digests: the file with the digests of its blocks.
        file: a bundle, a layer compressed in frames, or one that is not compressed.
        identity: the file with the private key of a bundle that is encrypted.
        blob: one in a registry, instead.
        for_others: other users may read it too, as an engine's.
    """

    folder: Path
    place: Extent | None
    digests: Path
    file: Path | None = None
    blob: InRegistry | None = None
    for_others: bool = False
    identity: Path | None = None

    def to_json(self) -> Json:
        """The JSON object of this value."""
        return {
            "folder": str(self.folder),
            "place": list(self.place) if self.place else None,
            "digests": str(self.digests),
            "file": str(self.file) if self.file else None,
            "blob": self.blob.to_json() if self.blob else None,
            "for_others": self.for_others,
            "identity": str(self.identity) if self.identity else None,
        }

    @staticmethod
    def from_json(value: Json) -> "Request":
        """The value of such an object, which we have written ourselves."""
        place, file, blob, identity = (value[each] for each in ("place", "file", "blob", "identity"))
        return Request(
            Path(str(value["folder"])),
            Extent(*place) if isinstance(place, list) else None,
            Path(str(value["digests"])),
            Path(str(file)) if file else None,
            InRegistry.from_json(blob) if isinstance(blob, dict) else None,
            bool(value["for_others"]),
            Path(str(identity)) if identity else None,
        )
