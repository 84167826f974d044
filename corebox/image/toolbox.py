"""The toolbox layer: gdb 18 with its own loader, C library and Python, runnable in any root.

Made once for each set of inputs, out of the gdb-for-pwndbg wheel and the Python that runs corebox. Nothing is patched
(patchelf breaks this gdb); everything is found through ``ld.so --library-path`` and PYTHONHOME.
"""

import hashlib
import json
import platform
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import corebox
from corebox.coredump import is_elf, read_elf
from corebox.errors import HostError
from corebox.image.entries import Entry, write_layer
from corebox.image.layers import mode_of
from corebox.resources import shipped
from corebox.store import Json, Layer, Store

PREFIX = ".corebox/toolbox"
GDB_PACKAGE = "gdb-for-pwndbg"

# Parts of the standard library that no debugger needs.
_PRUNED = {"__pycache__", "ensurepip", "idlelib", "lib2to3", "pydoc_data", "test", "tests", "tkinter", "turtledemo"}
_PRUNED |= {"site-packages", "dist-packages", "venv", "distutils", "turtle.py", "LICENSE.txt"}
_PRUNED_EXTENSIONS = ("_test", "_tkinter", "_xx", "xx", "_ctypes_test", "nis.")
_TERMINALS = ("ansi", "dumb", "linux", "rxvt*", "screen*", "tmux*", "vt100", "vt220", "xterm*")
_TERMINFO = ("/etc/terminfo", "/lib/terminfo", "/usr/lib/terminfo", "/usr/share/terminfo")


@dataclass(frozen=True)
class Toolbox:
    """The layer, and the versions that are in it."""

    layer: Layer
    versions: dict[str, str]

    @property
    def summary(self) -> str:
        """The versions in one line."""
        return ", ".join(f"{name} {version}" for name, version in sorted(self.versions.items()))


@dataclass(frozen=True)
class _Sources:
    """Where the parts of the toolbox lie on this machine."""

    gdb: Path
    data: Path
    gdb_package: Path
    libpython: Path
    stdlib: Path
    dynload: Path
    versions: dict[str, str]


def ensure_toolbox(store: Store) -> Toolbox:
    """The toolbox for this machine, made if the store does not have it yet.

    Raises:
        HostError: ``no-gdb``, ``no-libpython``, ``no-library``.
    """
    sources = _find_sources()
    key = json.dumps([sources.versions, _fingerprint(sources)], sort_keys=True)
    known = store.recall("toolbox", key)
    if known and store.has(str(known["digest"])):
        return _from_note(known)
    with store.workplace() as scratch:
        layer = write_layer(store, "toolbox", _entries(sources, scratch))
    store.remember("toolbox", key, {"digest": layer.digest, "size": layer.size, "versions": sources.versions})
    return Toolbox(layer, sources.versions)


def _from_note(note: Json) -> Toolbox:
    match note:
        case {"digest": str(digest), "size": int(size), "versions": dict(versions)}:
            return Toolbox(Layer(digest, size, "toolbox", digest), {str(k): str(v) for k, v in versions.items()})
    raise ValueError(note)


def _find_sources() -> _Sources:
    try:
        wheel = distribution(GDB_PACKAGE)
    except PackageNotFoundError as error:
        raise HostError("no-gdb", f"{GDB_PACKAGE} is not installed", f"pip install {GDB_PACKAGE}") from error
    site = Path(str(wheel.locate_file(".")))
    vendor = site / "gdb_for_pwndbg" / "_vendor"
    stdlib = Path(sysconfig.get_paths()["stdlib"])
    return _Sources(
        gdb=vendor / "bin" / "gdb",
        data=vendor / "share" / "gdb",
        gdb_package=site / "gdb",
        libpython=_find_libpython(),
        stdlib=stdlib,
        dynload=Path(sysconfig.get_config_var("DESTSHARED") or stdlib / "lib-dynload"),
        versions={
            "corebox": corebox.__version__,
            "gdb": wheel.version,
            "glibc": platform.libc_ver()[1],
            "python": platform.python_version(),
        },
    )


def _find_libpython() -> Path:
    name = f"libpython{sys.version_info.major}.{sys.version_info.minor}.so.1.0"
    folders = [Path(sys.base_prefix, "lib")]
    for variable in ("LIBDIR", "LIBPL"):
        folders.append(Path(sysconfig.get_config_var(variable) or "/"))
    folders.append(folders[1] / (sysconfig.get_config_var("MULTIARCH") or "."))
    for folder in folders:
        if (folder / name).exists():
            return (folder / name).resolve()
    known = _loader_cache().get(name)
    if known is not None:
        return known
    package = f"libpython{sys.version_info.major}.{sys.version_info.minor}"
    raise HostError("no-libpython", f"{name} is not on this machine", f"install it: apt-get install {package}")


