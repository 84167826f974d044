"""Which images go when the store is pruned."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from corebox.store.values import StoredImage


def to_remove(
    images: Sequence[StoredImage],
    used: Callable[[StoredImage], float],
    older_than: float | None,
    size_limit: int | None,
) -> list[StoredImage]:
    """The nameless images, those not used for ``older_than`` seconds, and what must go for the limit in bytes.

    ``used`` tells when an image was used last.
    """
    stale = [image for image in images if not image.tags or _is_old(used(image), older_than)]
    kept = [image for image in images if image not in stale]
    return stale if size_limit is None else [*stale, *_beyond(sorted(kept, key=used), size_limit)]


def _is_old(used: float, older_than: float | None) -> bool:
    return older_than is not None and time.time() - used > older_than


def _beyond(images: Sequence[StoredImage], limit: int) -> Iterator[StoredImage]:
    """The first images that must go for the blobs of the others to fit into ``limit`` bytes."""
    users = Counter(digest for image in images for digest in _sizes(image))
    left = sum({digest: size for image in images for digest, size in _sizes(image).items()}.values())
    for image in images:
        if left <= limit:
            break
        yield image
        for digest, size in _sizes(image).items():
            users[digest] -= 1
            left -= 0 if users[digest] else size


def _sizes(image: StoredImage) -> dict[str, int]:
    """The image's layers by digest: one may be there twice."""
    return {layer.digest: layer.size for layer in image.layers}


def blobs_of(image: StoredImage) -> Iterator[str]:
    """The digests of all that the image consists of."""
    yield image.manifest_digest
    yield image.image_id
    yield from (layer.digest for layer in image.layers)
