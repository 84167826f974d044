"""Names of images in registries: ``HOST[:PORT]/REPOSITORY[:TAG]`` or ``…@sha256:DIGEST``.

The host must be there. Engines take a name without one for Docker Hub's, and a core with somebody's data in it is the
last thing to send there by a slip.
"""

import re
from typing import NamedTuple

from corebox.errors import UsageError
from corebox.store.values import without_password

_HOST = (
    r"(?P<host>(?:localhost|[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+|\[[0-9A-Fa-f:]+\]|[A-Za-z0-9-]+(?=:))(?::[0-9]{1,5})?)"
)
# The grammar of repository names and tags: OCI distribution spec, "Pulling manifests".
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = rf"(?P<repository>{_PART}(?:/{_PART})*)"
_TAG = r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?"
_DIGEST = r"(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
_REFERENCE = re.compile(f"{_HOST}/{_REPOSITORY}{_TAG}{_DIGEST}")
_NAME = re.compile(f"(?:{_HOST}/)?{_REPOSITORY}{_TAG}")
_MAX_LENGTH = 512


#: What skopeo and podman put before the name of an image in a registry.
_TRANSPORT = "docker://"


class Reference(NamedTuple):
    """An image in a registry; ``host`` has the port if one was given."""

    host: str
    repository: str
    tag: str | None = None
    digest: str | None = None

    @property
    def wanted(self) -> str:
        """What the API calls the reference: the digest, the tag, or ``latest``."""
        return self.digest or self.tag or "latest"

    def __str__(self) -> str:
        digest = f"@{self.digest}" if self.digest else ""
        tag = f":{self.tag or 'latest'}" if self.tag or not digest else ""
        return f"{self.host}/{self.repository}{tag}{digest}"


def is_reference(text: str) -> bool:
    """Whether ``text`` can only mean an image in a registry; ``docker://`` may stand before it."""
    text = bare_name(text)
    return len(text) <= _MAX_LENGTH and _REFERENCE.fullmatch(text) is not None


def bare_name(text: str) -> str:
    """The name without ``docker://``."""
    return text.removeprefix(_TRANSPORT)


def within(registry: str | None, text: str) -> str:
    """The name ``text``, beneath ``registry`` (``HOST[/REPOSITORY]``) if it has no registry in it."""
    return text if registry is None or is_reference(text) else f"{registry.rstrip('/')}/{bare_name(text)}"


def is_repository(text: str) -> bool:
    """Whether a repository may be called so: what a registry says may be anything."""
    return len(text) <= _MAX_LENGTH and re.fullmatch(_REPOSITORY, text) is not None


def repository_name(path: str) -> str:
    """A part of a repository's name for the program at ``path``."""
    return re.sub(r"[^a-z0-9]+", "-", path.rpartition("/")[2].lower()).strip("-") or "crash"


def is_name(text: str) -> bool:
    """Whether an image may be called ``text`` here: as an engine would call it, with or without a host."""
    return len(text) <= _MAX_LENGTH and _NAME.fullmatch(text) is not None


def check_name(text: str) -> None:
    """Refuse what no image may be called.

    Raises:
        UsageError: ``bad-tag``.
    """
    if not is_name(text):
        hint = "use lower-case letters and digits, with . _ - in between, and a tag: -t app:1234"
        raise UsageError("bad-tag", f"{text:.200} is not a valid image name", hint)


def parse_reference(text: str) -> Reference:
    """The reference that ``text`` spells.

    Raises:
        UsageError: ``bad-reference``.
    """
    text = bare_name(text)
    match = _REFERENCE.fullmatch(text) if len(text) <= _MAX_LENGTH else None
    if match is None:
        hint = (
            "write the host too: registry.example.com/team/crash:1 (Docker Hub is docker.io/NAME/crash); "
            "or set one: --registry, or registry in the file that `corebox config` shows"
        )
        shown = without_password(text)
        raise UsageError("bad-reference", f"{shown:.200} does not name an image in a registry", hint)
    return Reference(match["host"], match["repository"], match["tag"], match["digest"])
