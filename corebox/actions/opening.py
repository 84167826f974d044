"""What a session opens: an image with its core in a file, or a core that is read where it lies."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from corebox.actions.completed import completed
from corebox.actions.cores import AUTO, ON_DEMAND, WHOLE
from corebox.actions.subject import BundleFile, Found, InRegistry, here
from corebox.describe.lacking import light_notice
from corebox.engine.base import Engine
from corebox.errors import HostError
from corebox.image.opened import OpenedImage
from corebox.locate.places import Places
from corebox.store.store import Store

if TYPE_CHECKING:
    from corebox.locate.search import Recovered


class Opening(NamedTuple):
    """The crash to open.

    Attributes:
        opened: its image.
        notices: what is still missing.
        search: what was found, or not, if the image does not say it itself.
        is_far: its core comes over a network.
    """

    opened: OpenedImage
    notices: tuple[str, ...] = ()
    search: "Recovered | None" = None
    is_far: bool = False


class Circumstances(NamedTuple):
    """What a crash is opened with.

    Attributes:
        engine: gdb runs in it.
        places: where missing files are looked for.
        core: of CORES.
        tell: told why a core is not read where it lies.
        progress: told each step.
    """

    engine: Engine
    places: Places
    core: str
    tell: Callable[[str], None]
    progress: Callable[[str], None]

    def is_little(self, size: int, worth: int) -> bool:
        """Whether a core of so many bytes is as well fetched at once."""
        return self.core == AUTO and size < worth

    def refuse(self, why: str) -> None:
        """Tell those who insist why a core cannot be read where it lies; others get all of it as ever.

        Raises:
            Unservable: somebody insists.
        """
        from corebox.ondemand.mount import Unservable  # noqa: PLC0415  # seldom

        if self.core == ON_DEMAND:
            raise Unservable(why)


def open_crash(store: Store, subject: Found, circumstances: Circumstances, work: Path, lasting: ExitStack) -> Opening:
    """Open the crash; what has to be ended afterwards ends with ``lasting``, and ``work`` lasts as long.

    Raises:
        InputError: those of building, pulling and finding files.
        HostError: ``cannot-serve`` if nothing but a core that is read where it lies will do; those of building and
            pulling.
    """
    if circumstances.core != WHOLE and isinstance(subject, BundleFile | InRegistry):
        from corebox.ondemand.mount import Unservable  # noqa: PLC0415  # images of the store need nothing of it

        try:
            opening = _on_demand(store, subject, circumstances, work, lasting)
        except Unservable as why:
            if circumstances.core == ON_DEMAND:
                hint = "let corebox choose: --core auto; `corebox doctor` tells whether this machine can do it"
                raise HostError("cannot-serve", f"the core cannot be read where it lies: {why}", hint) from why
            circumstances.tell(f"{why}; so the whole core is fetched")
        else:
            if opening is not None:
                return opening
    found = completed(store, here(store, subject), circumstances.places, circumstances.progress)
    return Opening(found.opened, found.notices, found.search)


def _on_demand(
    store: Store, subject: BundleFile | InRegistry, circumstances: Circumstances, work: Path, lasting: ExitStack
) -> Opening | None:
    # Slow to import, above all what speaks to registries.
    if isinstance(subject, InRegistry):
        from corebox.actions.remoteimage import open_in_registry  # noqa: PLC0415

        return open_in_registry(store, subject, circumstances, work, lasting)
    from corebox.actions.framedbundle import open_bundle  # noqa: PLC0415

    return open_bundle(store, subject, circumstances, work, lasting)


def noted(opened: OpenedImage, name: str) -> Opening:
    """The crash as it is, and a word if files were left out of its bundle."""
    notice = light_notice(opened.manifest, name)
    return Opening(opened, (notice,) if notice else ())
