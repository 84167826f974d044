"""Split debug information: the ``.dwo`` and ``.dwp`` files that a crash's modules name, laid out where gdb looks."""

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from posixpath import basename, dirname
from typing import NamedTuple, TypeVar

from corebox.bundle.manifest import ModuleEntry
from corebox.coredump.elffile import debug_path
from corebox.coredump.header import HEADER_SIZE, parse_header
from corebox.coredump.splitdwarf import SPLIT_BELOW, Skeleton, skeletons, split_ids
from corebox.coredump.values import FULL
from corebox.errors import CoreboxError
from corebox.files.extents import open_regular, read_at
from corebox.files.paths import is_canonical
from corebox.locate.folders import Folder
from corebox.locate.places import GivenFile
from corebox.locate.status import CrashFiles
from corebox.locate.stubs import empty_unit
from corebox.locate.wantedfiles import Source

#: What such files are called.
SPLIT_SUFFIXES = (".dwo", ".dwp")
_MAX_NAMED = 3
_USR_LIB_DEBUG = "usr/lib/debug"


Value = TypeVar("Value")


class Split(NamedTuple):
    """What was laid out.

    Attributes:
        used: there is something in the folder.
        files: those that were found; the others are empty units.
        arguments: for gdb. It would show no frame of a module that names a file by an absolute path, if that is not
            there, and so it has to go without any debug information.
        notices: what is lacking.
    """

    used: bool = False
    files: tuple[Path, ...] = ()
    arguments: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()


class _Module(NamedTuple):
    """A module with the compilation units that gdb will look for, and the ELF file that names them."""

    entry: ModuleEntry
    file: Path
    units: tuple[Skeleton, ...]


def lay_out_split(
    crash: CrashFiles, debug_files: Iterable[Path], sources: Iterable[Source], top: Path, scratch: Path
) -> Split:
    """Put what is found, and empty units for what is not, below ``top``.

    Args:
        crash: the files at hand.
        debug_files: of the modules, found elsewhere.
        sources: of the user's; what is in a server's is not looked for, it knows no dwo_id.
        top: an empty folder, for all users to read.
        scratch: a folder for what is unpacked.

    Raises:
        InputError: ``bad-symbols``.
        HostError: ``no-libarchive``, ``no-space``.
    """
    modules = [each for each in _split_modules(crash, debug_files) if each.units]
    if not modules:
        return Split()
    shelf = _Shelf(sources, frozenset(unit for module in modules for unit in module.units), scratch)
    notices, unreadable = [], False
    for module in modules:
        lacking, hopeless = _lay_out(module, crash, shelf, top)
        unreadable = unreadable or bool(hopeless)
        if lacking:
            notices.append(_notice(module, lacking))
    for path in top.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return Split(any(top.iterdir()), tuple(shelf.put), ("-readnever",) if unreadable else (), tuple(notices))


def _lay_out(module: _Module, crash: CrashFiles, shelf: "_Shelf", top: Path) -> tuple[list[Skeleton], list[Skeleton]]:
    """The units that are lacking, and those of them that gdb cannot do without."""
    wanted = {each.dwo_id for each in module.units}
    beside = _beneath(crash.root, module.entry.path + ".dwp")
    if beside and wanted <= _ids(beside):
        return [], []  # gdb finds it
    names = sorted({basename(name) for name in (module.entry.path, *module.entry.opened_as, module.file.name)})
    placed = _beneath(crash.debug, f"/{SPLIT_BELOW}/{names[0]}.dwp")
    if placed and wanted <= _ids(placed):
        return [], []
    package = shelf.package(wanted)
    if package:
        for name in names:
            shelf.lay(package, top / SPLIT_BELOW / (name + ".dwp"))
        return [each for each in module.units if each.dwo_id not in _ids(package)], []
    lacking, hopeless = [], []
    for each in module.units:
        target = None if each.name.startswith("/") else _target(top, each.name)
        own = (_beneath(crash.root, each.path), _placed(crash.debug, target, top))
        if any(path and each.dwo_id in _ids(path) for path in own):
            continue
        folder = dirname(module.entry.path)
        near = [_beneath(crash.root, f"{folder}/{name}") for name in (each.name, basename(each.name))]
        found = next((path for path in near if path and each.dwo_id in _ids(path)), None) or shelf.unit(each)
        if not found or target is None:
            lacking.append(each)
        if target is None:
            hopeless.append(each)
        elif found:
            shelf.lay(found, target)
        else:
            _put_empty(module.file, each, target)
    return lacking, hopeless


def _notice(module: _Module, lacking: Sequence[Skeleton]) -> str:
    names = ", ".join(each.name for each in lacking[:_MAX_NAMED])
    more = f" and {len(lacking) - _MAX_NAMED} more" if len(lacking) > _MAX_NAMED else ""
    return (
        f"the split debug information of {basename(module.entry.path)} is missing ({names}{more}): its functions are "
        "shown without arguments and variables; add the .dwo or .dwp files with --symbols PLACE"
    )


