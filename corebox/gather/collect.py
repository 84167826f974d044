"""From a core to the manifest of its bundle and the files to put in; reads much, writes nothing."""

import os
import time
from types import MappingProxyType
from typing import TYPE_CHECKING, Callable, Dict, Iterable, List, Mapping, NamedTuple, Optional, Tuple

from corebox import __version__
from corebox.bundle.manifest import (
    BuildIds,
    CrashedProcess,
    Manifest,
    MemoryEntry,
    ModuleEntry,
    Omission,
    Site,
    StoredCore,
    TruncatedCore,
)
from corebox.bundle.runtime import Runtime
from corebox.coredump.core import CoreFile
from corebox.coredump.elffile import elf_of, read_elf
from corebox.coredump.machines import runs_on
from corebox.coredump.prove import fits
from corebox.coredump.systems import LINUX
from corebox.coredump.usage import measure_memory
from corebox.coredump.values import FULL, MINIMAL, NONE, ElfFile, FileMapping
from corebox.errors import InputError
from corebox.files.diskroot import DiskRoot
from corebox.files.extents import read_at
from corebox.files.openfile import OpenFile
from corebox.files.paths import is_canonical
from corebox.gather import extras
from corebox.gather.assemblies import take_assemblies
from corebox.gather.files import FileSet
from corebox.gather.find import ModuleFile, Places, as_missing, find_module
from corebox.gather.javalog import take_java_log

if TYPE_CHECKING:
    from corebox.gather.also import FolderIndex
    from corebox.gather.light import LightOptions

_AT_BASE = 7  # getauxval(3): where the dynamic linker is mapped
#: Ten times what the largest programs load; a core written by hand can name millions.
_MAX_MODULES = 8192
#: Stand in the manifest's list of what is missing, in the place of a path.
MORE, LIBRARIES = "[more]", "[libraries]"
_MAX_OTHERS = 10000
_ANOTHER = "the process had mapped another file with this path too, which is the one in the bundle"
_MAX_OS_RELEASE_LENGTH = 1 << 16


class GatherOptions(NamedTuple):
    """What the customer asked for, and what is known of the crash beside its core.

    ``extra`` are names in the root of more files to take, ``also`` folders with files that have other names there.
    ``light``, ``slim`` and ``redact`` say what to leave out of files and core. ``live`` maps start addresses to paths
    that open the file which is mapped there in the living process; such a file is taken instead of another of its
    name. ``runtime`` is what the kernel told of the process, which is on this machine then; ``cut_by`` who cut the
    core. ``on_look`` is told how many files of ``also`` were looked at. Relative names begin in the folder ``beside``,
    else in the core's.
    """

    executable: Optional[str] = None
    without_executable: bool = False
    without_core: bool = False
    consent_hostname: bool = False
    extra: Tuple[str, ...] = ()
    also: Tuple[str, ...] = ()
    live: Dict[int, str] = {}
    on_look: Callable[[int, str], object] = lambda _count, _folder: None
    beside: Optional[str] = None
    light: "Optional[LightOptions]" = None
    slim: bool = False
    redact: Tuple[str, ...] = ()
    runtime: Optional[Runtime] = None
    cut_by: Optional[str] = None


class Collection(NamedTuple):
    """What was found: what the manifest says of it, and each of the files to put in, open.

    The manifest's ``core`` is the whole one; ``aside`` has the open files that a light bundle leaves out.
    """

    manifest: Manifest
    sources: Dict[str, OpenFile]
    aside: Mapping[str, OpenFile] = MappingProxyType({})

    @property
    def open_files(self) -> Dict[str, OpenFile]:
        """All files that were found."""
        return {**self.aside, **self.sources}


