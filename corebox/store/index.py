"""index.json of the image layout: which images there are and what their names are (OCI spec, ``image-layout.md``).

One image is listed once, however many manifests and registries it came by: the ID of an image is the digest of its
configuration, and what stands in a manifest beside that is how somebody stored it.
"""

import json
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from corebox.store.files import write_atomically
from corebox.store.values import MANIFEST_TYPE, REF_NAME, Descriptor, image_damaged, is_digest

#: The text of the file oci-layout.
LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'
#: Annotations of an entry: what would else have to be read from the image's manifest and configuration.
_IMAGE_ID, _IDENTITY = "io.corebox.image", "io.corebox.bundle"
#: Annotation of the index itself.
_TOKEN = "io.corebox.token"  # noqa: S105  # no secret


class Facts(NamedTuple):
    """What the index says of an image besides its names: its ID, and the identity of its bundle, which may be empty."""

    image_id: str
    identity: str = ""


class Listed(NamedTuple):
    """An image in the index."""

    manifest: Descriptor
    facts: Facts
    tags: tuple[str, ...] = ()


#: Reads the facts of an image whose manifest this is.
Describe = Callable[[Descriptor], Facts]


def read_index(path: Path, describe: Describe) -> tuple[list[Listed], str]:
    """The images that index.json lists, and its token, another for each time that it is written.

    ``describe`` is asked where an entry does not say it itself. The token is empty if somebody else wrote the file.

    Raises:
        InputError: ``image-damaged``.
    """
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        return [], ""
    except (ValueError, RecursionError) as error:
        raise image_damaged(f"{path} is not JSON") from error
    match value:
        case {"manifests": list(manifests), **rest}:
            notes = rest.get("annotations")
            token = str(notes.get(_TOKEN, "")) if isinstance(notes, dict) else ""
            images = _merged([Descriptor.from_json(item) for item in manifests], describe)
            return images, token if token.isalnum() else ""
    raise image_damaged(f"{path} lists no manifests")


def _merged(entries: Iterable[Descriptor], describe: Describe) -> list[Listed]:
    """One for each image: of several manifests the first one stays, which is not the last that came."""
    found: dict[str, Listed] = {}
    for entry in entries:
        facts = _facts(entry) or describe(entry)
        known = found.get(facts.image_id) or Listed(entry._replace(annotations={}), facts)
        tag = entry.annotations.get(REF_NAME)
        found[facts.image_id] = known._replace(tags=(*known.tags, tag) if tag else known.tags)
    return list(found.values())


def _facts(entry: Descriptor) -> Facts | None:
    image_id = entry.annotations.get(_IMAGE_ID, "")
    return Facts(image_id, entry.annotations.get(_IDENTITY, "")) if is_digest(image_id) else None


def write_index(path: Path, images: Iterable[Listed], scratch: Path) -> None:
    """Replace index.json; ``scratch`` is a directory on the same disk."""
    entries = []
    for manifest, facts, tags in images:
        known = {_IMAGE_ID: facts.image_id, **({_IDENTITY: facts.identity} if facts.identity else {})}
        # What could not be read is read again next time: it may have been made good by then.
        kept = manifest._replace(annotations=known if facts.image_id != manifest.digest else {})
        entries += [_named(kept, tag) for tag in tags] or [kept]
    write_atomically(path, index_text(entries, {_TOKEN: secrets.token_hex(16)}), scratch)


def index_text(entries: Iterable[Descriptor], annotations: Mapping[str, str] = MappingProxyType({})) -> bytes:
    """The text of an index.json with these entries."""
    in_order = sorted(entries, key=lambda entry: (entry.annotations.get(REF_NAME, ""), entry.digest))
    manifests = [entry.to_json() for entry in in_order]
    value = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": manifests}
    value |= {"annotations": dict(annotations)} if annotations else {}
    return json.dumps(value, sort_keys=True).encode()  # with an indent it would take ten times as long


def _named(entry: Descriptor, tag: str) -> Descriptor:
    return entry._replace(annotations={**entry.annotations, REF_NAME: tag})


def with_image(images: Sequence[Listed], new: Listed, is_readable: Callable[[Descriptor], bool]) -> list[Listed]:
    """The images with ``new``, whose names the others lose; the manifest that it has already stays if it can be."""
    same = [
        each
        for each in images
        if new.facts.image_id == each.facts.image_id or new.manifest.digest == each.manifest.digest
    ]
    others = [each for each in images if each not in same]
    kept = next((each.manifest for each in same if is_readable(each.manifest)), new.manifest)
    tags = {*new.tags, *(tag for each in same for tag in each.tags)}
    return [
        *(each._replace(tags=tuple(tag for tag in each.tags if tag not in tags)) for each in others),
        Listed(kept._replace(media_type=MANIFEST_TYPE), new.facts, tuple(sorted(tags))),
    ]


def without_tag(images: Iterable[Listed], tag: str) -> list[Listed]:
    """The images without the name; the one that had it stays, nameless if that was its last name."""
    return [each._replace(tags=tuple(name for name in each.tags if name != tag)) for each in images]
