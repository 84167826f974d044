"""Container images as places: the files of the container in which the program ran, by their names, then proved."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

from corebox.actions.pull import opened_source
from corebox.locate.index import read_facts
from corebox.locate.sieve import Sieve
from corebox.locate.wanted import Candidate, Member, Origin, Wanted, Wants
from corebox.locate.wantedfiles import Key, WantedFiles
from corebox.registry.access import Access
from corebox.registry.client import Client
from corebox.registry.layers import files_of, layers_of
from corebox.registry.moving import Moving
from corebox.registry.places import parse_place
from corebox.registry.pull import RegistrySource
from corebox.registry.reference import parse_reference
from corebox.registry.source import Source
from corebox.store.store import Store
from corebox.store.values import Descriptor

_REGISTRY = "docker://"
#: A source, and what the image is called there.
_Opening = Callable[[], AbstractContextManager[tuple[Source, str]]]


def open_image_place(store: Store, access: Access, progress: Callable[[str], None], text: str) -> "ImagePlace | None":
    """The place that skopeo's name of an image means; None for another text.

    Raises:
        InputError: ``no-such-file``.
        UsageError: ``bad-reference``.
    """
    if text.startswith(_REGISTRY):
        return ImagePlace(text, store, partial(_of_registry, store, access, text), progress)
    place = parse_place(text)
    if place is None:
        return None

    @contextmanager
    def opening() -> Iterator[tuple[Source, str]]:
        with opened_source(store, place) as source:
            yield source, ""

    return ImagePlace(text, store, opening, progress)


@contextmanager
def _of_registry(store: Store, access: Access, text: str) -> Iterator[tuple[Source, str]]:
    reference = parse_reference(text)
    moving = Moving(reference.host, lambda _: None)
    with Client(reference, access, "pull") as client:
        yield _Kept(RegistrySource(client, reference, moving), store), reference.wanted


class _Kept:
    """A registry whose layers are kept in the store's cache: they are read again for what belongs to a library."""

    def __init__(self, source: RegistrySource, store: Store) -> None:
        self.name = source.name
        self._source = source
        self._store = store

    def manifest(self, wanted: str) -> tuple[bytes, str]:
        """See ``Source``."""
        return self._source.manifest(wanted)

    def blob(self, blob: Descriptor) -> Iterator[bytes]:
        """See ``Source``."""
        kept = self._store.cached(f"layers/{blob.digest.replace(':', '-')}")
        if not kept.is_file() or kept.stat().st_size != blob.size:
            with self._store.workplace() as work:
                with (work / "layer").open("xb") as out:
                    out.writelines(self._source.blob(blob))
                kept = self._store.cache(f"layers/{blob.digest.replace(':', '-')}", work / "layer")
        with kept.open("rb") as file:
            yield from iter(lambda: file.read(1 << 20), b"")


class ImagePlace:
    """A container image as a place and as a tree; what an upper layer has comes before what a lower one has."""

    def __init__(self, name: str, store: Store, opening: _Opening, progress: Callable[[str], None]) -> None:
        self.name = name
        self._store = store
        self._opening = opening
        self._progress = progress

    def find(self, wanted_files: WantedFiles) -> dict[Key, Path]:
        """Those debug files of ``wanted_files`` that are in a folder ``debug`` of the image; few images have one."""
        found: dict[Key, Path] = {}
        has_debug = False

        def wants(name: str) -> bool:
            nonlocal has_debug
            has_debug = has_debug or "/debug/" in name
            return "/debug/" in name and not wanted_files.excludes(name)

        with self._opening() as (source, wanted):
            layers = layers_of(source, wanted)
            content = " ".join(layer.digest for layer in layers)
            if self._store.recall("image-without-debug", content) is not None:
                return {}
            for member in self._members(source, layers, wants):
                if member.path is not None:
                    key = wanted_files.match(member.name, member.path, read_facts(member.path))
                    if key is not None and key not in found:
                        found[key] = self._keep(member.path, key)
        if not has_debug:
            self._store.remember("image-without-debug", content, {})
        return found

    def _keep(self, path: Path, key: Key) -> Path:
        name = key if isinstance(key, str) else f"{key[1]:08x}"
        with self._store.workplace() as work:
            copy = work / "file"
            copy.hardlink_to(path)
            return self._store.cache(f"symbols/image/{name}.debug", copy)

    def candidates(self, wanted: Sequence[Wanted]) -> Iterator[Candidate]:
        """See ``Place``."""
        sieve = Sieve(wanted)
        for member in self.members(sieve.has_name, elf_only=True):
            if member.path is not None:
                for each in sieve.match(member.name, read_facts(member.path)):
                    yield Candidate(each, member.path, member.name, Origin(self.name, url=self.name), self)

    def members(self, wants: Wants, *, elf_only: bool = False) -> Iterator[Member]:
        """See ``Tree``."""
        with self._opening() as (source, wanted):
            yield from self._members(source, layers_of(source, wanted), wants, elf_only=elf_only)

    def _members(
        self, source: Source, layers: Sequence[Descriptor], wants: Wants, *, elf_only: bool = True
    ) -> Iterator[Member]:
        with self._store.workplace() as work:
            for layer in layers:
                self._progress(f"reading a layer of {layer.size} bytes of {self.name}")
                blob = partial(source.blob, layer)
                for file in files_of(blob, layer.media_type, wants, work, elf_only=elf_only):
                    yield Member(*file)