def collect(core: CoreFile, root: DiskRoot, wanted: GatherOptions) -> Collection:
    """Find and prove everything that the core needs; the files stay open as long as ``root`` does.

    Raises:
        InputError: ``no-such-executable`` if the one the customer named is not there, ``wrong-machine`` if it is for
            another machine than the core's, ``debug-file`` if it has no code, ``no-such-folder``.
    """
    if wanted.executable:
        check_executable(core, wanted.executable)
    files = FileSet(root)
    places = Places(root, wanted.executable, wanted.live, _index_of(wanted), wanted.beside)
    modules = [find_module(core, module, places) for module in core.modules[:_MAX_MODULES]]
    modules, assemblies = take_assemblies(core, files, modules)
    modules, not_taken = _take_modules(files, modules, wanted)
    _take_interpreter(core, files, modules)
    debug = _take_extras(core, files, modules)
    if not wanted.redact:  # it has the environment
        beside = wanted.beside or os.path.dirname(os.path.abspath(core.path))
        take_java_log(core, files, [each.module for each in modules], [beside])
    for name in wanted.extra:
        if not files.want(name, "extra"):
            files.miss(name, files.root.find(name).why or "not found")
    elf = next((elf_of(each.found.file) for each in modules if each.module.is_executable and each.found.file), None)
    if elf and elf.interpreter and len(modules) == 1:
        files.miss(LIBRARIES, "the core does not say which libraries were mapped: " + ", ".join(elf.needed))
    if places.also and places.also.why_not_all:
        files.miss(wanted.also[0], places.also.why_not_all)
    if len(core.modules) > _MAX_MODULES:
        files.miss(MORE, "{} more modules were not looked for".format(len(core.modules) - _MAX_MODULES))
    files.drop_conflicts()
    others = _once(mapping for mapping in core.other_files if mapping.path not in assemblies)
    not_taken += [Omission(mapping.path, _why_not(mapping)) for mapping in others[:_MAX_OTHERS]]
    if len(others) > _MAX_OTHERS:
        not_taken.append(Omission(MORE, "{} more files are not listed".format(len(others) - _MAX_OTHERS)))
    manifest = Manifest(
        gatherer=__version__,
        site=_site(root, core, wanted),
        process=_process(core, next((_path(each) for each in modules if each.module.is_executable), None)),
        core=stored_core(core, not wanted.without_core, wanted.cut_by),
        modules=tuple(_entry(each, symbols, files.sources) for each, symbols in zip(modules, debug)),
        files=files.entries(),
        symlinks=files.symlinks(),
        missing=files.missing(),
        not_taken=tuple(not_taken),
        memory=tuple(MemoryEntry(*use) for use in measure_memory(core)),
        runtime=wanted.runtime,
    )
    return Collection(manifest, files.sources)


def _index_of(wanted: GatherOptions) -> "Optional[FolderIndex]":
    if not wanted.also:
        return None
    from corebox.gather.also import FolderIndex  # noqa: PLC0415  # what few gatherings need is read for them alone

    return FolderIndex(wanted.also, wanted.on_look)


def check_executable(core: CoreFile, executable: str) -> None:
    """Check the executable that the customer named.

    Raises:
        InputError: ``no-such-executable``, ``not-elf``, ``debug-file``, or ``wrong-machine`` if it cannot have left
            this core.
    """
    if not os.path.isfile(executable):
        raise InputError("no-such-executable", "there is no file {}".format(executable), "check the path given to -e")
    facts = read_elf(executable)
    if (facts.machine, facts.bits) != (core.machine, core.bits):
        raise InputError(
            "wrong-machine",
            "{} is for {}, the core is from {}".format(executable, facts.machine, core.machine),
            "core and executable must belong together; where it crashed, leave -e out: the core names the executable",
        )
    if not facts.is_program:
        raise InputError("not-elf", "{} is not a program".format(executable), "give -e the program that crashed")
    if facts.hollow or not facts.whole:
        raise InputError(
            "debug-file",
            "{} is a debug file or is truncated: it does not contain the code".format(executable),
            "give -e the program itself; debug files are for --symbols, when the bundle is opened",
        )


def _path(each: ModuleFile) -> str:
    """Where the module's file is in the bundle; the name that the core has for it where there is no file."""
    return each.found.path if each.found.file else each.module.path


def _take_modules(
    files: FileSet, modules: Iterable[ModuleFile], wanted: GatherOptions
) -> Tuple[List[ModuleFile], List[Omission]]:
    """Take the files that were found; returns the modules as the bundle has them, and what is left out on request."""
    taken = []  # type: List[ModuleFile]
    left_out = []
    for each in modules:
        module, found = each.module, each.found
        if module.is_executable and wanted.without_executable:
            left_out.append(Omission(_path(each), "left out on request; give it with -e EXECUTABLE"))
        elif found.file is None:
            files.miss(module.path, found.why or "not found")
        elif files.take(found, "executable" if module.is_executable else "module"):
            for name in (module.path, *module.opened_as):
                if name.startswith("/"):
                    files.name(name, found.path)
        else:
            files.miss(found.path, _ANOTHER)
            taken.append(as_missing(each, _ANOTHER))
            continue
        taken.append(each)
    return taken, left_out


