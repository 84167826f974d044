"""``corebox.json`` back into values, believing nothing: every type, range, path and link is checked."""

import json
import os

from corebox.bundle import layout
from corebox.bundle.faults import damaged
from corebox.bundle.fields import MisfitError, read
from corebox.bundle.manifest import Format, Manifest
from corebox.errors import InputError
from corebox.unbundle.tree import check_tree


def parse_manifest(data: bytes) -> Manifest:
    """The manifest in ``data``.

    Raises:
        InputError: ``bundle-too-new`` for another major version, ``bundle-damaged`` for anything that breaks the rules.
    """
    root = _parse_json(data)
    try:
        _check_version(root)
        manifest = read(Manifest, root)
    except MisfitError as error:
        raise damaged(f"corebox.json{error}") from error
    if len(manifest.files) + len(manifest.left_out) > layout.MAX_FILES or len(manifest.symlinks) > layout.MAX_SYMLINKS:
        raise damaged("more files or symbolic links than any process maps")
    links = [(entry.path, entry.target) for entry in manifest.symlinks]
    check_tree([entry.path for entry in manifest.files], links)
    if manifest.left_out:  # they have places of their own among the others
        check_tree([entry.path for entry in manifest.left_out], links)
        everything = [entry.path for entry in manifest.files] + [entry.path for entry in manifest.left_out]
        check_tree(sorted(everything, key=os.fsencode), links)
    return manifest


def _parse_json(data: bytes) -> object:
    if len(data) > layout.MAX_MANIFEST:
        raise damaged(f"corebox.json is longer than {layout.MAX_MANIFEST} bytes")
    try:
        return json.loads(data.decode("ascii"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise damaged(f"corebox.json is not ASCII JSON: {error}") from error


def _refuse_constant(name: str) -> object:
    raise ValueError(name + " is not JSON")


def _check_version(root: object) -> None:
    if not isinstance(root, dict):
        raise MisfitError(" is not an object")
    try:
        major = read(Format, root.get("format")).major
    except MisfitError as error:
        raise MisfitError(f": format{error}") from error
    if major not in layout.MAJORS:
        raise InputError(
            "bundle-too-new",
            f"the bundle has format version {major}, this corebox reads versions up to {layout.MAJOR}",
            "open it with a newer corebox: pip install --upgrade corebox",
            major=major,
        )
