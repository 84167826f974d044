"""The native builder: from an unpacked bundle to an image in the store, without running anything.

A pure function of bundle, toolbox, symbols and template: nothing of the clock, the machine or the user is in it.
"""

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from corebox.bundle import Manifest, Unpacked
from corebox.coredump import CompactionPlan, CoreFile, open_core, plan_compaction
from corebox.image.dockerfile import Recipe, parse, render
from corebox.image.entries import Entry, Produced, layer_key, write_layer
from corebox.image.layers import KINDS, plan_core, plan_rootfs
from corebox.store import LAYER_KIND, MANIFEST_TYPE, BlobWriter, Descriptor, Layer, Store, StoredImage

EPOCH = "1970-01-01T00:00:00Z"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "ppc64le": "ppc64le", "s390x": "s390x", "riscv64": "riscv64"}


@dataclass(frozen=True)
class Description:
    """What the image says beside its layers: texts that other packages know."""

    gdbinit: str
    entrypoint: tuple[str, ...]
    environment: Mapping[str, str]
    labels: Mapping[str, str]
    template: Path


@dataclass(frozen=True)
class BuiltLayer:
    """One layer of a build; ``reused`` if the store had it, or had all that it is made of."""

    layer: Layer
    reused: bool


@dataclass(frozen=True)
class Assembly:
    """All layers of an image and the rendered Dockerfile: what both builders start from."""

    layers: tuple[BuiltLayer, ...]
    dockerfile: str
    recipe: Recipe = field(repr=False)


def assemble(
    store: Store,
    unpacked: Unpacked,
    manifest: Manifest,
    toolbox: Layer,
    description: Description,
    symbols: Sequence[Entry] = (),
    progress: Callable[[str], None] = lambda _: None,
) -> Assembly:
    """Write the layers that the store lacks, and render the Dockerfile.

    Raises:
        InputError: ``reserved-path``, ``not-a-core``.
        UsageError: ``bad-template``.
    """
    built = {"toolbox": BuiltLayer(toolbox, reused=True)}
    with ExitStack() as stack:
        plans = plan_rootfs(unpacked, manifest)
        plans["symbols"] = list(symbols)
        core, layout = None, None
        if unpacked.core is not None:
            opened = stack.enter_context(open_core(str(unpacked.core)))
            plan = plan_compaction(opened)
            core, layout = Produced(plan.size, _writer(opened, plan)), plan.layout()
        plans["core"] = plan_core(unpacked, manifest, description.gdbinit, core, layout)
        for kind in KINDS[1:]:
            if plans[kind]:
                progress(kind)
                built[kind] = _build_layer(store, kind, plans[kind])
    layers = tuple(built[kind] for kind in KINDS if kind in built)
    text = render(
        description.template,
        [file_name(each.layer) for each in layers],
        description.environment,
        description.labels,
        description.entrypoint,
    )
    return Assembly(layers, text, parse(text))




def file_name(layer: Layer) -> str:
    """The name of a layer in a build context: its kind, so that a Dockerfile reads well."""
    return f"{layer.kind}.tar"


def put_native(store: Store, assembly: Assembly, tags: Sequence[str]) -> StoredImage:
    """Put the image that the rendered Dockerfile describes into the store."""
    by_name = {file_name(each.layer): each.layer for each in assembly.layers}
    layers = [by_name[name] for name in assembly.recipe.layers]
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "layers": [Descriptor(each.media_type, each.digest, each.size, {LAYER_KIND: each.kind}).to_json() for each in layers],
    }
    return store.put_image(manifest, _config(assembly.recipe, layers), tags)


def _build_layer(store: Store, kind: str, entries: Sequence[Entry]) -> BuiltLayer:
    key = layer_key(entries)
    known = store.recall("layer", key) if key else None
    if known and store.has(str(known["digest"])):
        return BuiltLayer(Layer(str(known["digest"]), int(str(known["size"])), kind, str(known["digest"])), reused=True)
    layer = write_layer(store, kind, entries)
    if key:
        store.remember("layer", key, {"digest": layer.digest, "size": layer.size})
    return BuiltLayer(layer, reused=False)


def _writer(core: CoreFile, plan: CompactionPlan) -> Callable[[BlobWriter], None]:
    def write(blob: BlobWriter) -> None:
        blob.write(plan.head)
        for run in plan.runs:
            blob.copy_range(core.fileno(), run.original, run.size)
        blob.write(plan.tail)

    return write


def _config(recipe: Recipe, layers: Sequence[Layer]) -> dict[str, Any]:
    """The image configuration (OCI image spec, config.md)."""
    config: dict[str, Any] = {
        "Env": list(recipe.environment),
        "Labels": dict(recipe.labels),
        "User": recipe.user,
        "WorkingDir": recipe.working_directory,
    }
    if recipe.entrypoint is not None:
        config["Entrypoint"] = list(recipe.entrypoint)
    if recipe.command is not None:
        config["Cmd"] = list(recipe.command)
    machine = platform.machine()
    return {
        "created": EPOCH,
        "architecture": _ARCHITECTURES.get(machine, machine),
        "os": "linux",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [layer.digest for layer in layers]},
        "history": [{"created": EPOCH, "created_by": f"ADD {file_name(layer)} /"} for layer in layers],
    }


def write_context(store: Store, assembly: Assembly, folder: Path) -> None:
    """Leave a folder that ``docker build`` takes: the Dockerfile and the layers as hard links, else copies."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "Dockerfile").write_text(assembly.dockerfile, encoding="utf-8")
    for each in assembly.layers:
        target = folder / file_name(each.layer)
        target.unlink(missing_ok=True)
        try:
            os.link(store.blob_path(each.layer.digest), target)
        except OSError:  # another file system
            target.write_bytes(b"")
            with store.blob_path(each.layer.digest).open("rb") as source, target.open("wb") as copy:
                while os.copy_file_range(source.fileno(), copy.fileno(), 1 << 30):
                    pass