def _take_interpreter(core: CoreFile, files: FileSet, modules: List[ModuleFile]) -> None:
    """The dynamic linker under the name that the executable has for it, which not every core holds (PT_INTERP)."""
    for each in modules:
        elf = elf_of(each.found.file) if each.module.is_executable else None
        if elf and elf.interpreter and elf.interpreter.startswith("/"):
            base = core.auxv.get(_AT_BASE)
            loaded = [other.found for other in modules if other.module.start == base and other.found.file]
            if loaded:
                files.name(elf.interpreter, loaded[0].path)
            elif files.root.reader is None:  # nothing proves that it is the one
                found = files.root.find(elf.interpreter)
                if found.file and fits(core, found.file):
                    files.take(found, "module")


def _take_extras(core: CoreFile, files: FileSet, modules: List[ModuleFile]) -> List[Optional[ElfFile]]:
    there = [each.module for each in modules if each.found.file]
    extras.take_thread_library(core, files, there)
    extras.take_companions(core, files, there)
    extras.take_scripts(files, [each for each in modules if each.found.file])
    files.want("/etc/os-release", "os-release")
    return extras.take_debug_files(files, modules)


def _entry(each: ModuleFile, debug: Optional[ElfFile], taken: Dict[str, OpenFile]) -> ModuleEntry:
    """What the manifest says of a module, with the most that the files in the bundle tell of it."""
    module, proof, file, path = each.module, each.proof, each.found.file, _path(each)
    own = elf_of(file)
    levels = {elf.symbols for elf in (own if path in taken else None, debug) if elf}
    return ModuleEntry(
        path=path,
        opened_as=module.opened_as,
        start=module.start,
        end=module.end,
        executable=module.is_executable,
        build_id=BuildIds(proof.memory, proof.file),
        verdict=proof.verdict,
        size=file.status.size if file else None,
        detail=proof.detail,
        symbols=next((level for level in (FULL, MINIMAL) if level in levels), NONE),
        package=own.package if own else None,
    )


def _site(root: DiskRoot, core: CoreFile, wanted: GatherOptions) -> Site:
    here = os.path.realpath(root.directory or "/") == "/"
    # This machine's own system is not that of a core from another one.
    known = core.system == LINUX and (not here or runs_on(core.machine, os.uname().machine))
    return Site(
        os_release=_os_release(root) if known else {},
        kernel=os.uname().release if (here and known) or wanted.runtime else None,
        machine=core.machine,
        hostname=os.uname().nodename if wanted.consent_hostname else None,
        system=core.system,
    )


def _os_release(root: DiskRoot) -> Dict[str, str]:
    """What os-release(5) says, as far as it is of use."""
    found = root.find("/etc/os-release")
    if found.file is None:
        return {}
    lines = os.fsdecode(read_at(found.file.fileno(), 0, _MAX_OS_RELEASE_LENGTH)).splitlines()
    fields = dict(line.split("=", 1) for line in lines if "=" in line)
    return {key: fields[key].strip("\"'") for key in ("ID", "PRETTY_NAME", "VERSION_ID") if key in fields}


def _process(core: CoreFile, executable: Optional[str]) -> CrashedProcess:
    process = core.process
    modified = time.gmtime(max(0, int(os.fstat(core.fileno()).st_mtime)))
    return CrashedProcess(
        pid=process.pid,
        name=process.name,
        arguments=process.arguments,
        executable=executable if executable and is_canonical(executable) else None,
        uid=process.uid,
        gid=process.gid,
        signal=process.signal,
        signal_name=process.signal_name,
        signal_code=process.signal_code,
        fault_address=process.fault_address,
        threads=len(process.threads),
        time=time.strftime("%Y-%m-%dT%H:%M:%SZ", modified),
    )


def stored_core(core: CoreFile, included: bool, cut_by: Optional[str] = None) -> StoredCore:
    """What the manifest says of the core file."""
    truncated = TruncatedCore(*core.truncation)._replace(cut_by=cut_by) if core.truncation else None
    return StoredCore(included, core.size, core.stored_size, truncated, original_stored=None, redacted=None)


def _why_not(mapping: FileMapping) -> str:
    path = mapping.path
    if path.startswith("/dev/"):
        return "a device"
    if path.startswith(("/memfd:", "/SYSV", "anon_inode:", "/anon_hugepage", "socket:", "pipe:")):
        return "named memory, not a file"
    return "a data file that was deleted" if mapping.deleted else "a data file, not code"


def _once(mappings: Iterable[FileMapping]) -> List[FileMapping]:
    return sorted(
        {mapping.path: mapping for mapping in mappings}.values(), key=lambda mapping: os.fsencode(mapping.path)
    )
