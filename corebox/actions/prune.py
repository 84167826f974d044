"""Free disk space: remove images and layers that are not needed from the store, and what was left in an engine."""

import contextlib
from collections.abc import Callable
from typing import NamedTuple

from corebox.engine.choose import daemons
from corebox.errors import HostError
from corebox.image.toolbox import forget_toolboxes, kept_toolboxes
from corebox.store.store import Store
from corebox.store.values import StoredImage


class PruneOptions(NamedTuple):
    """Which images go beside those without a name.

    Attributes:
        older_than: those that were not used for so many seconds.
        size_limit: the least recently used, until the layers of the others fit into so many bytes.
        dry_run: remove nothing, and tell what would be removed.
    """

    older_than: float | None = None
    size_limit: int | None = None
    dry_run: bool = False


class Removed(NamedTuple):
    """What was removed: images and bytes of the store, and images that were left in engines."""

    images: tuple[StoredImage, ...]
    freed: int
    in_engines: tuple[str, ...]


def prune(
    store: Store, options: PruneOptions, confirm: Callable[[tuple[StoredImage, ...]], bool] = lambda _: True
) -> Removed | None:
    """Remove what is not needed; None if ``confirm``, asked before images are removed, says no.

    Of the toolboxes stay the one in use and those of images.

    Raises:
        HostError: ``store-in-use``.
    """
    pinned = kept_toolboxes(store)
    planned = store.plan_prune(options.older_than, options.size_limit, pinned)
    if options.dry_run:
        return Removed(planned.images, planned.freed, _leftovers(dry_run=True))
    if planned.images and not confirm(planned.images):
        return None
    pruned = store.prune(options.older_than, options.size_limit, pinned)
    forget_toolboxes(store)
    return Removed(pruned.images, pruned.freed, _leftovers(dry_run=False))


def sweep(store: Store) -> int:
    """Remove what no image needs, and no image; return the bytes freed."""
    return store.sweep(kept_toolboxes(store))


def _leftovers(*, dry_run: bool) -> tuple[str, ...]:
    """The images that sessions left in the engines that answer."""
    found: list[str] = []
    for engine in daemons():
        with contextlib.suppress(HostError):  # that an engine refuses is no reason to fail
            found += engine.remove_leftovers(dry_run=dry_run)
    return tuple(found)
