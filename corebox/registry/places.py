"""Names of images as skopeo and podman have them (containers-transports(5)): the kind of place, and where."""

from pathlib import Path
from typing import NamedTuple

from corebox.errors import InputError, UsageError

DOCKER_ARCHIVE, OCI, OCI_ARCHIVE = "docker-archive", "oci", "oci-archive"
#: Those that are an engine's, by its name.
_ENGINES = {"docker-daemon": "docker", "containers-storage": "podman"}
_KINDS = (*_ENGINES, DOCKER_ARCHIVE, OCI, OCI_ARCHIVE)
#: Others of skopeo's, by what does the same here.
_OTHERS = {
    "dir": "oci:DIR",
}


class Place(NamedTuple):
    """An image that is in no registry.

    Attributes:
        kind: of the place.
        path: of the folder or archive; None for an engine.
        name: of the image there, empty for the only one.
        text: as the user wrote it.
    """

    kind: str
    path: Path | None
    name: str
    text: str

    @property
    def engine(self) -> str | None:
        """The engine whose image it is."""
        return _ENGINES.get(self.kind)


def parse_place(text: str) -> Place | None:
    """The place that ``text`` names; None if it does not begin as one.

    Raises:
        InputError: ``no-such-file``.
        UsageError: ``bad-reference``.
    """
    kind, colon, rest = text.partition(":")
    if colon and kind in _OTHERS:
        raise UsageError("bad-reference", f"{kind}: is not supported", f"use {_OTHERS[kind]}")
    if not colon or kind not in _KINDS:
        return None
    if not rest:
        raise UsageError("bad-reference", f"{text} names nothing", f"{kind}: and a name: corebox pull --help")
    if kind in _ENGINES:
        if rest.startswith("["):  # containers-storage:[DRIVER@ROOT]NAME
            hint = "let Podman serve that storage (podman --root ROOT system service), and leave the brackets out"
            raise UsageError("bad-reference", f"{text} names a storage that no engine serves", hint)
        return Place(kind, None, rest, text)
    path, name = _split(rest)
    if not (path.is_dir() if kind == OCI else path.is_file()):
        what = "folder" if kind == OCI else "file"
        raise InputError("no-such-file", f"there is no {what} {path}", f"check the name: ls -ld {path}")
    return Place(kind, path, name, text)


def _split(text: str) -> tuple[Path, str]:
    """Path and name; a path with a colon in it wins if it is there."""
    path, _, name = text.partition(":")
    return (Path(text), "") if Path(text).exists() or not name else (Path(path), name)
