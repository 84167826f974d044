"""index.json of the image layout: which images there are and what their names are (OCI spec, ``image-layout.md``).

One image is listed once, however many manifests and registries it came by: the ID of an image is the digest of its
configuration, and what stands in a manifest beside that is how somebody stored it.

We write each entry on a line of its own. So an image is found, and one is added, without parsing the others: the text
is searched for what only the line of that image can have, since JSON has no quotation mark within a string. What others
have written is parsed as a whole, and read as if we had written it.
"""

import json
import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from corebox.store.files import write_atomically
from corebox.store.values import MANIFEST_TYPE, REF_NAME, Descriptor, image_damaged, is_digest

#: The text of the file oci-layout.
LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'
#: Annotations of an entry: what would else have to be read from the image's manifest and configuration.
_IMAGE_ID, _SOURCE = "io.corebox.image", "io.corebox.bundle"
_DIGEST = "digest"
#: Annotation of the index itself.
_TOKEN = "io.corebox.token"  # noqa: S105  # no secret
_OWN_HEAD = re.compile(rb'\{"annotations": \{"io\.corebox\.token": "([0-9a-f]{32})"\}, "manifests": \[\n')
_HEAD, _END = '{{"annotations": {}, "manifests": [\n', b",\n"
_FOOT = b'\n], "mediaType": "application/vnd.oci.image.index.v1+json", "schemaVersion": 2}\n'


class Facts(NamedTuple):
    """What the index says of an image besides its names: its ID, and the digest of what it was made from, or ``""``."""

    image_id: str
    source: str = ""


class Listed(NamedTuple):
    """An image in the index; one that cannot be read has the digest of its manifest as its ID."""

    manifest: Descriptor
    facts: Facts
    tags: tuple[str, ...] = ()


#: Reads the facts of an image whose manifest this is.
Describe = Callable[[Descriptor], Facts]


class Index(NamedTuple):
    """What an index lists.

    Attributes:
        text: a line for each name of an image, or one for a nameless image; each ends with a comma and a newline.
        token: another for each time that the file is written; empty if somebody else wrote it.
    """

    text: bytes = b""
    token: str = ""

    def images(self) -> list[Listed]:
        """All images."""
        return _merged(map(_parse, self.text.splitlines()))

    def tagged(self, tag: str) -> Listed | None:
        """The image with this name."""
        return next(self._images_with(_member(REF_NAME, tag)), None)

    def beginning(self, digits: str, most: int) -> list[Listed]:
        """At most so many images whose ID or manifest begins so, else those made from what does."""
        wanted = [_member(name, f"sha256:{digits}")[:-1] for name in (_IMAGE_ID, _DIGEST, _SOURCE)]
        found = [*self._images_with(wanted[0], most), *self._images_with(wanted[1], most)]
        found = found or list(self._images_with(wanted[2], most))
        return list({each.facts.image_id: each for each in found}.values())[:most]

    def with_image(self, new: Listed, is_readable: Callable[[Descriptor], bool]) -> "Index":
        """The same with ``new``, whose names the others lose; the manifest that it has already stays if it can be."""
        same = [*self._lines_of(new.facts.image_id), *self._lines_of(new.manifest.digest)]
        known = [_parse(line) for line in dict.fromkeys(same)]
        kept = next((each.manifest for each in known if is_readable(each.manifest)), new.manifest)
        tags = {*new.tags, *(tag for each in known for tag in each.tags)}
        image = Listed(kept._replace(media_type=MANIFEST_TYPE), new.facts, tuple(sorted(tags)))
        lines = _lines(image)
        if set(lines) == set(same):
            return self
        others = self._without(same)
        for tag in new.tags:
            others = others.without_tag(tag)
        return others._replace(text=others.text + b"".join(lines))

    def without_tag(self, tag: str) -> "Index":
        """The same without the name; the image that had it stays, nameless if that was its last name."""
        lost = list(self._lines_with(_member(REF_NAME, tag)))
        left = self._without(lost)
        for image in map(_parse, lost):
            if not left._lines_of(image.facts.image_id):
                left = left._replace(text=left.text + b"".join(_lines(image._replace(tags=()))))
        return left

    def without_images(self, image_ids: Iterable[str]) -> "Index":
        """The same without these images and their names."""
        return self._without([line for image_id in image_ids for line in self._lines_of(image_id)])

    def _without(self, lines: Iterable[bytes]) -> "Index":
        text = self.text
        for line in lines:
            before, _, after = text.partition(line)
            text = before + after
        return self._replace(text=text)

    def _images_with(self, member: bytes, most: int = 1) -> Iterator[Listed]:
        """The images of the lines that have ``member``, each once."""
        known = set[str]()
        for line in self._lines_with(member):
            image_id = _parse(line).facts.image_id
            if image_id not in known:
                known.add(image_id)
                yield from _merged(map(_parse, self._lines_of(image_id)))
            if len(known) == most:
                return

    def _lines_of(self, image_id: str) -> list[bytes]:
        lines = [*self._lines_with(_member(_IMAGE_ID, image_id)), *self._lines_with(_member(_DIGEST, image_id))]
        return list(dict.fromkeys(lines))

    def _lines_with(self, member: bytes) -> Iterator[bytes]:
        at = self.text.find(member)
        while at >= 0:
            end = self.text.index(b"\n", at) + 1
            yield self.text[self.text.rfind(b"\n", 0, at) + 1 : end]
            at = self.text.find(member, end)


