"""Files that were never mapped and are needed all the same, found beside or through the modules that were."""

import os
import re
import zlib
from typing import Iterable, Iterator, List, Tuple

from corebox.bundle.disk import Lookup
from corebox.coredump import Module, read_elf
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


def take_debug_files(files: FileSet, proven: Iterable[Tuple[Module, Lookup]]) -> None:
    """Separate debug files on the site, by build ID, else by debuglink and its checksum (gdb's manual)."""
    for module, found in proven:
        if module.build_id and len(module.build_id) > 2:
            name = "/usr/lib/debug/.build-id/{}/{}.debug".format(module.build_id[:2], module.build_id[2:])
            if files.want(name, "debug"):
                continue
        if found.file:
            _take_debuglink(files, found)


def _take_debuglink(files: FileSet, found: Lookup) -> None:
    assert found.file
    try:
        link = read_elf(found.file.disk_path).debuglink
    except CoreboxError:
        return
    if link is None or "/" in link[0]:
        return
    directory = os.path.dirname(found.path)
    for place in (directory, directory + "/.debug", "/usr/lib/debug" + directory):
        debug = files.root.find(place + "/" + link[0])
        if debug.file and debug.path != found.path and _crc32(debug.file.disk_path) == link[1]:
            files.take(debug, "debug")
            return


def _crc32(path: str) -> int:
    crc = 0
    with open(path, "rb") as file:
        for piece in iter(lambda: file.read(1 << 20), b""):
            crc = zlib.crc32(piece, crc)
    return crc
