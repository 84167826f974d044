"""index.json of the image layout: which images there are and how they are called (OCI spec, ``image-layout.md``)."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from corebox.store.files import write_atomically
from corebox.store.values import REF_NAME, Descriptor, image_damaged

#: The text of the file oci-layout.
LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'


def read_index(path: Path) -> list[Descriptor]:
    """The manifests that index.json lists, one entry for each name.

    Raises:
        InputError: ``image-damaged``.
    """
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        return []
    except (ValueError, RecursionError) as error:
        raise image_damaged(f"{path} is not JSON") from error
    match value:
        case {"manifests": list(manifests)}:
            return [Descriptor.from_json(item) for item in manifests]
    raise image_damaged(f"{path} lists no manifests")


def write_index(path: Path, entries: Iterable[Descriptor], scratch: Path) -> None:
    """Replace index.json; ``scratch`` is a directory on the same disk."""
    write_atomically(path, index_text(entries), scratch)


def index_text(entries: Iterable[Descriptor]) -> bytes:
    """The text of an index.json with these entries."""
    manifests = [entry.to_json() for entry in sorted(entries, key=lambda entry: (tag_of(entry) or "", entry.digest))]
    value = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": manifests}
    return json.dumps(value, sort_keys=True, indent=1).encode()


def tag_of(entry: Descriptor) -> str | None:
    """The name that the entry gives its image."""
    return entry.annotations.get(REF_NAME)


def with_image(entries: Sequence[Descriptor], manifest: Descriptor, tags: Iterable[str]) -> list[Descriptor]:
    """The entries with ``manifest`` under ``tags``, which other images lose, and never without any entry."""
    wanted = {*tags, *(tag for entry in entries if entry.digest == manifest.digest and (tag := tag_of(entry)))}
    return [
        *(_untagged(entries, wanted, manifest.digest)),
        *(manifest._replace(annotations={REF_NAME: tag}) for tag in sorted(wanted)),
        *([manifest._replace(annotations={})] if not wanted else []),
    ]


def without_tag(entries: Sequence[Descriptor], tag: str) -> list[Descriptor]:
    """The entries without the name; the image stays, nameless if that was its last name."""
    return _untagged(entries, {tag}, None)


def _untagged(entries: Sequence[Descriptor], tags: Iterable[str], left_out: str | None) -> list[Descriptor]:
    """The entries without these names and without the manifest ``left_out``."""
    taken = set(tags)
    others = [entry for entry in entries if entry.digest != left_out]
    kept = [entry for entry in others if tag_of(entry) not in taken]
    known = {entry.digest for entry in kept}
    nameless = {entry.digest: entry._replace(annotations={}) for entry in others if entry.digest not in known}
    return [*kept, *nameless.values()]
