"""Hand an image to Docker or Podman, sending only the layers that it lacks."""

from collections.abc import Set

from corebox.engine.choose import find_daemon
from corebox.errors import HostError
from corebox.image.archive import image_archive
from corebox.store.store import Store
from corebox.store.values import StoredImage


def load(store: Store, image: StoredImage) -> str | None:
    """Load ``image`` into the engine that answers; return its name, None if none does.

    Raises:
        HostError: ``engine-failed``.
    """
    engine = find_daemon()
    if engine is None:
        return None
    known = known_layers(engine.layer_chains(), image)
    try:
        engine.load(image_archive(store, image, leave_out=known))
    except HostError:
        if not known:
            raise
        # That a layer may be left out is how engines behave, not what they promise.
        engine.load(image_archive(store, image))
    return engine.name


def known_layers(chains: Set[tuple[str, ...]], image: StoredImage) -> Set[str]:
    """The layers that an engine with these ``chains`` of diff IDs has: it knows a layer by all that lie beneath it."""
    diff_ids = tuple(layer.diff_id for layer in image.layers)
    depth = 0
    for chain in chains:
        shared = 0
        while shared < min(len(chain), len(diff_ids)) and chain[shared] == diff_ids[shared]:
            shared += 1
        depth = max(depth, shared)
    return {layer.digest for layer in image.layers[:depth]}
