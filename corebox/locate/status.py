"""How much is known of each module's symbols, and where the rest would come from."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from corebox.bundle.manifest import Manifest, ModuleEntry
from corebox.coredump.elffile import debug_path, read_elf
from corebox.coredump.values import FULL, MINIMAL, NONE, ElfFile
from corebox.errors import CoreboxError
from corebox.files.paths import is_canonical
from corebox.store.within import file_within

# Below an unpacked root, where distributions put debug files (gdb manual, "Separate Debug Files").
_USR_LIB_DEBUG = "usr/lib/debug"


class CrashFiles(NamedTuple):
    """The files at hand.

    Attributes:
        manifest: of the bundle.
        root: the customer's files, if they are unpacked.
        debug: an image's debug files, as a debug-file-directory.
        executable: what is used instead of the crash's own.
    """

    manifest: Manifest
    root: Path | None = None
    debug: Path | None = None
    executable: Path | None = None

    def file_of(self, module: ModuleEntry) -> ElfFile | None:
        """The facts of the module's own file."""
        if self.executable and module.executable:
            return _facts(self.executable)
        # What gdb was told of a module may be any text; only a canonical path stays below the root.
        file = file_within(self.root, module.path) if self.root and is_canonical(module.path) else None
        return _facts(file) if file else None


class ModuleSymbols(NamedTuple):
    """The symbols of a module at hand: ``FULL``, ``MINIMAL``, ``NONE``, or None if nobody has looked.

    ``package`` is name and version of the package that the module says it is of.
    """

    path: str
    symbols: str | None
    build_id: str | None
    package: str | None

    @property
    def wanted(self) -> str | None:
        """What would have the rest, in words; None if there is nothing to wish for."""
        if self.symbols == FULL:
            return None
        package = f", package {self.package}" if self.package else ""
        return f"build ID {self.build_id or 'none'}{package}"

    def to_json(self) -> dict[str, Any]:
        """The entry of ``symbols`` in ``schema/info-1.schema.json`` and ``schema/report-1.schema.json``."""
        # debuginfod(8), "WEBAPI": the same below the URL of every server.
        return {**self._asdict(), "debuginfod": f"/buildid/{self.build_id}/debuginfo" if self.build_id else None}


def best_of(levels: Iterable[str | None]) -> str | None:
    """The highest of some levels; None if there is none."""
    known = set(levels)
    return next((level for level in (FULL, MINIMAL, NONE) if level in known), None)


def module_symbols(crash: CrashFiles) -> list[ModuleSymbols]:
    """The symbols of each module, by what the gatherer noted, and by the files where it did not, or knew less."""
    return [
        ModuleSymbols(module.path, best_of(_levels(crash, module)), module.build_id.known, module.package)
        for module in crash.manifest.modules
    ]


def _levels(crash: CrashFiles, module: ModuleEntry) -> Iterator[str | None]:
    replaced = crash.executable is not None and module.executable
    noted = None if replaced else module.symbols
    yield noted
    in_root = False
    if noted is None and (crash.root or replaced):
        own = crash.file_of(module)
        yield own.symbols if own else NONE
        in_root = True
    build_id = module.build_id.known
    if build_id:
        name = debug_path(build_id)
        files = [crash.debug / name if crash.debug else None]
        files += [file_within(crash.root, f"{_USR_LIB_DEBUG}/{name}") if in_root and crash.root else None]
        found = (_facts(file) for file in files if file)
        yield from (facts.symbols for facts in found if facts)


def _facts(path: Path) -> ElfFile | None:
    """The facts of the ELF file; None if it is not there or damaged: then gdb does without it, too."""
    try:
        return read_elf(str(path))
    except CoreboxError:
        return None
