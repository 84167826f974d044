"""Reads images: manifest and config, checked for what the store needs of them."""

import hashlib
import itertools
import json
from collections.abc import Iterable
from pathlib import Path

from corebox.errors import InputError
from corebox.store.values import (
    LAYER_KIND,
    MAX_JSON,
    Descriptor,
    Json,
    Layer,
    StoredImage,
    image_damaged,
    is_digest,
    without_password,
)

#: Names that are looked through for what a slip may have meant.
_MAX_COMPARED = 2000


def read_image(oci: Path, manifest: Descriptor, tags: tuple[str, ...]) -> StoredImage:
    """The image whose manifest ``manifest`` describes.

    Raises:
        InputError: ``image-damaged``.
    """
    value = _read_json(oci, manifest.digest)
    layers = value.get("layers")
    if not isinstance(layers, list):
        raise image_damaged("its manifest has no layers")
    described = Descriptor.from_json(value.get("config"))
    config = _read_json(oci, described.digest)
    diff_ids = parse_diff_ids(config, len(layers))
    parts = [Descriptor.from_json(layer) for layer in layers]
    return StoredImage(
        image_id=described.digest,
        manifest_digest=manifest.digest,
        tags=tags,
        layers=tuple(
            Layer(part.digest, part.size, part.annotations.get(LAYER_KIND, "other"), diff_id, part.media_type)
            for part, diff_id in zip(parts, diff_ids, strict=True)
        ),
        config=config,
    )


def is_readable(oci: Path, manifest: Descriptor) -> bool:
    """Whether manifest and config of the image are as they should be."""
    try:
        read_image(oci, manifest, ())
    except InputError:
        return False
    return True


def parse_diff_ids(config: Json, count: int) -> list[str]:
    """The diff IDs of an image configuration, which must be ``count`` digests (OCI image spec, config.md).

    Raises:
        InputError: ``image-damaged``.
    """
    match config:
        case {"rootfs": {"diff_ids": list(diff_ids)}} if len(diff_ids) == count and all(
            isinstance(each, str) and is_digest(each) for each in diff_ids
        ):
            return [str(each) for each in diff_ids]
    raise image_damaged("manifest and config differ in the number of layers")


def _read_json(oci: Path, digest: str) -> Json:
    path = oci / "blobs" / "sha256" / digest[7:]
    try:
        if path.stat().st_size > MAX_JSON:
            raise image_damaged(f"{digest} is too long")
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != digest[7:]:
            raise image_damaged(f"{digest} does not match its digest")
        value = json.loads(data)
    except FileNotFoundError as error:
        raise image_damaged(f"{digest} is not in the store") from error
    except (ValueError, RecursionError) as error:
        raise image_damaged(f"{digest} is not JSON") from error
    if not isinstance(value, dict):
        raise image_damaged(f"{digest} is not an object")
    return value


def no_such_image(reference: str, tags: Iterable[str]) -> InputError:
    """The error for a name that no image has; ``tags`` are all that there are."""
    import difflib  # noqa: PLC0415  # only for a slip

    # Comparing takes 20 microseconds for each.
    close = difflib.get_close_matches(reference, itertools.islice(tags, _MAX_COMPARED))
    hint = f"did you mean {' or '.join(close)}? " if close else ""
    message = f"no image {without_password(reference)} in the store"
    return InputError("no-such-image", message, hint + "`corebox images` lists the images")
