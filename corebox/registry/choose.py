"""Finds the image for this machine behind a name: an index may be nested, say no platform, or be of something else."""

import hashlib
from collections.abc import Iterator
from typing import NamedTuple

from corebox.errors import InputError
from corebox.registry.answers import read_json
from corebox.registry.faults import digest_mismatch
from corebox.registry.source import Source
from corebox.store.values import MAX_JSON, Descriptor, Json, host_architecture, image_damaged, is_digest

IMAGE_MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
INDEXES = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")
#: Media types of configurations of container images; anything else is an artefact's.
_CONFIGS = ("application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json")
_DEEPEST = 4
_MAX_ENTRIES = 512
#: Manifests that are read to find out what they are for.
_MAX_READ = 64


class Manifest(NamedTuple):
    """The manifest of an image, and its digest."""

    value: Json
    digest: str


class _Entry(NamedTuple):
    """An entry of an index; ``architecture`` is empty if the index does not say it."""

    digest: str
    architecture: str


def find_manifest(source: Source, wanted: str) -> Manifest:
    """The manifest of the image called ``wanted``.

    Raises:
        InputError: ``empty-index``, ``wrong-platform``, ``not-an-image``, ``old-image-format``, ``digest-mismatch``,
            ``image-damaged``.
    """
    return _Search(source).follow(wanted, 0)


def read_config(source: Source, described: Descriptor) -> Json:
    """The configuration of an image.

    Raises:
        InputError: ``image-damaged``, ``digest-mismatch``.
    """
    data = b""
    for piece in source.blob(described):
        data += piece
        if len(data) > MAX_JSON:
            raise image_damaged("its configuration is too long")
    if "sha256:" + hashlib.sha256(data).hexdigest() != described.digest:
        raise digest_mismatch(f"the configuration is not {described.digest}")
    value = read_json(data)
    if not isinstance(value, dict):
        raise image_damaged("its configuration is not a JSON object")
    return value


class _Search:
    def __init__(self, source: Source) -> None:
        self._source = source
        self._name = source.name
        self._read = 0

    def follow(self, wanted: str, depth: int) -> Manifest:
        """The image that ``wanted`` leads to."""
        manifest, is_index = self._load(wanted)
        if not is_index:
            self._require_image(manifest.value)
            return manifest
        if depth == _DEEPEST:
            raise image_damaged(f"its indexes are nested more than {_DEEPEST} deep")
        entries = list(self._entries(manifest.value))
        if not entries:
            raise InputError(
                "empty-index", f"{self._name} is an index without any image", "ask whoever pushed it to push it again"
            )
        machine = host_architecture()
        exact = [each for each in entries if each.architecture == machine]
        unsaid = [each for each in entries if not each.architecture]
        for each in exact[:1] or unsaid:
            found = self._inside(each, depth, last=len(entries) == 1 or bool(exact))
            if found is not None:
                return found
        raise self._for_others([each.architecture for each in entries if each.architecture])

    def _inside(self, entry: _Entry, depth: int, *, last: bool) -> Manifest | None:
        """The image of an entry; None if it is none for this machine, and there are others (``last`` if not)."""
        try:
            found = self.follow(entry.digest, depth + 1)
        except InputError as error:
            if last or error.code not in ("not-an-image", "wrong-platform", "empty-index", "old-image-format"):
                raise
            return None
        if last or self._architecture(found.value) in ("", host_architecture()):
            return found
        return None

    def _architecture(self, manifest: Json) -> str:
        """What the configuration says; empty if it does not."""
        config = read_config(self._source, Descriptor.from_json(manifest.get("config")))
        return str(config.get("architecture", ""))

    def _load(self, wanted: str) -> tuple[Manifest, bool]:
        """The manifest called so, and whether it is an index."""
        self._read += 1
        if self._read > _MAX_READ:
            raise image_damaged(f"its indexes lead to more than {_MAX_READ} manifests")
        data, media_type = self._source.manifest(wanted)
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        if is_digest(wanted) and digest != wanted:
            raise digest_mismatch(f"the manifest is not {wanted}")
        value = read_json(data)
        if not isinstance(value, dict):
            raise image_damaged("its manifest is not a JSON object")
        said = value.get("mediaType") or media_type
        return Manifest(value, digest), said in INDEXES or (said not in IMAGE_MANIFESTS and "manifests" in value)

    def _entries(self, index: Json) -> Iterator[_Entry]:
        """What may be an image in an index; provenance and signatures that builders put beside are not."""
        manifests = index.get("manifests")
        if not isinstance(manifests, list) or len(manifests) > _MAX_ENTRIES:
            raise image_damaged(f"its index is not a list of at most {_MAX_ENTRIES} manifests")
        for entry in manifests:
            match entry:
                case {"digest": str(digest), **rest} if is_digest(digest):
                    platform = rest.get("platform")
                    platform = platform if isinstance(platform, dict) else {}
                    architecture = str(platform.get("architecture", ""))
                    system = str(platform.get("os", "linux"))
                    if architecture != "unknown" and not rest.get("artifactType"):
                        yield _Entry(digest, architecture if system == "linux" else f"{system}/{architecture}")
                case _:
                    raise image_damaged("its index has an entry without a digest")

    def _require_image(self, manifest: Json) -> None:
        """Refuse what is no container image."""
        if manifest.get("schemaVersion") == 1 or "fsLayers" in manifest:
            hint = "convert it with a current engine: docker pull, then docker push"
            raise InputError("old-image-format", f"{self._name} is in Docker's image format from before 2016", hint)
        config = manifest.get("config")
        config_type = str(config.get("mediaType", "")) if isinstance(config, dict) else ""
        kind = str(manifest.get("artifactType") or "") or (config_type if config_type not in _CONFIGS else "")
        if kind or "config" not in manifest:
            what = f"an artefact of type {kind:.100}" if kind else "something else"
            hint = "give the name of an image that corebox pushed; oras or helm read artefacts"
            raise InputError("not-an-image", f"{self._name} is not a container image but {what}", hint)

    def _for_others(self, architectures: list[str]) -> InputError:
        there = ", ".join(dict.fromkeys(architectures)) or "no platform that it names"
        return InputError(
            "wrong-platform",
            f"{self._name} has images for {there:.200}, and none for this machine, which is {host_architecture()}",
            "pull the one that you want by its digest, NAME@sha256:..., and get its bundle: "
            "corebox export NAME@sha256:... --bundle crash.corebox; a bundle can be opened anywhere",
        )