def read_index(path: Path, describe: Describe) -> Index:
    """The index in the file ``path``; ``describe`` is asked about entries that do not say it themselves.

    Raises:
        InputError: ``image-damaged``.
    """
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return Index()
    own = _OWN_HEAD.match(text)
    if own and text.endswith(_FOOT):
        lines = text[own.end() : -len(_FOOT)]
        return Index(lines + _END if lines else b"", own[1].decode())
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise image_damaged(f"{path} is not JSON") from error
    match value:
        case {"manifests": list(manifests)}:
            entries = (_listed(Descriptor.from_json(item), describe) for item in manifests)
            return Index(b"".join(line for image in _merged(entries) for line in _lines(image)))
    raise image_damaged(f"{path} lists no manifests")


def write_index(path: Path, index: Index, scratch: Path) -> None:
    """Replace index.json; ``scratch`` is a directory on the same disk."""
    write_atomically(path, _text(index.text, {_TOKEN: secrets.token_hex(16)}), scratch)


def index_text(entries: Iterable[Descriptor]) -> bytes:
    """The text of an index.json with these entries."""
    return _text(b"".join(map(_line, entries)), {})


def _text(lines: bytes, annotations: dict[str, str]) -> bytes:
    return _HEAD.format(json.dumps(annotations)).encode() + lines[: -len(_END)] + _FOOT


def _lines(image: Listed) -> list[bytes]:
    """What the index says of an image."""
    manifest, facts, tags = image
    known = {_IMAGE_ID: facts.image_id, **({_SOURCE: facts.source} if facts.source else {})}
    # What could not be read is not described: it may have been made good by next time.
    known = known if facts.image_id != manifest.digest else {}
    names = [{REF_NAME: tag} for tag in tags] or [{}]
    return [_line(manifest._replace(annotations={**known, **name})) for name in names]


def _line(entry: Descriptor) -> bytes:
    return json.dumps(entry.to_json(), sort_keys=True).encode() + _END


def _member(name: str, value: str) -> bytes:
    """What only a line with this member has."""
    return f"{json.dumps(name)}: {json.dumps(value)}".encode()


def _parse(line: bytes) -> Listed:
    try:
        value = json.loads(line.rstrip(_END))
    except (ValueError, RecursionError) as error:
        raise image_damaged("index.json has a line that is not JSON") from error
    return _listed(Descriptor.from_json(value), lambda manifest: Facts(manifest.digest))


def _listed(entry: Descriptor, describe: Describe) -> Listed:
    image_id, tag = entry.annotations.get(_IMAGE_ID, ""), entry.annotations.get(REF_NAME)
    is_described = is_digest(image_id)
    facts = Facts(image_id, entry.annotations.get(_SOURCE, "")) if is_described else describe(entry)
    return Listed(entry._replace(annotations={}), facts, (tag,) if tag else ())


def _merged(entries: Iterable[Listed]) -> list[Listed]:
    """One for each image: of several manifests the first one stays, which is not the last that came."""
    found: dict[str, Listed] = {}
    for entry in entries:
        known = found.get(entry.facts.image_id)
        found[entry.facts.image_id] = known._replace(tags=(*known.tags, *entry.tags)) if known else entry
    return list(found.values())
