"""Lays gdb, its Python, its libraries and its data out as the toolbox."""

import json
import re
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from corebox.coredump.elffile import read_elf
from corebox.image.findgdb import Debugger, unusable
from corebox.image.inside import python_inside_gdb
from corebox.image.parts import TOOLBOX_HOME, VERSIONS
from corebox.image.tar import Entry, text_file
from corebox.resources import shipped

#: Packages of the standard library that no pretty-printer needs; most of its size.
_LEFT_OUT = re.compile(
    r"__pycache__|config-.*|ensurepip|distutils|dbm|idlelib|lib2to3|msilib|pydoc_data|site-packages|dist-packages|sqlite3"
    r"|tests?|tkinter|turtle(demo|\.py)|venv|wsgiref|xmlrpc|(site|user)customize\.py"
)
#: Extension modules that are tests, need large libraries, or (readline) would fight with gdb's own.
_MODULES_LEFT_OUT = re.compile(
    r"(_test|xx|_xx|_ctypes_test|_tkinter|_dbm|_gdbm|_sqlite3|_ssl|_hashlib|_curses|readline|nis|ossaudio|_crypt|_uuid)"
)
_TERMINALS = ("ansi", "dumb", "linux", "rxvt*", "screen*", "tmux*", "vt100", "vt102", "vt220", "xterm*")
_TERMINFO = ("/etc/terminfo", "/lib/terminfo", "/usr/lib/terminfo", "/usr/share/terminfo")
#: Without it gdb takes the terminal for an ASCII one; found through LOCPATH (locale(7)).
_LOCALE = Path("/usr/lib/locale/C.utf8")
#: glibc opens it when a thread ends (pthread_exit(3)); nothing names it as needed.
_LIBGCC = "libgcc_s.so.1"
#: Modules of glibc's gconv and the names that they convert (gconv-modules of glibc).
_CHARSETS = {
    "UTF-16": ("UTF-16", "UTF-16LE", "UTF-16BE"),
    "UTF-32": ("UTF-32", "UTF-32LE", "UTF-32BE"),
    "ISO8859-1": ("ISO-8859-1",),
    "ISO8859-15": ("ISO-8859-15",),
    "CP1252": ("CP1252",),
}
_LISTED = re.compile(r"^\t(\S+) => (/.+) \(0x[0-9a-f]+\)$", re.MULTILINE)


def gather_entries(debugger: Debugger, ours: Path, work: Path) -> list[Entry]:
    """All members of the toolbox's layer but the directories.

    Args:
        debugger: what to put in.
        ours: the shipped folder ``images/toolbox``.
        work: an empty directory for compiled files, which the members then refer to.
    """
    version = "python" + debugger.python_version.rpartition(".")[0]
    modules = {
        f"python/lib/{version}/lib-dynload/{path.name}": path
        for path in sorted(debugger.dynload.glob("*.so"))
        if not _MODULES_LEFT_OUT.match(path.name)
    }
    for name, folder in debugger.packages.items():
        modules.update((f"{name}/{path.name}", path) for path in sorted(folder.glob("*.so")))
    return [
        _file("bin/gdb", debugger.gdb, 0o755),
        *_libraries(debugger, modules.values()),
        *(_file(name, path) for name, path in modules.items()),
        *_compiled(debugger, version, work),
        *_tree("share/gdb", debugger.data, leave_out=("auto-load", "guile", "python", "system-gdbinit")),
        *_terminals(),
        *_tree("lib/locale/C.utf8", _LOCALE),
        *_tree("share/licenses", ours / "licenses"),
        text_file(
            f"{TOOLBOX_HOME}/{VERSIONS}", json.dumps(debugger.versions(), sort_keys=True, indent=1).encode("ascii")
        ),
    ]


def _file(name: str, source: Path, mode: int = 0o644) -> Entry:
    return Entry(f"{TOOLBOX_HOME}/{name}", mode, 0, source.stat().st_size, None, source)


def _tree(name: str, folder: Path, leave_out: Iterable[str] = ()) -> Iterator[Entry]:
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if path.is_file() and relative.parts[0] not in leave_out:
            yield _file(f"{name}/{relative}", path)


def _terminals() -> Iterator[Entry]:
    """Descriptions of common terminals, for gdb's text interface; the first folder that has one wins (terminfo(5))."""
    found: dict[str, Path] = {}
    for folder in map(Path, _TERMINFO):
        for path in sorted(each for pattern in _TERMINALS for each in folder.glob(f"?/{pattern}")):
            found.setdefault(str(path.relative_to(folder)), path)
    yield from (_file(f"share/terminfo/{name}", path) for name, path in found.items())


