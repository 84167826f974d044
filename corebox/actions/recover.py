"""Find the files of a crash that did not come with it, prove them by the core, and write a bundle that has them."""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from corebox.actions.source import plain_bundle
from corebox.actions.subject import BareCore, BundleFile, Image, Subject
from corebox.bundle.corecontent import CompactCore, CoreContent, CoreInFile
from corebox.bundle.corelayer import core_within
from corebox.bundle.manifest import FileOrigin, Manifest
from corebox.bundle.write import Content, WrittenBundle, write_bundle
from corebox.coredump.core import CoreFile, open_core
from corebox.coredump.values import Module
from corebox.errors import InputError
from corebox.files.diskroot import DiskRoot
from corebox.files.extents import Extent, read_at
from corebox.files.openfile import OpenFile
from corebox.gather.collect import GatherOptions, collect
from corebox.gather.compressed import decompressed_core
from corebox.locate.complete import completed
from corebox.locate.gaps import lacks_files
from corebox.locate.leftout import packages_of, restored, take_debug_files
from corebox.locate.places import Places
from corebox.locate.search import WORKING_DIRECTORY, Recovered, search
from corebox.locate.staging import Staging
from corebox.store.files import stat_of
from corebox.store.store import Store
from corebox.unbundle.read import BundleReader, is_bundle, read_manifest
from corebox.unbundle.verify import prove_core

_CHUNK = 1 << 20


class Written(NamedTuple):
    """The bundle and its manifest."""

    manifest: Manifest
    bundle: WrittenBundle


class Outcome(NamedTuple):
    """What came of it.

    Attributes:
        search: what that gave.
        key: stands for all that the bundle has, before it is written; None where nothing was to be written.
        written: the bundle; None where nothing was to be written, or what ``key`` stands for is known.
    """

    search: Recovered
    key: str | None = None
    written: Written | None = None


class _Crash(NamedTuple):
    """A crash, opened.

    Attributes:
        core: see there.
        content: makes what a bundle has of the core.
        manifest: what a bundle says of it, None if there is a core alone.
        wanted: the modules whose files are not at hand, or are others.
        root: an empty folder for files.
        fill: puts what is at hand into ``root``.
    """

    core: CoreFile
    content: Callable[[], CoreContent]
    manifest: Manifest | None
    wanted: tuple[Module, ...]
    root: Path
    fill: Callable[[], None] = lambda: None


def recover(
    store: Store,
    subject: Subject,
    places: Places,
    out: Path,
    progress: Callable[[str], None] = lambda _: None,
    *,
    always: bool = True,
    is_known: Callable[[str], bool] = lambda _: False,
) -> Outcome:
    """Write the bundle ``out``: what the subject has, and what the places have of the rest.

    Args:
        store: where temporary files are.
        subject: a core, a bundle or an image.
        places: where to look.
        out: is replaced.
        progress: told what takes time.
        always: write it also if nothing was found for a bundle.
        is_known: whether what a key stands for need not be written again.

    Raises:
        InputError: ``no-core``, ``not-a-core``, ``bundle-damaged``, and the errors of the places.
        HostError: ``cannot-write``, ``no-space``, and the errors of the places.
    """
    with store.workplace() as work, ExitStack() as stack:
        crash = stack.enter_context(_opened(store, subject, work))
        light = crash.manifest if crash.manifest and crash.manifest.left_out else None
        if light:  # what has come from the site stays
            crash.fill()
        packages = packages_of(light) if light else {}
        found = search(crash.core, crash.wanted, places.sources, crash.root, progress, packages)
        if not found.taken and not always:
            return Outcome(found)
        crash.fill()
        origins = {path: FileOrigin(*origin) for path, origin in found.origins.items()}
        if light:
            origins.update(take_debug_files(Staging(crash.root), light, places.sources))
        disk = stack.enter_context(DiskRoot(str(crash.root)))
        fresh = collect(crash.core, disk, GatherOptions(beside=WORKING_DIRECTORY)).manifest
        manifest = completed(crash.manifest, fresh, origins, found)
        manifest = restored(manifest, light, crash.root, origins) if light else manifest
        sources = disk.open_all(entry.path for entry in manifest.files)
        key = _key(subject, manifest, [sources[path] for path in sorted(origins) if path in sources])
        if is_known(key):
            return Outcome(found, key)
        progress("writing the bundle")
        content = crash.content() if manifest.core.included else None
        written = write_bundle(str(out), Content(manifest, sources, content, jobs=os.cpu_count() or 1))
        return Outcome(found, key, Written(manifest, written))


