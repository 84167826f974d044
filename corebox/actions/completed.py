"""A crash with the files that places have of it: looked for whenever it is opened, built when there are new ones."""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import corebox
from corebox.actions.subject import BareCore, Image, Subject, image_of
from corebox.describe.lacking import light_notice
from corebox.image.opened import OpenedImage, open_image
from corebox.locate.gaps import gap_notices, lacks_files
from corebox.locate.places import Places
from corebox.store.store import Store
from corebox.store.values import Json, StoredImage

if TYPE_CHECKING:
    from corebox.locate.search import Recovered


#: Notes of images that were built of a crash and what was found for it, by the key of all that.
_NOTES = "completed"


class Completed(NamedTuple):
    """The crash, opened.

    Attributes:
        opened: the image with all that was found.
        notices: what is still missing.
        search: what was found, or not, if the image does not say it itself.
    """

    opened: OpenedImage
    notices: tuple[str, ...] = ()
    search: "Recovered | None" = None


def completed(
    store: Store, subject: Subject, places: Places, progress: Callable[[str], None] = lambda _: None
) -> Completed:
    """The image of the subject with all that the places have of its files, opened.

    Raises:
        The errors of ``recover``, of building, and ``bare-core`` for a core for which no place was named.
    """
    if isinstance(subject, BareCore) and places.sources:
        return _built(store, subject, None, places, progress)
    opened = open_image(store, image_of(store, subject, progress))
    name = subject.name if isinstance(subject, Image) else str(subject.path)
    if not places.sources or not lacks_files(opened.manifest):
        done = Completed(opened)
    else:
        done = _built(store, Image(name, opened.image), opened, places, progress)
    notice = light_notice(done.opened.manifest, name)
    return done._replace(notices=(*done.notices, notice)) if notice else done


def _built(
    store: Store,
    subject: Image | BareCore,
    opened: OpenedImage | None,
    places: Places,
    progress: Callable[[str], None],
) -> Completed:
    """The image of all that is found; ``opened`` if that is nothing."""
    # Slow to import, and most crashes lack nothing.
    from corebox.actions.build import BuildOptions, build  # noqa: PLC0415
    from corebox.actions.recover import recover  # noqa: PLC0415

    @functools.cache
    def known(key: str) -> StoredImage | None:
        note = store.recall(_NOTES, f"{corebox.__version__} {key}")
        found = store.look_up(str(note["image_id"])) if note else None
        return found if found and all(store.has(layer.digest) for layer in found.layers) else None

    with store.workplace() as work:
        out = work / "completed.corebox"
        outcome = recover(
            store, subject, places, out, progress, always=opened is None, is_known=lambda key: known(key) is not None
        )
        name = subject.name if isinstance(subject, Image) else str(subject.path)
        notices = tuple(gap_notices(outcome.search, name))
        if outcome.key is None:
            assert opened  # else it is always written
            return Completed(opened, notices, outcome.search)
        found = known(outcome.key) if outcome.written is None else build(store, out, BuildOptions(), progress).image
        assert found  # the native builder's are in the store
        note: Json = {"image_id": found.image_id}
        store.remember(_NOTES, f"{corebox.__version__} {outcome.key}", note, [found.image_id])
    return Completed(open_image(store, found), notices)
