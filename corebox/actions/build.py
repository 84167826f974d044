"""Turn a bundle into an image; nothing is built twice."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import corebox
from corebox.actions.gdbinit import gdbinit_of
from corebox.actions.labels import crash_labels
from corebox.actions.load import load
from corebox.actions.places import OpenedPlaces, opened_places
from corebox.actions.source import needs_identity, plain_bundle
from corebox.actions.symbols import Symbols, find_symbols
from corebox.bundle.manifest import Manifest
from corebox.debugger.session import ENVIRONMENT, gdb_command
from corebox.describe.program import program_of
from corebox.engine.choose import connect
from corebox.image.context import context_archive, write_context
from corebox.image.native import Description, assemble, put_native
from corebox.image.parts import ADDED, OURS
from corebox.image.tar import Entry
from corebox.image.template import default_template
from corebox.image.toolbox import Toolbox, ensure_toolbox, lend_toolbox
from corebox.locate.places import SymbolOptions
from corebox.locate.split import lay_out_split
from corebox.locate.status import CrashFiles
from corebox.registry.reference import check_name, repository_name
from corebox.store.files import stat_of
from corebox.store.origin import note_origin
from corebox.store.store import Store
from corebox.store.values import Layer, StoredImage
from corebox.unbundle.read import BundleReader, Unpacked, read_manifest

Progress = Callable[[str], None]


@dataclass(frozen=True)
class BuildOptions:
    """How to build.

    Attributes:
        tags: names for the image; a name made of program and identity if there are none.
        builder: ``native`` or ``docker``.
        load: hand the image to Docker or Podman if one answers.
        context: leave the build context in this folder.
        template: another ``Dockerfile.template``.
        identity: the file with the private key of an encrypted bundle.
        libraries: the archive with the files of a bare core, which is given in the bundle's place.
        symbols: where to find debug files for the image.
        disclosed: of ``labels.PRIVATE`` what the labels may tell.
    """

    tags: tuple[str, ...] = ()
    builder: str = "native"
    load: bool = False
    context: Path | None = None
    template: Path = field(default_factory=default_template)
    identity: Path | None = None
    libraries: Path | None = None
    symbols: SymbolOptions = field(default_factory=SymbolOptions)
    disclosed: tuple[str, ...] = ()


class Built(NamedTuple):
    """What came of a build; ``image`` is None if it is in an engine only, ``loaded`` names the engine that has it."""

    image_id: str
    tags: tuple[str, ...]
    identity: str
    layers: tuple[tuple[Layer, bool], ...]
    image: StoredImage | None
    loaded: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The document of ``schema/build-1.schema.json``."""
        layers = [
            {"digest": layer.digest, "size": layer.size, "kind": layer.kind, "reused": reused}
            for layer, reused in self.layers
        ]
        return {
            "version": 1,
            "image_id": self.image_id,
            "tags": list(self.tags),
            "identity": self.identity,
            "layers": layers,
            "loaded": self.loaded,
        }


def build(store: Store, bundle: Path, options: BuildOptions, progress: Progress = lambda _: None) -> Built:
    """Build the image of ``bundle``, or find that it has been built.

    Raises:
        InputError: ``bundle-damaged`` and the others of its reader.
        UsageError: ``bad-tag``, ``bad-template``, ``needs-docker-builder``.
        HostError: ``no-gdb``, ``no-libpython``, ``no-space``, ``no-engine``.
    """
    for tag in options.tags:
        check_name(tag)
    noted = _identity(store, bundle, options)
    progress("toolbox")
    toolbox = ensure_toolbox(store)
    known = _recall(store, noted, toolbox, options) if noted and not options.symbols.places else None
    if known is not None and options.builder == "native" and options.context is None:
        built = known
    else:
        with store.adding(), store.workplace() as work:
            built = _build(store, bundle, toolbox, options, work, progress)
    if options.load and built.image is not None:
        progress("engine")
        return built._replace(loaded=load(store, built.image))
    return built


def _debug_entry(target: str, path: Path) -> Entry:
    with path.open("rb") as stream:
        digest = hashlib.sha256()
        while block := stream.read(1 << 20):
            digest.update(block)
        return Entry(f"{OURS}/debug/{target}", 0o644, 0, stream.tell(), None, path, digest.hexdigest())


def _split_entries(files: CrashFiles, found: Symbols, places: OpenedPlaces, work: Path) -> list[Entry]:
    """The split debug information that the user's places have."""
    if not places.places.sources:
        return []
    top, unpacked = work / "split", work / "unpacked-split"
    top.mkdir()
    unpacked.mkdir()
    split = lay_out_split(files, [each.path for each in found.files], places.places.sources, top, unpacked)
    return [_debug_entry(str(path.relative_to(top)), path) for path in sorted(split.files)]


def rebuild(store: Store, bundle: Path, options: BuildOptions, progress: Progress = lambda _: None) -> Built:
    """Build the image from nothing but the bundle and the toolbox, in a store that is thrown away.

    Raises:
        The errors of ``build``.
    """
    with store.workplace() as work:
        empty = Store(work / "store")
        lend_toolbox(ensure_toolbox(store), store, empty)
        return build(empty, bundle, replace(options, builder="native", load=False, context=None), progress)


