"""The files in the layers of any container image: its tars are read as they come, nothing is unpacked."""

import os
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

from corebox.coredump.header import MAGIC
from corebox.files.boundedtar import BoundedTar
from corebox.files.paths import is_canonical
from corebox.registry.choose import find_manifest
from corebox.registry.compress import compression_of, decompress
from corebox.registry.source import Source
from corebox.store.values import Descriptor, image_damaged

_MAX_LAYERS = 512
#: Bytes of all layers, when they are unpacked.
_MAX_SIZE, _MAX_FILE_SIZE = 256 << 30, 16 << 30
_CHUNK = 1 << 20


class LayerFile(NamedTuple):
    """A file or a symbolic link (with ``target``) of a layer; ``path`` lasts until the next is asked for."""

    name: str
    path: Path | None
    target: str | None = None


def layers_of(source: Source, wanted: str) -> list[Descriptor]:
    """The layers of an image, the uppermost first.

    Raises:
        InputError: ``empty-index``, ``wrong-platform``, ``not-an-image``, ``old-image-format``, ``image-damaged``.
    """
    layers = find_manifest(source, wanted).value.get("layers")
    if not isinstance(layers, list) or len(layers) > _MAX_LAYERS:
        raise image_damaged(f"its layers are not a list of at most {_MAX_LAYERS}")
    return [Descriptor.from_json(layer) for layer in reversed(layers)]


def files_of(
    blob: Callable[[], Iterator[bytes]], media_type: str, wants: Callable[[str], bool], work: Path, *, elf_only: bool
) -> Iterator[LayerFile]:
    """The files of a layer whose names are wanted, ELF files alone with ``elf_only``.

    Args:
        blob: begins to read the layer.
        media_type: how it is compressed.
        wants: tells by the canonical name.
        work: a folder for one file at a time.
        elf_only: leave out what does not begin as an ELF file.

    Raises:
        InputError: ``image-damaged``, ``digest-mismatch``.
    """
    try:
        yield from _wanted(blob, media_type, wants, work, elf_only=elf_only)
    except (tarfile.TarError, EOFError, OverflowError) as error:
        raise image_damaged(f"a layer is not a tar: {error}") from error


def _wanted(
    blob: Callable[[], Iterator[bytes]], media_type: str, wants: Callable[[str], bool], work: Path, *, elf_only: bool
) -> Iterator[LayerFile]:
    again: dict[str, list[str]] = {}
    seen: set[str] = set()
    for member, stream in _members(blob, media_type):
        name = _canonical(member.name)
        if name is None:
            continue
        if member.islnk():  # its content stands under another name, which came before
            target = _canonical(member.linkname)
            if target and target not in seen and wants(name):
                again.setdefault(target, []).append(name)
        elif wants(name):
            seen.add(name)
            yield from _file(member, stream, name, work, elf_only=elf_only)
    for member, stream in _members(blob, media_type) if again else ():
        for name in again.pop(_canonical(member.name) or "", [])[:1] if member.isreg() else ():
            yield from _file(member, stream, name, work, elf_only=elf_only)


def _members(blob: Callable[[], Iterator[bytes]], media_type: str) -> Iterator[tuple[tarfile.TarInfo, Any]]:
    left = _MAX_SIZE
    compression, pieces = compression_of(blob(), media_type)
    reading = cast("IO[bytes]", _Reading(decompress(pieces, compression)))
    with BoundedTar.open(fileobj=reading, mode="r|", bufsize=_CHUNK) as archive:
        for member in archive:
            left -= member.size
            if left < 0 or member.size > _MAX_FILE_SIZE:
                raise image_damaged("a layer is larger than any when it is unpacked")
            yield member, archive


def _file(member: tarfile.TarInfo, archive: Any, name: str, work: Path, *, elf_only: bool) -> Iterator[LayerFile]:
    if member.issym():
        yield LayerFile(name, None, member.linkname)
        return
    source = archive.extractfile(member) if member.isreg() else None
    if source is None:
        return
    first = source.read(_CHUNK)
    if elf_only and not first.startswith(MAGIC):
        return
    path = work / "file"
    with path.open("xb") as out:
        out.write(first)
        while piece := source.read(_CHUNK):
            out.write(piece)
    path.chmod(member.mode & 0o777 | 0o600)
    _set_time(path, member.mtime)
    yield LayerFile(name, path)
    path.unlink(missing_ok=True)


def _set_time(path: Path, mtime: float) -> None:
    seconds = max(0, min(int(mtime), 1 << 33))
    os.utime(path, (seconds, seconds))


def _canonical(name: str) -> str | None:
    name = "/" + name.removeprefix("./").strip("/")
    return name if is_canonical(name) else None


class _Reading:
    """Pieces as a file that can be read once."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = b""

    def read(self, size: int) -> bytes:
        while len(self._left) < size and (piece := next(self._pieces, b"")):
            self._left += piece
        data, self._left = self._left[:size], self._left[size:]
        return data
