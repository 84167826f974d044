"""Finds gdb, its Python and its data on this machine."""

import importlib.util
import json
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from corebox import __version__
from corebox.errors import HostError


class Debugger(NamedTuple):
    """A gdb of this machine and what belongs to it.

    Attributes:
        gdb: the program.
        gdb_version: for people and labels.
        package: folder of the Python package ``gdb``, or None if this gdb has no Python.
        data: gdb's data directory.
        libpython: the shared library that it needs.
        stdlib: folder of the standard library; ``dynload`` of its extension modules.
        interpreter: a Python of the very same version, to compile with.
        from_pypi: whether it is the one of the PyPI package ``gdb-for-pwndbg``.
        packages: folders of further Python packages for use in gdb, by their place in the toolbox.
        pystack: version of the one that reads Python's stacks, if it is there.
    """

    gdb: Path
    gdb_version: str
    package: Path
    data: Path
    libpython: Path | None
    stdlib: Path
    dynload: Path
    python_version: str
    interpreter: tuple[str, ...]
    from_pypi: bool = False
    packages: Mapping[str, Path] = MappingProxyType({})
    pystack: str | None = None

    def versions(self) -> dict[str, str]:
        """What the toolbox will say of itself."""
        pystack = {"pystack": self.pystack} if self.pystack else {}
        return {"corebox": __version__, "gdb": self.gdb_version, "python": self.python_version, **pystack}

    def big_files(self) -> list[Path]:
        """The files whose change makes another toolbox."""
        libpython = [self.libpython] if self.libpython else []
        packages = [folder / "__init__.py" for folder in self.packages.values()]
        return [self.gdb, *libpython, self.package / "__init__.py", self.stdlib / "os.py", *packages]


def find_debugger() -> Debugger:
    """The gdb of the PyPI package ``gdb-for-pwndbg``, which is built for the Python that runs us; pystack is, too.

    Raises:
        HostError: ``no-gdb`` or ``no-libpython``.
    """
    from importlib.metadata import version  # noqa: PLC0415  # slow to import, and a toolbox that was imported needs none

    spec = importlib.util.find_spec("gdb_for_pwndbg")
    package = importlib.util.find_spec("gdb")
    pystack = importlib.util.find_spec("pystack")
    if not (spec and spec.origin and package and package.origin and pystack and pystack.origin):
        message = "the Python package gdb-for-pwndbg or pystack is missing"
        raise HostError("no-gdb", message, "pip install gdb-for-pwndbg pystack")
    vendored = Path(spec.origin).parent / "_vendor"
    return Debugger(
        gdb=vendored / "bin/gdb",
        gdb_version=version("gdb-for-pwndbg"),
        package=Path(package.origin).parent,
        data=vendored / "share/gdb",
        libpython=_find_libpython(),
        stdlib=Path(sysconfig.get_path("stdlib")),
        dynload=Path(sysconfig.get_config_var("DESTSHARED")),
        python_version=".".join(map(str, sys.version_info[:3])),
        interpreter=(sys.executable, "-s", "-S", "-B"),
        from_pypi=True,
        packages={**_find_printers(), "share/pystack/pystack": Path(pystack.origin).parent},
        pystack=version("pystack"),
    )


def _find_printers() -> dict[str, Path]:
    """The pretty-printers of GCC's C++ library, if this machine has them; the newest."""
    folders = sorted(Path("/usr/share").glob("gcc*/python/libstdcxx"))
    return {"share/libstdcxx/libstdcxx": folders[-1]} if folders else {}


def _find_libpython() -> Path:
    name = sysconfig.get_config_var("INSTSONAME") or ""
    folders = [sysconfig.get_config_var("LIBDIR"), f"{sys.base_exec_prefix}/lib", sysconfig.get_config_var("LIBPL")]
    multiarch = sysconfig.get_config_var("MULTIARCH")
    folders += [f"/usr/lib/{multiarch}", f"/lib/{multiarch}", "/usr/lib64", "/usr/lib"]
    for folder in filter(None, folders):
        path = Path(folder) / name
        if ".so" in name and path.exists():
            return path
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    hint = (
        f"apt-get install libpython{version}, or dnf install python3-libs, or use a Python built with --enable-shared"
    )
    raise HostError("no-libpython", f"gdb needs the shared library of Python {version}, which is missing", hint)


def find_gdb(path: Path) -> Debugger:
    """Another gdb of this machine, which tells itself where its Python and its data are.

    Raises:
        HostError: ``gdb-unusable``.
    """
    facts = _ask(path)
    version = facts["python_version"]
    return Debugger(
        gdb=path.resolve(),
        gdb_version=facts["gdb_version"],
        package=Path(facts["package"]),
        data=Path(facts["data"]),
        libpython=None,
        stdlib=Path(facts["stdlib"]),
        dynload=Path(facts["dynload"]),
        python_version=version,
        interpreter=_interpreter(path, version, facts["prefix"]),
        packages=_find_printers(),
    )


_QUESTION = (
    "python import gdb, json, os, sys, sysconfig; print('corebox:' + json.dumps({"
    "'gdb_version': gdb.VERSION, 'package': os.path.dirname(gdb.__file__), 'data': gdb.parameter('data-directory'), "
    "'stdlib': os.path.dirname(os.__file__), 'dynload': sysconfig.get_config_var('DESTSHARED'), "
    "'prefix': sys.base_prefix, 'python_version': '%d.%d.%d' % sys.version_info[:3]}))"
)


def _ask(gdb: Path) -> dict[str, str]:
    try:
        asked = subprocess.run(
            [gdb, "-nx", "-nh", "-batch", "-ex", _QUESTION], capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise unusable(gdb, str(error)) from error
    for line in asked.stdout.splitlines():
        if line.startswith("corebox:"):
            facts: dict[str, str] = json.loads(line.removeprefix("corebox:"))
            return facts
    raise unusable(gdb, "it was built without Python")


def _interpreter(gdb: Path, version: str, prefix: str) -> tuple[str, ...]:
    """A Python of this version; pycs of another one would be of no use."""
    short = version.rpartition(".")[0]
    for candidate in (f"{prefix}/bin/python{short}", f"/usr/bin/python{short}", sys.executable):
        if Path(candidate).exists() and (candidate != sys.executable or sys.version.startswith(short + ".")):
            return (candidate, "-s", "-S", "-B")
    raise unusable(gdb, f"there is no python{short} to compile its Python files with")


def unusable(gdb: Path, why: str) -> HostError:
    """The error for a gdb that no toolbox can be made from."""
    return HostError("gdb-unusable", f"cannot make a toolbox from {gdb}: {why}", "leave out --gdb, or give another gdb")
