"""Files that were never mapped and are needed all the same, found beside or through the modules that were."""

import os
import re
from typing import Iterable, Iterator, List, Optional, Tuple

from corebox.bundle.disk import Lookup
from corebox.coredump.elffile import debug_path, file_checksum, read_elf
from corebox.coredump.values import ElfFile, Module
from corebox.errors import CoreboxError
from corebox.gather.files import FileSet

_LIBC = re.compile(r"(libc\.so\.6|libc-2\.\d+\.so|libpthread\.so\.0|libpthread-2\.\d+\.so)\Z")
_AUTO_LOAD = "/usr/share/gdb/auto-load"
_QUOTED_PATH = re.compile(r"""["'](/[^"'\n\0]{1,1000})["']""")
#: A printers package is a few hundred kB; anything larger is not one.
_MAX_SCRIPT = 4 << 20
_MAX_SCRIPTS = 500
#: What a debugger needs of a runtime: file name of the mapped library, files beside it.
_COMPANIONS = {"libcoreclr.so": ("libmscordaccore.so", "libmscordbi.so")}


def names_of(module: Module) -> List[str]:
    """All absolute names of a module, on both sides of a merged ``/usr`` (gdb tries its scripts under each)."""
    names = [name for name in (module.path, *module.opened_as) if name.startswith("/")]
    twins = [name[4:] if name.startswith("/usr/") else "/usr" + name for name in names]
    return list(dict.fromkeys(names + twins))


def take_thread_library(files: FileSet, modules: Iterable[Module]) -> None:
    """``libthread_db.so.1`` of the same glibc, without which gdb knows no threads: it lies beside libc."""
    for module in modules:
        if _LIBC.search(os.path.basename(module.path)):
            names = [os.path.dirname(name) + "/libthread_db.so.1" for name in names_of(module)]
            wanted = [files.want(name, "libthread_db") for name in names]
            if not any(wanted):
                files.miss(names[0], "not installed: gdb may not know the threads' names and variables")


def take_companions(files: FileSet, modules: Iterable[Module]) -> None:
    """Debugging libraries of runtimes, beside the runtime."""
    for module in modules:
        for companion in _COMPANIONS.get(os.path.basename(module.path), ()):
            files.want(os.path.dirname(module.path) + "/" + companion, "extra")


def take_scripts(files: FileSet, modules: Iterable[Module]) -> None:
    """The scripts that gdb loads by itself for a module, and the Python packages that they import.

    gdb's manual, "objfile-gdbdotext file": OBJFILE-gdb.py beside the file or beneath the auto-load directory.
    """
    for module in modules:
        for name in names_of(module):
            for suffix in ("-gdb.py", "-gdb.gdb"):
                for place in (_AUTO_LOAD + name + suffix, name + suffix):
                    found = files.root.find(place)
                    if found.file and found.file.size <= _MAX_SCRIPT:
                        files.take(found, "auto-load")
                        _take_imports(files, found)


def _take_imports(files: FileSet, script: Lookup) -> None:
    """Python below each directory that the script names (libstdc++'s names ``/usr/share/gcc/python``)."""
    assert script.file
    with open(script.file.disk_path, encoding="utf-8", errors="replace") as file:
        text = file.read(_MAX_SCRIPT)
    for name in sorted(set(_QUOTED_PATH.findall(text))):
        if "/share/" in name or os.path.basename(name) == "python":
            directory = files.root.find(name)
            for path in list(_python_below(files, directory.path))[:_MAX_SCRIPTS]:
                found = files.root.find(path)
                files.take(found._replace(links=directory.links + found.links), "auto-load")


def _python_below(files: FileSet, directory: str) -> Iterator[str]:
    top = files.root.disk_path(directory)
    for folder, folders, names in os.walk(top):
        folders.sort()
        for name in sorted(names):
            if name.endswith(".py"):
                yield directory + os.path.join(folder, name)[len(top) :]


def take_debug_files(files: FileSet, proven: Iterable[Tuple[Module, Lookup]]) -> List[Optional[ElfFile]]:
    """Separate debug files on the site, by build ID, else by debuglink and its checksum; then what they share (dwz).

    Returns the facts of each module's, None for a module without one.
    """
    taken = []
    for module, found in proven:
        debug = _by_build_id(files, module.build_id) or (_by_debuglink(files, found) if found.file else None)
        if debug:
            files.take(debug, "debug")
        for holder in (found, debug):
            if holder and holder.file:
                _take_shared(files, holder)
        taken.append(facts_of(debug) if debug else None)
    return taken


def _by_build_id(files: FileSet, build_id: Optional[str]) -> Optional[Lookup]:
    if build_id is None or len(build_id) < 3:
        return None
    found = files.root.find("/usr/lib/debug/" + debug_path(build_id))
    return found if found.file else None


def _by_debuglink(files: FileSet, found: Lookup) -> Optional[Lookup]:
    """The search order of gdb's manual, "Separate Debug Files"."""
    facts = facts_of(found)
    if facts is None or facts.debuglink is None or "/" in facts.debuglink[0]:
        return None
    name, checksum = facts.debuglink
    directory = os.path.dirname(found.path)
    for place in (directory, directory + "/.debug", "/usr/lib/debug" + directory):
        debug = files.root.find(place + "/" + name)
        if debug.file and debug.path != found.path and file_checksum(debug.file.disk_path) == checksum:
            return debug
    return None


def _take_shared(files: FileSet, holder: Lookup) -> None:
    facts = facts_of(holder)
    if facts is None or facts.debugaltlink is None:
        return
    name, build_id = facts.debugaltlink
    shared = files.root.find(os.path.join(os.path.dirname(holder.path), name))
    there = facts_of(shared)
    if there and there.build_id == build_id:
        files.take(shared, "debug")


def facts_of(found: Lookup) -> Optional[ElfFile]:
    """The facts of a file that was found; None if there is none, or it is damaged."""
    try:
        return read_elf(found.file.disk_path) if found.file else None
    except CoreboxError:
        return None
