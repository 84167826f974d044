"""A crash with the files that places have of it: looked for whenever it is opened, built when there are new ones."""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from corebox.actions.subject import BareCore, Image, Subject, image_of
from corebox.image.opened import open_image
from corebox.locate.gaps import gap_notices, lacks_files
from corebox.locate.places import Places
from corebox.store.store import Store
from corebox.store.values import StoredImage

if TYPE_CHECKING:
    from corebox.locate.search import Recovered


class Completed(NamedTuple):
    """The image to open, and what is still missing, as notices."""

    image: StoredImage
    notices: tuple[str, ...] = ()


def completed(
    store: Store, subject: Subject, places: Places, progress: Callable[[str], None] = lambda _: None
) -> Completed:
    """The image of the subject with all that the places have of its files.

    Raises:
        The errors of ``recover``, of building, and ``bare-core`` for a core for which no place was named.
    """
    if isinstance(subject, BareCore) and places.sources:
        outcome, image = _built(store, subject, places, progress)
        assert image  # it is always written
        return Completed(image, tuple(gap_notices(outcome)))
    image = image_of(store, subject, progress)
    if not places.sources or not lacks_files(open_image(store, image).manifest):
        return Completed(image)
    name = subject.name if isinstance(subject, Image) else str(subject.path)
    outcome, new = _built(store, Image(name, image), places, progress)
    return Completed(new or image, tuple(gap_notices(outcome)))


def _built(
    store: Store, subject: Image | BareCore, places: Places, progress: Callable[[str], None]
) -> "tuple[Recovered, StoredImage | None]":
    """What a search gives, and the image of all; None if there is nothing new to put into one."""
    # Slow to import, and most crashes lack nothing.
    from corebox.actions.build import BuildOptions, build  # noqa: PLC0415
    from corebox.actions.recover import recover  # noqa: PLC0415

    with store.workplace() as work:
        out = work / "completed.corebox"
        outcome = recover(store, subject, places, out, progress, always=isinstance(subject, BareCore))
        image = build(store, out, BuildOptions(), progress).image if outcome.written else None
    return outcome.search, image