def _build(
    store: Store, bundle: Path, toolbox: Toolbox, options: BuildOptions, work: Path, progress: Progress
) -> Built:
    progress("bundle")
    places = opened_places(store, options.symbols, progress)
    plain = plain_bundle(bundle, options.identity, options.libraries, work)
    if places.places.sources:
        from corebox.actions.recover import recovered_bundle  # noqa: PLC0415  # slow to import, and seldom needed

        plain = recovered_bundle(store, plain, places.places, work, progress)
    with BundleReader(plain) as reader:
        unpacked = reader.unpack(work / "bundle", hash_layer=True)
    description = _describe(reader.manifest, unpacked, toolbox, options)
    files = CrashFiles(reader.manifest, unpacked.root)
    found = find_symbols(files, places, options.symbols, progress)
    debug = [_debug_entry(file.target, file.path) for file in found.files]
    debug += _split_entries(files, found, places, work)
    assembly = assemble(store, unpacked, reader.manifest, toolbox.layer, description, symbols=debug, progress=progress)
    tags = options.tags or (default_tag(reader.manifest, unpacked.identity),)
    layers = tuple((each.layer, each.reused) for each in assembly.layers)
    if options.context is not None:
        write_context(store, assembly, options.context)
    if options.builder == "docker":
        progress("docker")
        image_id = connect("docker").build(context_archive(store, assembly), tags)
        return Built(image_id, tags, unpacked.identity, layers, None, "docker")
    image = put_native(store, assembly, tags)
    if not options.symbols.places:
        store.remember("bundle", _stat_key(bundle, options), {"identity": unpacked.identity}, [unpacked.identity])
    if plain == bundle and unpacked.core is not None:
        note_origin(store, f"sha256:{unpacked.core_layer}", bundle)
    # Symbols and files that a template copies are no part of the key: that image is built each time, of known layers.
    if not options.symbols.places and all(layer.kind != ADDED for layer in image.layers):
        key = _image_key(unpacked.identity, toolbox, options)
        store.remember("image", key, {"image_id": image.image_id}, [image.image_id])
    return _built(image, tags, unpacked.identity, layers)


def _identity(store: Store, bundle: Path, options: BuildOptions) -> str | None:
    """The identity of this very file if it was built before; else only look whether it begins as a bundle."""
    noted = store.recall("bundle", _stat_key(bundle, options)) if bundle.exists() else None
    if noted is None:
        if options.libraries is None and not options.symbols.places and not needs_identity(bundle):
            read_manifest(bundle)
        return None
    return str(noted["identity"])


def _recall(store: Store, identity: str, toolbox: Toolbox, options: BuildOptions) -> Built | None:
    """The image of the bundle, if it was built with the same toolbox and template and is still there."""
    made = store.recall("image", _image_key(identity, toolbox, options))
    if made is None:
        return None
    image = store.look_up(str(made["image_id"]))
    if image is None or not all(store.has(layer.digest) for layer in image.layers):
        return None
    for tag in options.tags:
        store.tag(image, tag)
    found = store.find(image.image_id)
    return _built(found, options.tags or found.tags, identity, tuple((each, True) for each in found.layers))


def _built(image: StoredImage, tags: Sequence[str], identity: str, layers: tuple[tuple[Layer, bool], ...]) -> Built:
    """The names that were asked for come first: they are what is shown to be typed next."""
    others = (tag for tag in image.tags if tag not in tags)
    return Built(image.image_id, (*tags, *others), identity, layers, image)


def _stat_key(bundle: Path, options: BuildOptions) -> str:
    """A file that was not touched is not read again: a bundle can be gigabytes."""
    files = [bundle, options.libraries] if options.libraries is not None and options.libraries.exists() else [bundle]
    return json.dumps(stat_of(files))


def _image_key(identity: str, toolbox: Toolbox, options: BuildOptions) -> str:
    template = options.template.read_text(encoding="utf-8") if options.template.is_file() else ""
    return json.dumps([corebox.__version__, identity, toolbox.layer.digest, template, sorted(set(options.disclosed))])


def _describe(manifest: Manifest, unpacked: Unpacked, toolbox: Toolbox, options: BuildOptions) -> Description:
    executable = manifest.process.executable
    taken = {file.path for file in manifest.files}
    return Description(
        gdbinit=gdbinit_of(manifest),
        # Engines show this line. An executable whose name is no plain text gdb finds by itself, through NT_FILE.
        entrypoint=tuple(gdb_command(executable if executable in taken and executable.isprintable() else None)),
        environment=ENVIRONMENT,
        labels=crash_labels(manifest, unpacked, toolbox, options.disclosed),
        template=options.template,
    )


def default_tag(manifest: Manifest, identity: str) -> str:
    """A name from the program and the identity: ``app:3f2a1b4c5d6e``."""
    return f"{repository_name(program_of(manifest).called or '')}:{identity.removeprefix('sha256:')[:12]}"
