"""The native builder: from an unpacked bundle to an image in the store, without running anything.

A pure function of bundle, toolbox, symbols and template: nothing of the clock, the machine or the user is in it.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from corebox.bundle.manifest import Manifest
from corebox.image.added import plan_step, replace_copies
from corebox.image.crashlayer import crash_layer
from corebox.image.dockerfile import Dockerfile, parse_dockerfile
from corebox.image.layers import PlannedLayer, plan_layers, plan_ours
from corebox.image.parts import CORE as CORE_LAYER
from corebox.image.parts import SYMBOLS
from corebox.image.recipe import Recipe, parse_recipe
from corebox.image.tar import Entry, key_of, write_tar
from corebox.image.template import LayerFile, render_template
from corebox.store.store import Store
from corebox.store.values import LAYER_KIND, MANIFEST_TYPE, Descriptor, Json, Layer, StoredImage, host_architecture
from corebox.unbundle.read import Unpacked

EPOCH = "1970-01-01T00:00:00Z"
_LAYER_RECORD = "layer"


class Description(NamedTuple):
    """What the image says beside its layers: texts that other packages know."""

    gdbinit: str
    entrypoint: tuple[str, ...]
    environment: Mapping[str, str]
    labels: Mapping[str, str]
    template: Path


class BuiltLayer(NamedTuple):
    """One layer of a build; ``reused`` if nothing had to be written for it; ``file`` is its name in a context."""

    layer: Layer
    reused: bool
    file: str


class Assembly(NamedTuple):
    """All layers of an image and the Dockerfile that adds them: what both builders start from."""

    layers: tuple[BuiltLayer, ...]
    dockerfile: Dockerfile
    template: Path
    links: frozenset[str]


def assemble(
    store: Store,
    unpacked: Unpacked,
    manifest: Manifest,
    toolbox: Layer,
    description: Description,
    *,
    symbols: Sequence[Entry] = (),
    progress: Callable[[str], None] = lambda _: None,
) -> Assembly:
    """Write the layers that the store lacks, and render the Dockerfile.

    Args:
        store: where the layers go.
        unpacked: the bundle in a directory; ``manifest`` is the bundle's.
        manifest: see there.
        toolbox: the first layer.
        description: gdb's commands and the image's configuration.
        symbols: files beneath ``.corebox/debug``.
        progress: told the kind of each layer before it is written.

    Raises:
        InputError: ``reserved-path``, ``not-a-core``.
        UsageError: ``bad-template``.
    """
    built = [BuiltLayer(toolbox, True, "toolbox.tar")]
    plans = plan_layers(manifest, unpacked.root, unpacked.digests)
    plans += [plan_ours(SYMBOLS, symbols)] if symbols else []
    for plan in plans:
        progress(plan.kind)
        _append_layer(store, plan, built)
    if unpacked.core is not None:
        built.append(_take_core(store, unpacked.core, f"sha256:{unpacked.core_layer}"))
    _append_layer(store, crash_layer(unpacked, manifest, description.gdbinit), built)
    text = render_template(
        description.template,
        [LayerFile(each.layer.kind, each.file) for each in built],
        description.labels,
        description.environment,
        description.entrypoint,
    )
    links = frozenset(link.path[1:] for link in manifest.symlinks)
    own = [each.file for each in built]
    rendered, folder = parse_dockerfile(text), description.template.parent
    dockerfile = replace_copies(rendered, folder, links, own, lambda plan: _append_layer(store, plan, built))
    return Assembly(tuple(built), dockerfile, description.template, links)


def _take_core(store: Store, core: Path, digest: str) -> BuiltLayer:
    """The core's layer, which comes with the bundle as it is."""
    size = core.stat().st_size
    known = store.has(digest)
    if not known:
        store.adopt_blob(core, digest)
    return BuiltLayer(Layer(digest, size, CORE_LAYER, digest), known, "core.tar")


def _append_layer(store: Store, plan: PlannedLayer, built: list[BuiltLayer]) -> str:
    """Build the layer and name its tar, by its kind and how many there were."""
    before = sum(each.layer.kind == plan.kind for each in built)
    file = f"{plan.kind}-{before + 1}.tar" if before else f"{plan.kind}.tar"
    built.append(_build_layer(store, plan, file))
    return file


def _build_layer(store: Store, plan: PlannedLayer, file: str) -> BuiltLayer:
    """The layer, taken from the store if its inputs are known there."""
    key = key_of(plan.entries)
    match store.recall(_LAYER_RECORD, key) if key else None:
        case {"digest": str(digest), "size": int(size)} if store.has(digest):
            return BuiltLayer(Layer(digest, size, plan.kind, digest), True, file)
    with store.writer() as writer:
        write_tar(plan.entries, writer)
        blob = writer.commit()
    if key:
        store.remember(_LAYER_RECORD, key, {"digest": blob.digest, "size": blob.size}, [blob.digest])
    return BuiltLayer(Layer(blob.digest, blob.size, plan.kind, blob.digest), False, file)


def put_native(store: Store, assembly: Assembly, tags: Sequence[str]) -> StoredImage:
    """Put the image that the rendered Dockerfile describes into the store.

    Raises:
        UsageError: ``bad-dockerfile``, ``not-native``.
    """
    recipe = parse_recipe(assembly.dockerfile)
    known = {each.file: each.layer for each in assembly.layers}
    layers, history = [], []
    for step in recipe.steps:
        if not step.adds_one_of(known):
            plan_step(step, assembly.template.parent, assembly.links)  # tells what is wrong with it
        layers.append(known[step.sources[0]])
        history.append({"created": EPOCH, "created_by": f"{' '.join(step.sources)} {step.target}"})
    manifest: Json = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "annotations": dict(recipe.labels),
        "layers": [
            Descriptor(each.media_type, each.digest, each.size, {LAYER_KIND: each.kind}).to_json() for each in layers
        ],
    }
    return store.put_image(manifest, _config(recipe, layers, history), tags)


def _config(recipe: Recipe, layers: Sequence[Layer], history: Sequence[Mapping[str, str]]) -> Json:
    """The image configuration (OCI image spec, config.md)."""
    return {
        "created": EPOCH,
        "architecture": host_architecture(),
        "os": "linux",
        "config": recipe.config(),
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
        "history": list(history),
    }