def _fingerprint(sources: _Sources) -> str:
    """What the toolbox depends on beside the versions: our own scripts, and the build of the C library."""
    digest = hashlib.sha256()
    for path in sorted(shipped("images/toolbox").rglob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    for path in (sources.libpython, Path("/proc/self/exe").resolve()):
        status = path.stat()
        digest.update(f"{path.name} {status.st_size} {status.st_mtime_ns}".encode())
    interpreter = read_elf(str(sources.gdb)).interpreter or ""
    digest.update((read_elf(interpreter).build_id or "").encode())
    return digest.hexdigest()


def _entries(sources: _Sources, scratch: Path) -> Iterator[Entry]:
    python = f"python{sys.version_info.major}.{sys.version_info.minor}"
    yield Entry(f"{PREFIX}/bin/gdb", sources.gdb, 0o755)
    extensions = sorted(path for path in sources.dynload.glob("*.so") if not path.name.startswith(_PRUNED_EXTENSIONS))
    for path in extensions:
        yield Entry(f"{PREFIX}/python/lib/{python}/lib-dynload/{path.name}", path, 0o755)
    loader = Path(read_elf(str(sources.gdb)).interpreter or "")
    yield Entry(f"{PREFIX}/lib/ld.so", loader.resolve(), 0o755)
    libraries = _closure([sources.gdb, sources.libpython, *extensions], sources.libpython)
    libraries[loader.name] = loader
    for name, path in libraries.items():
        yield Entry(f"{PREFIX}/lib/{name}", path.resolve(), 0o755)
    staged = _stage(sources, scratch, python)
    for path in sorted(staged.rglob("*")):
        if path.is_file():
            yield Entry(f"{PREFIX}/{path.relative_to(staged)}", path, mode_of(path))
    yield from _terminals()


def _stage(sources: _Sources, scratch: Path, python: str) -> Path:
    """Copy all Python code into ``scratch`` and compile it there, so that gdb starts fast from a read-only root."""
    staged = scratch / "toolbox"
    ignore = shutil.ignore_patterns(*_PRUNED, "*.pyc", "*.so", "config-*", "lib-dynload")
    shutil.copytree(sources.stdlib, staged / "python" / "lib" / python, ignore=ignore)
    shutil.copytree(sources.data, staged / "share" / "gdb", ignore=ignore)
    shutil.copytree(sources.gdb_package, staged / "share" / "gdb" / "python" / "gdb", ignore=ignore)
    shutil.copytree(shipped("images/toolbox/gdbside"), staged / "share" / "corebox", ignore=ignore)
    shutil.copytree(shipped("images/toolbox/licenses"), staged / "share" / "licenses", ignore=ignore)
    # In a process of its own with fixed hashing, because marshalled code depends on the state of the interpreter.
    # Hash pycs that are never checked hold no time (PEP 552); the paths inside are those of the image.
    command = [sys.executable, "-I", "-m", "compileall", "-q", "-j", "1", "--invalidation-mode", "unchecked-hash"]
    subprocess.run(
        [*command, "-s", str(staged), "-p", f"/{PREFIX}", str(staged)], check=False, env={"PYTHONHASHSEED": "0"}
    )
    return staged


def _closure(roots: list[Path], libpython: Path) -> dict[str, Path]:
    """Every library that ``roots`` need, by the name under which the loader asks for it."""
    cache = _loader_cache()
    found: dict[str, Path] = {}
    waiting = list(roots)
    while waiting:
        path = waiting.pop()
        for name in read_elf(str(path)).needed:
            if name in found:
                continue
            beside = libpython.parent / name
            library = beside if beside.exists() else cache.get(name)
            if library is None:
                message = f"{path} needs {name}, which is not on this machine"
                raise HostError("no-library", message, "install the package that has it: apt-file search " + name)
            found[name] = library
            waiting.append(library)
    return found


def _loader_cache() -> dict[str, Path]:
    """Library names to paths, as the dynamic loader of this machine knows them (ldconfig(8))."""
    program = shutil.which("ldconfig") or "/sbin/ldconfig"
    printed = subprocess.run([program, "-p"], capture_output=True, check=False, text=True).stdout
    found: dict[str, Path] = {}
    bits = read_elf(str(Path("/proc/self/exe").resolve())).bits
    for line in printed.splitlines():
        name, arrow, path = line.strip().partition(" => ")
        name = name.split(" ")[0]
        if arrow and name not in found and is_elf(path) and read_elf(path).bits == bits:
            found[name] = Path(path)
    return found


def _terminals() -> Iterator[Entry]:
    """Descriptions of common terminals, for gdb's text interface."""
    found: dict[str, Path] = {}
    for folder in (Path(each) for each in _TERMINFO):
        for pattern in _TERMINALS:
            for path in folder.glob("?/" + pattern) if folder.is_dir() else ():
                found.setdefault(str(path.relative_to(folder)), path)
    for name, path in sorted(found.items()):
        yield Entry(f"{PREFIX}/share/terminfo/{name}", path.resolve(), 0o644)
