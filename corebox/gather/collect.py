"""From a core to the manifest of its bundle and the files to put in; reads much, writes nothing."""

import os
import time
from typing import Dict, Iterable, List, NamedTuple, Optional, Tuple

from corebox import __version__
from corebox.bundle.disk import DiskRoot, Lookup, stat_file
from corebox.bundle.manifest import (
    CrashedProcess,
    Manifest,
    MemoryEntry,
    ModuleEntry,
    Remark,
    Site,
    StoredCore,
    TruncatedCore,
)
from corebox.bundle.prove import prove_module
from corebox.bundle.rootfs import is_canonical
from corebox.coredump.core import CoreFile
from corebox.coredump.elffile import is_elf, read_elf
from corebox.coredump.machines import runs_on
from corebox.coredump.systems import LINUX
from corebox.coredump.usage import measure_memory
from corebox.coredump.values import FULL, MINIMAL, NONE, ElfFile, FileMapping, Module
from corebox.errors import InputError
from corebox.gather import extras
from corebox.gather.files import FileSet
from corebox.gather.proc import Owner

_AT_BASE = 7  # getauxval(3): where the dynamic linker is mapped


class Wishes(NamedTuple):
    """What the customer asked for: the executable to use, root to gather from, what to leave out, consent.

    ``extra`` are names in the root of more files to take. ``live`` maps start addresses to paths that open the file
    which is mapped there in the living process; such a file is taken instead of another of its name. ``owner`` is
    whose crash it is, where that is known better than the core knows it.
    """

    executable: Optional[str] = None
    root: str = "/"
    without_executable: bool = False
    without_core: bool = False
    consent_hostname: bool = False
    extra: Tuple[str, ...] = ()
    live: Dict[int, str] = {}
    owner: Optional[Owner] = None


class Collection(NamedTuple):
    """What will be written: the manifest, and where each of its files lies on this machine."""

    manifest: Manifest
    sources: Dict[str, str]


def collect(core: CoreFile, wishes: Wishes) -> Collection:
    """Find and prove everything that the core needs.

    Raises:
        InputError: ``no-such-executable`` if the one the customer named is not there, ``wrong-machine`` if it is for
            another machine than the core's, ``no-such-root``.
    """
    if not os.path.isdir(wishes.root):
        raise InputError("no-such-root", "{} is not a directory".format(wishes.root), "give --root a directory")
    if wishes.executable:
        check_executable(core, wishes.executable)
    files = FileSet(DiskRoot(wishes.root))
    not_taken: List[Remark] = []
    modules, proven, executable = [], [], None
    for module in core.modules:
        found = _find(files, core, module, wishes)
        path = found.path if found.file else module.path
        modules.append(_entry(core, module._replace(path=path), found))
        proven.append((module, found))
        executable = path if module.is_executable else executable
        if module.is_executable and wishes.without_executable:
            not_taken.append(Remark(path, "left out on request; give it with -e EXECUTABLE"))
        else:
            _take_module(files, module, found)
    _take_interpreter(files, core, proven)
    debug = _take_extras(files, proven)
    for name in wishes.extra:
        if not files.want(name, "extra"):
            files.miss(name, files.root.find(name).why or "not found")
    files.drop_conflicts()
    not_taken += [Remark(mapping.path, _why_not(mapping)) for mapping in _once(core.other_files)]
    manifest = Manifest(
        gatherer=__version__,
        site=_site(files.root, core, wishes),
        process=_process(core, executable),
        core=stored_core(core, not wishes.without_core),
        modules=tuple(_with_symbols(*each, taken=files.sources) for each in zip(modules, proven, debug)),
        files=files.entries(),
        symlinks=files.symlinks(),
        missing=files.missing(),
        not_taken=tuple(not_taken),
        memory=tuple(MemoryEntry(*use) for use in measure_memory(core)),
    )
    return Collection(manifest, files.sources)


def _find(files: FileSet, core: CoreFile, module: Module, wishes: Wishes) -> Lookup:
    """Where the module's file is: where the customer says, or at its own path in the root."""
    if module.is_executable and wishes.executable:
        named = DiskRoot("/").find(os.path.abspath(wishes.executable))
        path = files.root.find(module.path).path if module.path.startswith("/") else named.path
        return named._replace(path=path, links=())
    if not module.path.startswith("/"):
        return _find_beside(files, core, module)
    found = _best(files, module)
    live = stat_file(wishes.live[module.start]) if module.start in wishes.live else None
    if live and (found.file is None or found.file.inode != live.inode):
        return found._replace(file=live)
    return found


def _best(files: FileSet, module: Module) -> Lookup:
    """The module's file by its own path, else by a name under which it was opened.

    On overlayfs some kernels write the path inside a layer into NT_FILE (seen with 6.18): then only the names of the
    link map lead to the file.
    """
    names = dict.fromkeys((module.path, *module.opened_as))
    lookups = [files.root.find(name) for name in names if name.startswith("/")]
    there = [found for found in lookups if found.file and is_elf(found.file.disk_path)]
    exact = [found for found in there if module.build_id and _build_id(found) == module.build_id]
    present = [found for found in lookups if found.file]
    return (exact or there or present or lookups)[0]


