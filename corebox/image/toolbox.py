"""The toolbox: the layer with gdb and all that it needs to run in a root where nothing else need be there."""

import contextlib
import hashlib
import json
import os
import platform
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from corebox.coredump.elffile import read_elf
from corebox.errors import HostError, InputError
from corebox.image.findgdb import Debugger, find_debugger, find_gdb
from corebox.image.inside import python_inside_gdb
from corebox.image.parts import TOOLBOX, TOOLBOX_HOME, VERSIONS
from corebox.image.tar import complete, write_tar
from corebox.resources import shipped
from corebox.store.extract import extract_layer
from corebox.store.files import new_name
from corebox.store.store import Store
from corebox.store.values import Json, Layer, is_digest

_RECORD = "toolbox"
#: The code that decides what is in the toolbox.
_SOURCES = ("findgdb.py", "toolboxparts.py", "sbom.py", "packages.py", "inside.py")
_CHOICE = "toolbox-choice"
_BLOCK = 1 << 20
_MAX_VERSIONS = 4096  # bytes


class Toolbox(NamedTuple):
    """A toolbox in the store, and the versions that are in it by name (gdb, python, corebox)."""

    layer: Layer
    versions: Mapping[str, str]

    @property
    def summary(self) -> str:
        """The versions in one line."""
        return ", ".join(f"{name} {version}" for name, version in sorted(self.versions.items()))


def ensure_toolbox(store: Store) -> Toolbox:
    """The toolbox that was imported or made on purpose last, else this machine's own, made if need be.

    Raises:
        HostError: ``no-libpython`` or ``no-gdb``.
    """
    return _toolbox(store, store.recall(_CHOICE, "")) or _make(store, find_debugger())


def make_toolbox(store: Store, gdb: Path | None = None) -> Toolbox:
    """Make this machine's toolbox, if it is not there, and use it from now on.

    Args:
        store: where its layer goes.
        gdb: a gdb of this machine to make it from, instead of the one that corebox depends on.

    Raises:
        HostError: ``no-libpython``, ``no-gdb`` or ``gdb-unusable``.
    """
    toolbox = _make(store, find_gdb(gdb) if gdb else find_debugger())
    store.remember(_CHOICE, "", _note(toolbox))
    return toolbox


def list_toolboxes(store: Store) -> list[Toolbox]:
    """All toolboxes in the store."""
    found = {toolbox.layer.digest: toolbox for note in store.notes(_RECORD) if (toolbox := _toolbox(store, note))}
    return list(found.values())


def kept_toolboxes(store: Store) -> list[str]:
    """The layers that are to be kept although no image may need them: making the toolbox in use again takes a while."""
    used = recall_toolbox(store)
    return [used.layer.digest] if used else []


def recall_toolbox(store: Store) -> Toolbox | None:
    """The toolbox in use, if it has been made."""
    with contextlib.suppress(HostError):  # without a gdb, there is no toolbox of this machine's own
        return _toolbox(store, store.recall(_CHOICE, "") or store.recall(_RECORD, _key(find_debugger())))
    return None


def forget_toolboxes(store: Store) -> None:
    """Drop what was noted of toolboxes that are not in the store any more."""
    store.forget(_RECORD, lambda note: _toolbox(store, note) is None)


def export_toolbox(store: Store, toolbox: Toolbox, out: Path) -> None:
    """Write the toolbox into a file, for ``import_toolbox`` on another machine: builds there give the same images.

    Raises:
        HostError: ``cannot-write``.
    """
    with new_name(out) as new:
        shutil.copyfile(store.blob_path(toolbox.layer.digest), new)
        new.replace(out)


def import_toolbox(store: Store, path: Path) -> Toolbox:
    """Take a toolbox that ``export_toolbox`` wrote, and use it from now on.

    Raises:
        InputError: ``not-a-toolbox``, ``foreign-toolbox`` or ``cannot-read``.
    """
    if not path.is_file() or not os.access(path, os.R_OK):
        raise InputError("cannot-read", f"cannot read {path}", "check its name, type and permissions")
    with store.adding():
        versions = _read_versions(store, path)
        with store.writer() as writer, path.open("rb") as file:
            shutil.copyfileobj(file, writer, _BLOCK)
            blob = writer.commit()
        toolbox = Toolbox(Layer(blob.digest, blob.size, TOOLBOX, blob.digest), versions)
        store.remember(_RECORD, blob.digest, _note(toolbox))
        store.remember(_CHOICE, "", _note(toolbox))
    return toolbox


