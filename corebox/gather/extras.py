"""Files that were never mapped and are needed all the same, found beside or through the modules that were."""

import os
import re
from typing import TYPE_CHECKING, Iterable, Iterator, List, Optional, Tuple

from corebox.coredump.core import CoreFile
from corebox.coredump.elffile import debug_path, elf_of
from corebox.coredump.prove import fits
from corebox.coredump.values import ElfFile, Module
from corebox.files.diskroot import Found
from corebox.files.extents import read_at
from corebox.files.openfile import OpenFile
from corebox.files.paths import is_canonical
from corebox.gather.files import FileSet
from corebox.gather.find import ModuleFile

if TYPE_CHECKING:
    pass

_LIBC = re.compile(r"(libc\.so\.6|libc-2\.\d+\.so|libpthread\.so\.0|libpthread-2\.\d+\.so)\Z")
_AUTO_LOAD = "/usr/share/gdb/auto-load"
_QUOTED_PATH = re.compile(r"""["'](/[^"'\n\0]{1,1000})["']""")
#: A printers package is a few hundred kB; anything larger is not one.
_MAX_SCRIPT = 4 << 20
_MAX_SCRIPTS = 500
_MAX_FOLDERS = 500
#: What a debugger needs of a runtime: file name of the mapped library, files beside it. Up to .NET Core 2.2 its own
#: extension of LLDB lies there, too.
_COMPANIONS = {"libcoreclr.so": ("libmscordaccore.so", "libmscordbi.so", "libsos.so", "libsosplugin.so")}


def names_of(module: Module) -> List[str]:
    """All absolute names of a module, on both sides of a merged ``/usr`` (gdb tries its scripts under each)."""
    names = [name for name in (module.path, *module.opened_as) if name.startswith("/")]
    twins = [name[4:] if name.startswith("/usr/") else "/usr" + name for name in names]
    return list(dict.fromkeys(names + twins))


def take_thread_library(core: CoreFile, files: FileSet, modules: Iterable[Module]) -> None:
    """``libthread_db.so.1`` of the same glibc, without which gdb knows no threads: it lies beside libc."""
    for module in modules:
        if _LIBC.search(os.path.basename(module.path)):
            names = [os.path.dirname(name) + "/libthread_db.so.1" for name in names_of(module)]
            wanted = [_want_code(core, files, name, "libthread_db") for name in names]
            if not any(wanted):
                files.miss(names[0], "not installed: gdb may not show the threads' names and thread-local variables")


def take_companions(core: CoreFile, files: FileSet, modules: Iterable[Module]) -> None:
    """Debugging libraries of runtimes, beside the runtime."""
    for module in modules:
        for companion in _COMPANIONS.get(os.path.basename(module.path), ()):
            _want_code(core, files, os.path.dirname(module.path) + "/" + companion, "extra")


def _want_code(core: CoreFile, files: FileSet, name: str, role: str) -> bool:
    """Take the ELF file of this name, if there is one for the processor of the core, and say whether there was."""
    found = files.root.find(name)
    there = found.file is not None and fits(core, found.file)
    if there:
        files.take(found, role)
    return there


def take_scripts(files: FileSet, modules: Iterable[ModuleFile]) -> None:
    """The scripts that gdb loads by itself for a module, and the Python packages that they import.

    gdb's manual, "objfile-gdbdotext file": OBJFILE-gdb.py beside the file or beneath the auto-load directory.
    """
    for each in modules:
        names = [name for name in names_of(each.module) if _is_name_of(files, name, each.found)]
        own = tuple(folder for name in names for folder in _data_folders(name))
        for place in (place for name in names for place in (_AUTO_LOAD + name, name)):
            for suffix in ("-gdb.py", "-gdb.gdb"):
                found = files.root.find(place + suffix)
                if (
                    found.file
                    and found.file.status.size <= _MAX_SCRIPT
                    and _is_own(found, names, own, suffix)
                    and _is_of_its_owner(found.file, each.found.file)
                ):
                    files.take(found, "auto-load")
                    _take_imports(files, found.file, own)


def _is_name_of(files: FileSet, name: str, found: Found) -> bool:
    """Whether the file is there under this name: whoever writes a core by hand can name any folder."""
    at = files.root.find(name)
    return at.path == found.path or (at.file is not None and at.file is found.file)


def _is_own(found: Found, names: Iterable[str], own: Tuple[str, ...], suffix: str) -> bool:
    """Whether the script is where such scripts are: a link may lead to anything."""
    beside = tuple(os.path.dirname(name) + "/" for name in names)
    return found.path.endswith(suffix) and found.path.startswith((_AUTO_LOAD + "/", *beside, *own))


