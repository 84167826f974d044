"""The parts of every session: what is ours, the crash's, its symbols, and what the user gives."""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from corebox.actions.crash import Crash
from corebox.actions.provision import Provision
from corebox.actions.sharing import Sharing
from corebox.actions.symbols import Symbols
from corebox.bundle.manifest import Manifest
from corebox.coredump.splitdwarf import SPLIT_BELOW
from corebox.coredump.values import NONE
from corebox.debugger.session import (
    CORE,
    DEBUG,
    INSIDE,
    PYTHON_PATH,
    READ_USER_GDBINIT,
    REPLACED_EXECUTABLE,
    SCRIPT,
    SPLIT,
    SYMBOL_STATUS,
    TOOLBOX,
    USER_GDBINIT,
    add_symbols,
)
from corebox.describe.program import program_of
from corebox.engine.sandbox import Mount
from corebox.errors import InputError
from corebox.image.inside import holds_our_python, lay_out_our_python
from corebox.image.opened import OpenedImage
from corebox.locate.split import lay_out_split
from corebox.locate.status import CrashFiles, ModuleSymbols
from corebox.locate.wantedfiles import Source
from corebox.store.values import host_architecture


def our_files(opened: OpenedImage, work: Path) -> Provision:
    """What gdb needs of ours.

    Raises:
        InputError: ``no-toolbox``; ``wrong-platform`` if it is for another processor.
    """
    architecture = opened.image.config.get("architecture")
    if architecture != host_architecture():
        message = (
            f"the gdb in the image {opened.image.image_id} is for {architecture}, this machine is {host_architecture()}"
        )
        hint = "extract the bundle and open that: corebox export SUBJECT --bundle crash.corebox"
        raise InputError("wrong-platform", message, hint)
    if not opened.toolbox.is_dir():
        message = f"the image {opened.image.image_id} contains no gdb: it was built without the toolbox"
        hint = "extract the bundle and open that: corebox export SUBJECT --bundle crash.corebox"
        raise InputError("no-toolbox", message, hint)
    mounts = [
        Mount(opened.toolbox, TOOLBOX),
        *_our_python(opened, work),
        Mount(opened.ours / "gdbinit", "/.corebox/gdbinit"),
        Mount(opened.ours / "manifest.json", "/.corebox/manifest.json"),
    ]
    return Provision((*mounts, *([Mount(opened.debug, "/.corebox/debug")] if opened.debug else [])))


def _our_python(opened: OpenedImage, work: Path) -> list[Mount]:
    """Our Python for gdb, unless the image has the same: one that was pulled may hold that of another corebox."""
    if holds_our_python(opened.toolbox):
        return []
    work.chmod(0o755)
    lay_out_our_python(work / "inside")
    return [Mount(work / "inside", INSIDE)]


def crash_files(crash: Crash, sharing: Sharing) -> Provision:
    """The core, the executable that is used in the place of its own, and what of the root gdb would not find there."""
    core = sharing.share(crash.core) if crash.replaces_core else sharing.share_own(crash.core)
    mounts = [Mount(core, CORE)]
    if crash.executable and crash.inside == REPLACED_EXECUTABLE:
        mounts.append(Mount(sharing.share(crash.executable), REPLACED_EXECUTABLE))
    mounts += [Mount(sharing.share(path), target) for path, target in _hidden(crash.opened)]
    return Provision(tuple(mounts), notices=crash.notices)


def _hidden(opened: OpenedImage) -> Iterator[tuple[Path, str]]:
    """The customer's files below /dev, which in a sandbox is its own, and where gdb finds them: /dev/shm is for all."""
    root = opened.root.resolve()
    for file in opened.manifest.files:
        path = (root / file.path.lstrip("/")).resolve()
        # A link of the customer's may lead anywhere.
        if file.path.startswith("/dev/") and path == root / file.path.lstrip("/") and path.is_file():
            yield path, file.path


def python_packages(folders: Sequence[Path]) -> Provision:
    """The user's Python packages, where gdbside/session/packages.py finds them.

    Raises:
        InputError: ``no-such-file``.
    """
    for folder in folders:
        if not folder.is_dir():
            hint = "give the folder that your packages are in: --python-path DIR"
            raise InputError("no-such-file", f"{folder} is not a folder", hint)
    return Provision(tuple(Mount(folder.resolve(), f"{PYTHON_PATH}/{n}") for n, folder in enumerate(folders)))


def symbol_files(crash: Crash, found: Symbols, sharing: Sharing) -> Provision:
    """The debug files that were found, and what is known of each module then."""
    mounts = [
        Mount(_status(crash.opened.manifest, found.modules, sharing.work), SYMBOL_STATUS),
        *(Mount(sharing.share(file.path), f"{DEBUG}/{file.target}") for file in found.files),
        *(Mount(sharing.share(each.path), each.target) for each in found.forced),
    ]
    return Provision(
        mounts=tuple(mounts),
        arguments=tuple(word for each in found.forced for word in add_symbols(each.target, each.bias)),
        notices=(*_stripped(crash, found), *found.notices),
        symbol_folders=(DEBUG,) if found.files else (),
    )


def _status(manifest: Manifest, modules: Sequence[ModuleSymbols], work: Path) -> Path:
    """The program's name and what is known of each module's symbols, for the banner."""
    path = work / "symbols.json"
    program = os.fsencode(str(program_of(manifest))).decode("utf-8", "replace")
    path.write_text(json.dumps({"version": 1, "program": program, "modules": [each.to_json() for each in modules]}))
    path.chmod(0o644)
    return path


def _stripped(crash: Crash, found: Symbols) -> Iterator[str]:
    """Which file would name the program's own frames, if none of those at hand does."""
    for module, known in zip(crash.opened.manifest.modules, found.modules, strict=True):
        if crash.executable and module.executable and known.symbols == NONE and not found.forced:
            yield (
                f"{crash.executable.name} is stripped: its frames have no names or lines; "
                f"give the unstripped file of build ID {known.build_id}: corebox shell -e UNSTRIPPED ..."
            )


def split_files(files: CrashFiles, found: Symbols, sources: Sequence[Source], work: Path) -> Provision:
    """The split debug information, laid out in a folder of its own."""
    top, unpacked = work / "split", work / "unpacked-split"
    top.mkdir(mode=0o755)
    unpacked.mkdir()
    split = lay_out_split(files, [each.path for each in found.files], sources, top, unpacked)
    mounts, folders = ((Mount(top, SPLIT),), (f"{SPLIT}/{SPLIT_BELOW}",)) if split.used else ((), ())
    return Provision(mounts, split.arguments, split.notices, lacking=split.notices, symbol_folders=folders)


def commands(script: Path | None, gdbinit: Path | None, arguments: Sequence[str], sharing: Sharing) -> Provision:
    """What gdb is to do: the user's own settings, which win over ours, a script of ours, and further arguments."""
    given = [(script, SCRIPT + script.suffix)] if script else []
    given += [(gdbinit, USER_GDBINIT)] if gdbinit else []
    mounts = tuple(Mount(sharing.share(path), target) for path, target in given)
    return Provision(mounts, (*(READ_USER_GDBINIT if gdbinit else ()), *arguments))