def _libraries(debugger: Debugger, modules: Iterable[Path]) -> Iterator[Entry]:
    """The loader, and every shared library that gdb and the extension modules need, found by that very loader."""
    interpreter = read_elf(str(debugger.gdb)).interpreter
    if interpreter is None:
        return
    loader = Path(interpreter)
    folders = str(debugger.libpython.parent) if debugger.libpython else ""
    found: dict[str, Path] = {}
    for program in (debugger.gdb, *modules):
        listed = subprocess.run(
            [loader, "--library-path", folders, "--list", program], capture_output=True, text=True, check=False
        )
        if "not found" in listed.stdout or (listed.returncode and listed.stderr):
            raise unusable(debugger.gdb, f"{program}: {(listed.stderr or listed.stdout).strip()[-200:]}")
        found.update({name: Path(path) for name, path in _LISTED.findall(listed.stdout) if "/" not in name})
    libgcc = [path for folder in ("", "/usr/lib64") if (path := found["libc.so.6"].parent / folder / _LIBGCC).exists()]
    found.update((_LIBGCC, path) for path in libgcc[:1])
    found[loader.name] = loader
    for name, path in found.items():
        yield _file(f"lib/{name}", path, 0o755 if path == loader else 0o644)
    yield Entry(f"{TOOLBOX_HOME}/lib/ld.so", 0o777, target=loader.name)
    yield from _charsets(found["libc.so.6"].parent / "gconv")


def _charsets(folder: Path) -> Iterator[Entry]:
    """The converters that gdb needs to print wide characters; all others are built into glibc or rare (iconv(3))."""
    lines = []
    for module, names in _CHARSETS.items():
        path = folder / f"{module}.so"
        if path.exists():
            yield _file(f"lib/gconv/{path.name}", path)
            for name in names:
                lines += [f"module {name}// INTERNAL {module} 1", f"module INTERNAL {name}// {module} 1"]
    yield text_file(f"{TOOLBOX_HOME}/lib/gconv/gconv-modules", "".join(f"{line}\n" for line in lines).encode("ascii"))


def _compiled(debugger: Debugger, version: str, work: Path) -> Iterator[Entry]:
    """The standard library as pycs alone; gdb's package and ours as sources with pycs beside them.

    gdb finds the modules of its package by looking for ``*.py`` (``gdb/__init__.py``, ``auto_load_packages``).
    """
    tag = "cpython-" + "".join(debugger.python_version.split(".")[:2])
    found: list[tuple[str, Path, bool]] = []
    jobs: list[tuple[str, str, str]] = []
    for folder, name, with_source in (
        (debugger.stdlib, f"python/lib/{version}", False),
        (debugger.package, "share/gdb/python/gdb", True),
        *((folder, name, True) for name, folder in debugger.packages.items()),
    ):
        found += [(f"{name}/{path.relative_to(folder)}", path, with_source) for path in _sources(folder)]
    found += [(f"share/corebox/{name}", path, True) for name, path in python_inside_gdb()]
    for name, path, with_source in found:
        if with_source:
            yield _file(name, path)
        target = f"{name.rpartition('/')[0]}/__pycache__/{path.stem}.{tag}.pyc" if with_source else f"{name}c"
        jobs.append((str(path), f"/{TOOLBOX_HOME}/{name}", target))
    _precompile(debugger, jobs, work)
    for _, _, target in jobs:
        yield _file(target, work / target)


def _sources(folder: Path) -> Iterator[Path]:
    """The Python files that are wanted beneath ``folder``."""
    for path in sorted(folder.iterdir()):
        if _LEFT_OUT.fullmatch(path.name):
            continue
        if path.is_dir():
            yield from _sources(path)
        elif path.suffix == ".py" and path.is_file():
            yield path


def _precompile(debugger: Debugger, jobs: list[tuple[str, str, str]], work: Path) -> None:
    wanted = [(source, name, str(work / target)) for source, name, target in jobs]
    script = shipped("images/toolbox") / "precompile.py"
    done = subprocess.run(
        [*debugger.interpreter, str(script)],
        input=json.dumps(wanted),
        env={"PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise unusable(debugger.gdb, done.stderr.strip()[-300:])
