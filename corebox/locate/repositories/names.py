"""What the user calls repositories: ``debian:SUITE``, ``ubuntu:SUITE``, or the URL of one of any format."""

import re
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from corebox.errors import HostError, UsageError
from corebox.locate.repositories.apk import INDEX, ApkRepository
from corebox.locate.repositories.apt import AptRepository, Suite
from corebox.locate.repositories.download import Downloads
from corebox.locate.repositories.packages import Repository
from corebox.locate.repositories.place import Repositories
from corebox.locate.repositories.rpmmd import RpmRepository
from corebox.locate.repositories.signature import keyrings
from corebox.store.store import Store
from corebox.store.values import Json

_SUITE = re.compile(r"[a-z0-9][a-z0-9.+-]{0,63}")
_DEBIAN = {"11": "bullseye", "12": "bookworm", "13": "trixie", "14": "forky"}
_UBUNTU = {
    "20.04": "focal", "22.04": "jammy", "24.04": "noble", "24.10": "oracular", "25.04": "plucky", "25.10": "questing",
    "26.04": "resolute",
}  # fmt: skip
_DEBIAN_KEYS = ("debian-archive-keyring.gpg", "debian-archive-removed-keys.gpg")
_UBUNTU_KEYS = ("ubuntu-archive-keyring.gpg", "ubuntu-archive-removed-keys.gpg", "ubuntu-keyring-2018-archive.gpg")
_DEBIAN_URL, _SECURITY_URL, _DEBUG_URL = (
    f"http://deb.debian.org/{name}" for name in ("debian", "debian-security", "debian-debug")
)
_UBUNTU_URL, _DDEBS_URL = "http://archive.ubuntu.com/ubuntu", "http://ddebs.ubuntu.com"
_NOTES = "repository-kind"
_NONE: Json = {"kind": "none"}
_HINT = "give a release, like debian:trixie or ubuntu:24.04"


def open_repository(
    place: str, store: Store, on_warning: Callable[[str], None], progress: Callable[[str], None]
) -> Repositories | None:
    """The repositories that the user calls ``place``; None if that is the name of no distribution, and no URL of one.

    Raises:
        UsageError: ``bad-place``.
        HostError: ``repository-unreachable`` where only the server can tell what is there.
    """
    downloads = Downloads(store, progress)
    suites = _distribution(place)
    if suites is None and urlsplit(place).scheme in ("http", "https"):
        return _known_url(place.rstrip("/"), store, downloads, on_warning)
    if suites is None:
        return None
    repositories = [AptRepository(place, suite, store, downloads, on_warning) for suite in suites]
    return Repositories(place, repositories, store, downloads, on_warning)


def _distribution(place: str) -> Sequence[Suite] | None:
    kind, _, release = place.partition(":")
    if kind not in ("debian", "ubuntu") or "/" in place:
        return None
    release = (_DEBIAN if kind == "debian" else _UBUNTU).get(release, release)
    if not _SUITE.fullmatch(release):
        raise UsageError("bad-place", f"{place} is not the name of a release", _HINT)
    return _debian(release) if kind == "debian" else _ubuntu(release)


def _debian(release: str) -> Sequence[Suite]:
    """The release, what was updated since, and its debug files; unstable has no updates."""
    keys = tuple(keyrings(_DEBIAN_KEYS))
    return (
        Suite(f"{_DEBIAN_URL}/dists/{release}", _DEBIAN_URL, keys),
        Suite(f"{_SECURITY_URL}/dists/{release}-security", _SECURITY_URL, keys, optional=True),
        Suite(f"{_DEBIAN_URL}/dists/{release}-updates", _DEBIAN_URL, keys, optional=True),
        Suite(f"{_DEBUG_URL}/dists/{release}-debug", _DEBUG_URL, keys, optional=True),
    )


def _ubuntu(release: str) -> Sequence[Suite]:
    keys = tuple(keyrings(_UBUNTU_KEYS))
    pockets = (f"{release}-updates", f"{release}-security", release)
    return (
        *(Suite(f"{_UBUNTU_URL}/dists/{pocket}", _UBUNTU_URL, keys, optional=pocket != release) for pocket in pockets),
        Suite(f"{_DDEBS_URL}/dists/{release}", _DDEBS_URL, keys, optional=True),
    )


def _known_url(url: str, store: Store, downloads: Downloads, on_warning: Callable[[str], None]) -> Repositories | None:
    """As ``_of_url``; what turned out to be no repository is not asked again."""
    if "debuginfod" in url or store.recall(_NOTES, url) == _NONE:
        return None
    try:
        found = _of_url(url, store, downloads, on_warning)
    except HostError as error:
        if error.code != "repository-unreachable":
            raise
        return None  # whoever takes it for another kind of server says that it does not answer
    if found is None:
        store.remember(_NOTES, url, _NONE)
    return found


def _of_url(url: str, store: Store, downloads: Downloads, on_warning: Callable[[str], None]) -> Repositories | None:
    """A repository of the kind that the URL says, else of the kind that is there; None where none is.

    Servers of debuginfod have none of these files.
    """

    def place(repository: Repository) -> Repositories:
        return Repositories(url, [repository], store, downloads, on_warning)

    if "/dists/" in url:
        suite = Suite(url.removesuffix("/InRelease"), url.partition("/dists/")[0], tuple(keyrings()))
        return place(AptRepository(url, suite, store, downloads, on_warning))
    base = url.removesuffix("/repodata/repomd.xml").removesuffix(f"/{INDEX}").removesuffix("/InRelease")
    rpm = RpmRepository(url, base, downloads, on_warning)
    if rpm.is_there():
        return place(rpm)
    apk = ApkRepository(url, base, downloads)
    if apk.is_there():
        return place(apk)
    flat = AptRepository(url, Suite(base, base, tuple(keyrings()), optional=True), store, downloads, on_warning)
    return place(flat) if flat.is_there() else None