def _find_beside(files: FileSet, core: CoreFile, module: Module) -> Lookup:
    """A module known by a relative name: it was below the working directory, where kernels put the core (core(5))."""
    found = files.root.find(os.path.join(os.path.dirname(os.path.abspath(core.path)), module.path))
    if found.file and module.build_id and _build_id(found) == module.build_id:
        return found
    return Lookup(module.path, (), None, "the core knows it by a relative name only")


def _build_id(found: Lookup) -> Optional[str]:
    assert found.file
    try:
        return read_elf(found.file.disk_path).build_id
    except InputError:
        return None


def check_executable(core: CoreFile, executable: str) -> None:
    """Check the executable that the customer named.

    Raises:
        InputError: ``no-such-executable``, ``not-elf``, or ``wrong-machine`` if it cannot have left this core.
    """
    if not os.path.isfile(executable):
        raise InputError("no-such-executable", "there is no file {}".format(executable), "check the path given to -e")
    facts = read_elf(executable)
    if (facts.machine, facts.bits) != (core.machine, core.bits):
        raise InputError(
            "wrong-machine",
            "{} is for {}, the core is of {}".format(executable, facts.machine, core.machine),
            "core and executable must be of one crash; at its site -e may be left out: the core names the executable",
        )


def _take_module(files: FileSet, module: Module, found: Lookup) -> None:
    if found.file is None:
        files.miss(module.path, found.why or "not found")
        return
    files.take(found, "executable" if module.is_executable else "module")
    for name in (module.path, *module.opened_as):
        if name.startswith("/"):
            files.name(name, found.path)


def _take_interpreter(files: FileSet, core: CoreFile, proven: List[Tuple[Module, Lookup]]) -> None:
    """The dynamic linker under the name that the executable has for it, which not every core holds (PT_INTERP)."""
    for module, found in proven:
        if module.is_executable and found.file and is_elf(found.file.disk_path):
            name = read_elf(found.file.disk_path).interpreter
            if name and name.startswith("/"):
                loaded = [
                    other.path for other, there in proven if other.start == core.auxv.get(_AT_BASE) and there.file
                ]
                if loaded:
                    files.name(name, files.root.find(loaded[0]).path)
                else:
                    files.want(name, "module")


def _take_extras(files: FileSet, proven: List[Tuple[Module, Lookup]]) -> List[Optional[ElfFile]]:
    modules = [module for module, _ in proven]
    extras.take_thread_library(files, modules)
    extras.take_companions(files, modules)
    extras.take_scripts(files, modules)
    files.want("/etc/os-release", "os-release")
    return extras.take_debug_files(files, proven)


def _entry(core: CoreFile, module: Module, found: Lookup) -> ModuleEntry:
    proof = prove_module(core, module, found)
    return ModuleEntry(
        path=module.path,
        opened_as=module.opened_as,
        start=module.start,
        end=module.end,
        executable=module.is_executable,
        memory=proof.memory,
        file=proof.file,
        verdict=proof.verdict,
        size=found.file.size if found.file else None,
        detail=proof.detail,
    )


def _with_symbols(
    entry: ModuleEntry, proven: Tuple[Module, Lookup], debug: Optional[ElfFile], taken: Dict[str, str]
) -> ModuleEntry:
    """The entry with the most that the files in the bundle tell of it."""
    own = extras.facts_of(proven[1])
    told = {each.symbols for each in (own if entry.path in taken else None, debug) if each}
    symbols = next((level for level in (FULL, MINIMAL) if level in told), NONE)
    return entry._replace(symbols=symbols, package=own.package if own else None)


def _site(root: DiskRoot, core: CoreFile, wishes: Wishes) -> Site:
    here = os.path.realpath(wishes.root) == "/"
    # This machine's own system is not that of a core from another one.
    known = core.system == LINUX and (not here or runs_on(core.machine, os.uname().machine))
    return Site(
        os_release=_os_release(root) if known else {},
        kernel=os.uname().release if here and known else None,
        machine=core.machine,
        hostname=os.uname().nodename if wishes.consent_hostname else None,
        system=core.system,
    )


def _os_release(root: DiskRoot) -> Dict[str, str]:
    """What os-release(5) says, as far as it is of use."""
    found = root.find("/etc/os-release")
    if found.file is None:
        return {}
    with open(found.file.disk_path, "rb") as file:
        lines = os.fsdecode(file.read(1 << 16)).splitlines()
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


def stored_core(core: CoreFile, included: bool) -> StoredCore:
    """What the manifest says of the core file."""
    truncation = core.truncation
    return StoredCore(included, core.size, core.stored_size, TruncatedCore(*truncation) if truncation else None)


def _why_not(mapping: FileMapping) -> str:
    path = mapping.path
    if path.startswith("/dev/"):
        return "a device"
    if path.startswith(("/memfd:", "/SYSV", "anon_inode:", "/anon_hugepage", "socket:", "pipe:")):
        return "memory with a name, no file"
    return "a data file that was deleted" if mapping.deleted else "a data file, not code"


def _once(mappings: Iterable[FileMapping]) -> List[FileMapping]:
    return sorted(
        {mapping.path: mapping for mapping in mappings}.values(), key=lambda mapping: os.fsencode(mapping.path)
    )