def _split_modules(crash: CrashFiles, debug_files: Iterable[Path]) -> Iterator[_Module]:
    by_id = {path: _build_id_of(path) for path in debug_files}
    for entry in crash.manifest.modules:
        own = crash.executable if entry.executable else None
        if own is None and entry.symbols in (FULL, None):
            own = _beneath(crash.root, entry.path)
        build_id = entry.build_id.known
        places = [own, *(path for path, known in by_id.items() if known is not None and known == build_id)]
        if build_id and len(build_id) > 2 and build_id.isalnum():
            places.append(_beneath(crash.root, f"/{_USR_LIB_DEBUG}/{debug_path(build_id)}"))
            places.append(_beneath(crash.debug, "/" + debug_path(build_id)))
        for path in places:
            units = _read(path, skeletons) if path else []
            if path and units:
                yield _Module(entry, path, tuple(units))
                break


def _build_id_of(path: Path) -> str | None:
    from corebox.coredump.elffile import read_elf  # noqa: PLC0415  # seldom needed

    try:
        return read_elf(str(path)).build_id
    except CoreboxError:
        return None


class _Shelf:
    """The ``.dwo`` and ``.dwp`` files in places of the user's; they are listed when first needed.

    Attributes:
        put: where those were laid that were used.
    """

    def __init__(self, sources: Iterable[Source], wanted: frozenset[Skeleton], scratch: Path) -> None:
        self.put: list[Path] = []
        self._sources, self._scratch = sources, scratch
        self._names = {basename(each.name) for each in wanted}
        self._wanted = frozenset(each.dwo_id for each in wanted)
        self._listed: dict[str, list[Path]] | None = None

    def lay(self, source: Path, target: Path) -> None:
        """Put a file where gdb finds it."""
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            shutil.copyfile(source, target)
            self.put.append(target)

    def _named(self) -> dict[str, list[Path]]:
        if self._listed is None:
            self._listed = {}
            for path in (path for source in self._sources for path in self._files(source)):
                self._listed.setdefault(path.name, []).append(path)
        return self._listed

    def _files(self, source: Source) -> Iterator[Path]:
        """Those of a source that may be wanted, as files that last."""
        if isinstance(source, GivenFile):
            yield from [source.path] if source.path.suffix in SPLIT_SUFFIXES else []
        elif isinstance(source, Folder):
            yield from (each.path for each in source.members(self._wants) if each.path)
        elif hasattr(source, "members"):
            for each in source.members(self._wants, elf_only=True):
                if each.path and self._wanted & _ids(each.path):
                    kept = self._scratch / str(len(list(self._scratch.iterdir()))) / basename(each.name)
                    kept.parent.mkdir()
                    shutil.copyfile(each.path, kept)
                    yield kept

    def _wants(self, name: str) -> bool:
        return name.endswith(".dwp") or basename(name) in self._names

    def unit(self, wanted: Skeleton) -> Path | None:
        """The file of a unit, by its name and proved by its dwo_id."""
        return next(
            (path for path in self._named().get(basename(wanted.name), ()) if wanted.dwo_id in _ids(path)), None
        )

    def package(self, wanted: set[int]) -> Path | None:
        """The package that has most of these units."""
        packages = [path for name, paths in self._named().items() if name.endswith(".dwp") for path in paths]
        best = max(packages, key=lambda path: len(wanted & _ids(path)), default=None)
        return best if best and wanted & _ids(best) else None


def _beneath(root: Path | None, path: str) -> Path | None:
    """A file of the customer's; a link of his may lead anywhere."""
    if root is None or not is_canonical(path):
        return None
    found = root.resolve() / path[1:]
    return found if found.resolve() == found and found.is_file() else None


def _ids(path: Path) -> frozenset[int]:
    return _read(path, split_ids)


def _read(path: Path, read: Callable[[int], Value]) -> Value:
    descriptor = open_regular(str(path))
    try:
        return read(descriptor)
    finally:
        os.close(descriptor)


def _target(top: Path, name: str) -> Path | None:
    """Where gdb finds a relative name, if that is below ``top``."""
    path = PurePosixPath(os.path.normpath(f"/{SPLIT_BELOW}/{name}"))
    return top / str(path)[1:] if ".." not in path.parts and len(path.parts) > 1 and "\0" not in name else None


def _placed(debug: Path | None, target: Path | None, top: Path) -> Path | None:
    """The file that an image has in this place."""
    return _beneath(debug, f"/{target.relative_to(top)}") if target else None


def _put_empty(program: Path, unit: Skeleton, target: Path) -> None:
    header = _read(program, lambda descriptor: parse_header(read_at(descriptor, 0, HEADER_SIZE)))
    if header is not None and not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(empty_unit(unit.dwo_id, unit.version, header.bits, header.order, header.machine))
