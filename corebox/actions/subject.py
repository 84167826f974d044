"""What a SUBJECT on the command line is: a bundle file, a bare core, or an image in the store or in a registry."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from corebox.errors import InputError
from corebox.gather.output import require_harmless
from corebox.store.store import Store
from corebox.store.values import StoredImage


class BundleFile(NamedTuple):
    """A bundle on disk; ``identity`` is the file with the private key if it is encrypted."""

    path: Path
    identity: Path | None = None


class BareCore(NamedTuple):
    """A core file on disk, without the files that it was mapped from."""

    path: Path


class Image(NamedTuple):
    """An image in the store."""

    name: str
    image: StoredImage


class Pulling(NamedTuple):
    """How an image is fetched that the store lacks.

    ``fetching`` is told the bytes; ``ca_file`` and ``plain_http`` are the registry's ``Access``; ``registry`` is where
    images are whose names have no registry in them.
    """

    fetching: Callable[[int], None] = lambda _: None
    ca_file: Path | None = None
    plain_http: bool = False
    registry: str | None = None


#: Nobody is told, and nothing but TLS will do.
QUIETLY = Pulling()


class InRegistry(NamedTuple):
    """An image in a registry that the store does not have; ``name`` has the registry in it, as ``text`` need not."""

    text: str
    name: str
    pulling: Pulling


Subject = BundleFile | BareCore | Image
#: What a session opens: of an image in a registry it may need little.
Found = Subject | InRegistry


def resolve(store: Store, text: str, pulling: Pulling = QUIETLY, identity: Path | None = None) -> Subject:
    """As ``find_subject``; an image in a registry is pulled.

    Raises:
        InputError: ``no-such-file``, ``no-such-image``, ``cannot-read``, and those of ``pull``.
        HostError: those of ``pull``.
    """
    return here(store, find_subject(store, text, pulling, identity))


def here(store: Store, found: Found) -> Subject:
    """The same on this machine.

    Raises:
        The errors of ``pull``.
    """
    if not isinstance(found, InRegistry):
        return found
    from corebox.actions.pull import pull  # noqa: PLC0415  # slow to import

    return Image(found.text, pull(store, found.name, found.pulling).image)


def find_subject(store: Store, text: str, pulling: Pulling = QUIETLY, identity: Path | None = None) -> Found:
    """What ``text`` names; a file that is there wins over an image of the same name.

    An image that the store does not have may be in a registry, if its name has one in it; it is pulled if it is one
    of skopeo's: ``docker-daemon:``, ``containers-storage:``, ``docker-archive:``, ``oci:``, ``oci-archive:``.
    ``identity`` is the file with the private key for an encrypted bundle.

    Raises:
        InputError: ``no-such-file``, ``no-such-image``, ``cannot-read``, and those of ``pull``.
        HostError: those of ``pull``.
    """
    path = Path(text)
    if path.is_file():
        return _file(path, identity)
    check_file(text)
    name = text.removeprefix("docker://")
    try:
        return Image(text, store.find(name))
    except InputError as error:
        if error.code != "no-such-image":
            raise
        found = _elsewhere(store, text, pulling) if set("/:") & set(text) or pulling.registry else None
        if found is None:
            raise InputError("no-such-image", f"{error.message}, nor a file of that name", error.hint) from None
        return found


def keep_subject(subject: Found, *outputs: Path | None) -> None:
    """Refuse to write over the file that is read.

    Raises:
        UsageError: ``output-is-input``.
    """
    if isinstance(subject, BundleFile | BareCore):
        for out in outputs:
            if out is not None:
                require_harmless(str(out), [str(subject.path)], force=True)


def check_file(text: str) -> None:
    """Refuse what can only mean a file, and is none.

    Raises:
        InputError: ``no-such-file``, ``not-a-file``.
    """
    if not text:
        raise InputError("no-such-file", "the name is empty", "give a bundle, a core or the name of an image")
    path = Path(text)
    if path.exists() and not path.is_file():
        what = "a directory" if path.is_dir() else "not a regular file"
        raise InputError("not-a-file", f"{text} is {what}", "give a bundle, a core or the name of an image")
    if not path.exists() and (text.endswith(".corebox") or text.startswith((".", os.sep))):
        raise InputError("no-such-file", f"{text} does not exist", "check the name: ls -l; images: corebox images")


def _file(path: Path, identity: Path | None) -> BundleFile | BareCore:
    from corebox.actions.source import needs_identity  # noqa: PLC0415  # images need nothing that reads bundles
    from corebox.unbundle.read import is_bundle  # noqa: PLC0415

    return BundleFile(path, identity) if is_bundle(path) or needs_identity(path) else BareCore(path)


def _elsewhere(store: Store, text: str, pulling: Pulling) -> Image | InRegistry | None:
    """The image in a registry, or from its engine, folder or archive; None if the name says none of these."""
    # Half of the start-up time is what the registry's side imports, and most commands never need it.
    from corebox.registry.places import parse_place  # noqa: PLC0415
    from corebox.registry.reference import is_reference, within  # noqa: PLC0415

    name = within(pulling.registry, text)
    is_place = parse_place(text) is not None
    if not is_place and not is_reference(name):
        return None
    known = store.look_up(name)
    if known is not None:
        return Image(text, known)
    if not is_place:
        return InRegistry(text, name, pulling)
    from corebox.actions.pull import pull  # noqa: PLC0415

    return Image(text, pull(store, text, pulling).image)


def image_of(store: Store, subject: Subject, progress: Callable[[str], None] = lambda _: None) -> StoredImage:
    """The image of ``subject``, built if it is a bundle that has not been built yet.

    Raises:
        InputError: ``bare-core``, ``not-a-core``, ``cannot-read``, and those of ``build``.
    """
    if isinstance(subject, BareCore):
        from corebox.coredump.core import open_core  # noqa: PLC0415  # slow to import, and only this mistake needs it

        with open_core(str(subject.path)):
            pass  # another file is told what it is
        hint = (
            "if you have its files, say where: --from PLACE; else, where it crashed, run: "
            f"corebox gather {subject.path} -o crash.corebox; without Python there: corebox request {subject.path}"
        )
        raise InputError("bare-core", f"{subject.path} is a core without the files that were mapped", hint)
    if isinstance(subject, BundleFile):
        from corebox.actions.build import BuildOptions, build  # noqa: PLC0415  # slow to import, and most were built

        built = build(store, subject.path, BuildOptions(identity=subject.identity), progress)
        assert built.image  # the native builder's are in the store
        return built.image
    return subject.image
