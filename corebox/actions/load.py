"""Hand an image to Docker or Podman, sending only the layers that it lacks."""

from collections.abc import Iterable, Set
from typing import TYPE_CHECKING

from corebox.engine.choose import find_daemon
from corebox.errors import HostError
from corebox.image.archive import TarStream, docker_archive, oci_archive
from corebox.store.store import Store
from corebox.store.values import StoredImage

if TYPE_CHECKING:
    from corebox.engine.docker import DockerEngine


def load(store: Store, image: StoredImage) -> str | None:
    """Load ``image`` into the engine that answers; return its name, None if none does.

    Raises:
        HostError: ``engine-failed``.
    """
    engine = find_daemon()
    if engine is None:
        return None
    short, whole = archives(engine, store, image)
    try:
        engine.load(short)
    except HostError:
        if len(short) == len(whole):
            raise
        # That a layer may be left out is how engines behave, not what they promise.
        engine.load(whole)
    return engine.name


def archives(engine: "DockerEngine", store: Store, image: StoredImage) -> tuple[TarStream, TarStream]:
    """What ``engine`` takes ``image`` as: without the layers that it has, and whole."""
    if engine.has_containerd_store:
        manifests = engine.image_ids()
        known = layers_of(manifests, filter(None, map(store.look_up, manifests)))
        return oci_archive(store, image, known), oci_archive(store, image)
    known = known_layers(engine.layer_chains(), image)
    return docker_archive(store, image, known), docker_archive(store, image)


def layers_of(manifests: Set[str], images: Iterable[StoredImage]) -> Set[str]:
    """The layers of those of our images whose manifests an engine has.

    It has no others for certain as we have them: what it pulled is compressed there.
    """
    return {layer.digest for image in images if image.manifest_digest in manifests for layer in image.layers}


def known_layers(chains: Set[tuple[str, ...]], image: StoredImage) -> Set[str]:
    """The layers that an engine with these ``chains`` of diff IDs has: it knows a layer by all that lie beneath it."""
    diff_ids = tuple(layer.diff_id for layer in image.layers)
    return {
        layer.digest
        for number, layer in enumerate(image.layers, 1)
        if any(chain[:number] == diff_ids[:number] for chain in chains)
    }