def _is_of_its_owner(file: OpenFile, holder: Optional[OpenFile]) -> bool:
    """Whether it belongs to root, or to whom the file belongs that it is taken for; else it may be a secret."""
    owner = os.fstat(file.fileno()).st_uid
    return owner == 0 or (holder is not None and owner == os.fstat(holder.fileno()).st_uid)


def _take_imports(files: FileSet, script: OpenFile, own: Tuple[str, ...]) -> None:
    """Python below each directory that the script names, of those beneath ``own``, the library's data.

    libstdc++'s names ``/usr/share/gcc/python``. Beyond its own data a script has nothing to import, and a stranger's
    could name anything.
    """
    text = read_at(script.fileno(), 0, _MAX_SCRIPT).decode("utf-8", "replace")
    taken = 0
    for folder in sorted(set(_QUOTED_PATH.findall(text))):
        if is_canonical(folder) and (folder + "/").startswith(own):
            at = files.root.find(folder)
            for found in _python_below(files, at.path) if (at.path + "/").startswith(own) else ():
                if not (found.file and found.path.startswith(own) and found.path.endswith(".py")):
                    continue  # a link to something else
                if not _is_of_its_owner(found.file, script):
                    continue
                taken += 1
                if taken > _MAX_SCRIPTS:
                    return
                files.take(found._replace(links=at.links + found.links), "auto-load")


def _data_folders(name: str) -> Tuple[str, ...]:
    """``share/`` and ``python`` beside the library and above it: ``/usr/lib/x.so`` has ``/usr/share/``."""
    parts = name.split("/")
    above = ["/".join(parts[:count]) for count in range(2, len(parts))]
    return tuple(folder + beneath for folder in above for beneath in ("/share/", "/python/"))


def _python_below(files: FileSet, folder: str) -> Iterator[Found]:
    waiting, seen = [folder], 0
    while waiting and seen < _MAX_FOLDERS:
        folder = waiting.pop()
        seen += 1
        names = files.root.names_in(folder)
        waiting += ["{}/{}".format(folder, name) for name in names[::-1] if "." not in name and name != "__pycache__"]
        for name in names:
            found = files.root.find("{}/{}".format(folder, name)) if name.endswith(".py") else None
            if found and found.file:
                yield found


def take_debug_files(files: FileSet, modules: Iterable[ModuleFile]) -> List[Optional[ElfFile]]:
    """Separate debug files on the site, by build ID, else by debuglink and its checksum; then what they share (dwz).

    Returns the facts of each module's, None for a module without one.
    """
    taken = []
    split = None  # type: Optional[SplitDebug]
    for each in modules:
        debug = _by_build_id(files, each.module.build_id) or _by_debuglink(files, each.found)
        if debug:
            files.take(debug, "debug")
        for holder in (each.found, debug):
            if holder and holder.file:
                _take_shared(files, holder, holder.file)
        with_info = [holder for holder in (each.found, debug) if holder and _has_debug_info(holder)]
        if with_info:
            from corebox.gather.dwo import SplitDebug  # noqa: PLC0415  # most installed files have none

            split = split or SplitDebug(files)
            split.take(with_info)
        taken.append(elf_of(debug.file) if debug else None)
    return taken


def _has_debug_info(found: Found) -> bool:
    elf = elf_of(found.file)
    return elf is not None and elf.has_debug_info


def _by_build_id(files: FileSet, build_id: Optional[str]) -> Optional[Found]:
    if build_id is None or len(build_id) < 3:
        return None
    found = files.root.find("/usr/lib/debug/" + debug_path(build_id))
    elf = elf_of(found.file)
    return found if elf and elf.build_id == build_id else None


def _by_debuglink(files: FileSet, found: Found) -> Optional[Found]:
    """The search order of gdb's manual, "Separate Debug Files"."""
    elf = elf_of(found.file)
    link = elf.debuglink if elf else None
    if link is None or "/" in link[0]:
        return None
    name, checksum = link
    directory = os.path.dirname(found.path)
    for place in (directory, directory + "/.debug", "/usr/lib/debug" + directory):
        debug = files.root.find(place + "/" + name)
        if debug.file and debug.path != found.path and debug.file.checksum == checksum:
            return debug
    return None


def _take_shared(files: FileSet, holder: Found, file: OpenFile) -> None:
    elf = elf_of(file)
    if elf is None or elf.debugaltlink is None:
        return
    name, build_id = elf.debugaltlink
    shared = files.root.find(os.path.join(os.path.dirname(holder.path), name))
    shared_elf = elf_of(shared.file)
    if shared_elf and shared_elf.build_id == build_id:
        files.take(shared, "debug")
