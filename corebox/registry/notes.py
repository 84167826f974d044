"""What earlier pushes and pulls learned: what a layer is called when it is compressed, and who has it."""

from corebox.registry.reference import Reference
from corebox.store.store import Store
from corebox.store.values import Descriptor, Json

_COMPRESSED = "compressed"
_PLACES = "registry"
_MAX_PLACES = 8


def note_compressed(store: Store, diff_id: str, compression: str, blob: Descriptor) -> None:
    """Note that ``blob`` is the layer ``diff_id``, compressed."""
    store.remember(_COMPRESSED, f"{diff_id} {compression}", blob.to_json())


def known_compressed(store: Store, diff_id: str, compression: str) -> Descriptor | None:
    """What was noted."""
    value = store.recall(_COMPRESSED, f"{diff_id} {compression}")
    return Descriptor.from_json(value) if value else None


def note_place(store: Store, digest: str, reference: Reference) -> None:
    """Note that the repository has the blob."""
    places = [reference.repository, *known_places(store, digest, reference.host)]
    value: Json = {"repositories": list(dict.fromkeys(places))[:_MAX_PLACES]}
    store.remember(_PLACES, f"{reference.host} {digest}", value)


def known_places(store: Store, digest: str, host: str) -> list[str]:
    """Repositories of the registry ``host`` that had the blob, the last first."""
    match store.recall(_PLACES, f"{host} {digest}"):
        case {"repositories": list(repositories)}:
            return [str(repository) for repository in repositories]
    return []