def lend_toolbox(toolbox: Toolbox, store: Store, other: Store) -> None:
    """Let the store ``other`` use a toolbox of ``store``, on the same disk if possible without a copy."""
    source, target = store.blob_path(toolbox.layer.digest), other.blob_path(toolbox.layer.digest)
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, target)
    other.remember(_CHOICE, "", _note(toolbox))


def _read_versions(store: Store, path: Path) -> dict[str, str]:
    """The versions in a toolbox; an InputError if it is something else, or has anything else in it.

    It is unpacked for that, and once more when it is used: nothing else ever comes into the store.
    """
    wrong = InputError("not-a-toolbox", f"{path} is not a toolbox", "give a file that `corebox toolbox export` wrote")
    with store.workplace() as work:
        try:
            extract_layer(path, work)
            machine = read_elf(str(work / TOOLBOX_HOME / "bin/gdb")).machine
        except InputError as error:
            raise wrong from error
        versions = _versions_within(work)
    if versions is None:
        raise wrong
    if machine != platform.machine():
        what = f"{path} is a toolbox for {machine}, this machine is {platform.machine()}"
        raise InputError(
            "foreign-toolbox", what, "export one on a machine of this architecture, or use this machine's own"
        )
    return versions


def _versions_within(root: Path) -> dict[str, str] | None:
    """The versions, if a toolbox and nothing else has been unpacked there; its links stay beneath it."""
    home = root / TOOLBOX_HOME
    try:
        with (home / VERSIONS).open("rb") as file:
            versions = json.loads(file.read(_MAX_VERSIONS))
        alone = [list(root.iterdir()), list(home.parent.iterdir())] == [[home.parent], [home]]
    except (OSError, RecursionError, ValueError):
        return None
    match versions:
        case {"corebox": str(), "gdb": str(), "python": str()} if alone:
            return {str(name): str(version) for name, version in versions.items()}
    return None


def _make(store: Store, debugger: Debugger) -> Toolbox:
    key = _key(debugger)
    known = _toolbox(store, store.recall(_RECORD, key))
    if known is not None:
        return known
    from corebox.image.sbom import describe_toolbox  # noqa: PLC0415  # slow to import, for what is made once
    from corebox.image.toolboxparts import gather_entries  # noqa: PLC0415

    with store.adding(), store.workplace() as work:
        members = gather_entries(debugger, shipped("images/toolbox"), work)
        with store.writer() as writer:
            write_tar(complete([*members, describe_toolbox(members, debugger)]), writer)
            blob = writer.commit()
        toolbox = Toolbox(Layer(blob.digest, blob.size, TOOLBOX, blob.digest), debugger.versions())
        store.remember(_RECORD, key, _note(toolbox))
    return toolbox


def _key(debugger: Debugger) -> str:
    """What the toolbox is made from. Its big files are known by size and time: hashing them would cost a gdb start."""
    big = [(str(path), status.st_size, status.st_mtime_ns) for path in debugger.big_files() for status in [path.stat()]]
    ours = shipped("images/toolbox")
    small = [
        (str(path.relative_to(ours)), hashlib.sha256(path.read_bytes()).hexdigest())
        for path in sorted(ours.rglob("*"))
        if path.is_file() and path.parent.name != "__pycache__"
    ]
    small += [(name, hashlib.sha256(path.read_bytes()).hexdigest()) for name, path in python_inside_gdb()]
    return json.dumps([_source_digest(), debugger.versions(), big, small])


def _source_digest() -> str:
    """The code that decides what is in the toolbox, so that a changed corebox does not take an old one for its own."""
    sources = (Path(__file__).with_name(name).read_bytes() for name in _SOURCES)
    return hashlib.sha256(b"".join(sources)).hexdigest()


def _note(toolbox: Toolbox) -> Json:
    return {"digest": toolbox.layer.digest, "size": toolbox.layer.size, "versions": dict(toolbox.versions)}


def _toolbox(store: Store, note: Json | None) -> Toolbox | None:
    """The toolbox that a note tells of, if the store has it still."""
    match note:
        case {"digest": str(digest), "size": int(size), "versions": dict(versions)} if is_digest(digest):
            toolbox = Toolbox(Layer(digest, size, TOOLBOX, digest), {str(k): str(v) for k, v in versions.items()})
            return toolbox if store.has(digest) else None
    return None