def _key(subject: Subject, manifest: Manifest, new: Iterable[OpenFile]) -> str:
    """Stands for the core, what is said of the crash, and the content of the files that were found."""
    core = subject.image.image_id if isinstance(subject, Image) else str(stat_of([subject.path]))
    digest = hashlib.sha256(core.encode() + manifest.to_bytes())
    for file in new:
        for offset in range(0, file.status.size, _CHUNK):
            digest.update(read_at(file.fileno(), offset, _CHUNK))
    return digest.hexdigest()


def recovered_bundle(
    store: Store, given: Path, places: Places, work: Path, progress: Callable[[str], None] = lambda _: None
) -> Path:
    """A bundle in the folder ``work`` with what the places have of the bundle or core ``given``, or that itself.

    Raises:
        The errors of ``recover``.
    """
    subject = BundleFile(given) if is_bundle(given) else BareCore(given)
    if isinstance(subject, BundleFile) and not lacks_files(read_manifest(given)):
        return given
    out = work / "recovered.corebox"
    outcome = recover(store, subject, places, out, progress, always=isinstance(subject, BareCore))
    return out if outcome.written else given


@contextmanager
def core_of(store: Store, subject: Subject) -> Iterator[CoreFile]:
    """The core of a crash, open.

    Raises:
        InputError: ``no-core``, ``not-a-core``, ``bundle-damaged``.
    """
    with store.workplace() as work, _opened(store, subject, work) as crash:
        yield crash.core


@contextmanager
def _opened(store: Store, subject: Subject, work: Path) -> Iterator[_Crash]:
    root = work / "root"
    root.mkdir()
    if isinstance(subject, BareCore):
        opening = _bare(subject, root, work)
    elif isinstance(subject, BundleFile):
        opening = _unpacked(subject, root, work)
    else:
        opening = _of_image(store, subject, root)
    with opening as crash:
        yield crash


@contextmanager
def _bare(subject: BareCore, root: Path, work: Path) -> Iterator[_Crash]:
    with decompressed_core(str(subject.path), str(work)) as path, open_core(path) as core:
        yield _Crash(core, lambda: CompactCore(core), None, core.modules, root)


@contextmanager
def _unpacked(bundle: BundleFile, root: Path, work: Path) -> Iterator[_Crash]:
    with BundleReader(plain_bundle(bundle.path, bundle.identity, None, work)) as reader:
        unpacked = reader.unpack(work / "bundle")
    if unpacked.core is None or unpacked.core_layout is None:
        raise _no_core(str(bundle.path))
    place = core_within(str(unpacked.core))
    layout = unpacked.core_layout.read_bytes()
    with _known(unpacked.core, place, layout, reader.manifest, unpacked.root, root) as crash:
        yield crash


@contextmanager
def _of_image(store: Store, subject: Image, root: Path) -> Iterator[_Crash]:
    from corebox.image.export import read_layout  # noqa: PLC0415  # slow to import, and only images need it
    from corebox.image.opened import open_image  # noqa: PLC0415

    opened = open_image(store, subject.image)
    if opened.compact is None:
        raise _no_core(subject.name)
    place = Extent(opened.compact.offset, opened.compact.size)
    with _known(opened.compact.path, place, read_layout(opened), opened.manifest, opened.root, root) as crash:
        yield crash


@contextmanager
def _known(path: Path, place: Extent, layout: bytes, manifest: Manifest, files: Path, root: Path) -> Iterator[_Crash]:
    """A crash of which a bundle has told: the core lies at ``place`` of the file ``path``."""
    with open_core(str(path)) as core, path.open("rb") as file:

        def content() -> CoreContent:
            return CoreInFile(file.fileno(), place.offset, place.size, layout)

        staging = Staging(root)
        for link in manifest.symlinks:  # before all files, which land where these lead
            staging.link(link.path, link.target)

        def fill() -> None:
            _put_files(staging, manifest, files)
            for entry in manifest.left_out:  # as it was at the site
                staging.restore(entry.path, entry.mode, entry.mtime)

        proofs = prove_core(core, str(files), manifest)
        wanted = tuple(module for module, proof in zip(core.modules, proofs, strict=True) if not proof.proven)
        yield _Crash(core, content, manifest, wanted, root, fill)


def _put_files(staging: Staging, manifest: Manifest, files: Path) -> None:
    """Put the files of a bundle into the root, where nothing else was put."""
    with DiskRoot(str(files)) as disk:
        for entry in manifest.files:
            found = disk.find(entry.path).file
            if found is not None and not staging.has(entry.path):
                staging.put(entry.path, found.fileno(), os.fstat(found.fileno()))


def _no_core(name: str) -> InputError:
    hint = "ask the customer for the core, and recover from that: corebox recover CORE --from PLACE"
    return InputError("no-core", f"{name} has no core, and without one no file can be proved", hint)
