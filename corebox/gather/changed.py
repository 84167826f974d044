"""A file that changes, or cannot be read, while the bundle is written: it is left out, and all else is gathered."""

import os
from typing import Optional

from corebox.bundle.manifest import ModuleEntry, Omission
from corebox.coredump.verdict import MISSING
from corebox.errors import InputError
from corebox.files.openfile import OpenFile
from corebox.gather.collect import Collection


def without_changed(collection: Collection, error: InputError) -> Collection:
    """The collection without the file that ``error`` is about, and without all others that have changed by now.

    Raises:
        InputError: ``error`` itself, if it is about something else.
    """
    named = error.context.get("path")
    gone = {}
    for path, file in collection.sources.items():
        why = error.message if file.name == named else _why_gone(file)
        if why:
            gone[path] = why
    if not gone:
        raise error
    manifest = collection.manifest
    missing = manifest.missing + tuple(Omission(path, why) for path, why in gone.items())
    manifest = manifest._replace(
        files=tuple(entry for entry in manifest.files if entry.path not in gone),
        modules=tuple(_without_file(each, gone.get(each.path)) for each in manifest.modules),
        missing=tuple(sorted(missing, key=lambda omission: os.fsencode(omission.path))),
    )
    return collection._replace(
        manifest=manifest, sources={path: file for path, file in collection.sources.items() if path not in gone}
    )


def _why_gone(file: OpenFile) -> Optional[str]:
    try:
        file.check_unchanged()
    except InputError as error:
        return error.message
    return None


def _without_file(module: ModuleEntry, why: Optional[str]) -> ModuleEntry:
    if not why:
        return module
    return module._replace(verdict=MISSING, build_id=module.build_id._replace(file=None), size=None, detail=why)
