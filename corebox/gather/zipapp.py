"""``corebox-gather.pyz``: the gatherer as one file for any Python from 3.6 on; the same bytes each time it is made."""

import os
import zipfile
from typing import Iterator, Tuple

import corebox
from corebox.errors import HostError, UsageError
from corebox.gather.preset import MEMBER, Preset

_SHEBANG = b"#!/usr/bin/env python3\n"
#: Any Python can read this, also those that cannot read the rest.
_MAIN = b"""\
import sys
if sys.version_info < (3, 6):
    sys.stderr.write(
        "error: this program needs Python 3.6 or later, and this is Python %d.%d\\n"
        "hint: run it with a newer one: python3 %s; where there is none, whoever asked for the bundle can send a shell"
        " script instead (corebox request)\\n" % (sys.version_info[0], sys.version_info[1], sys.argv[0])
    )
    sys.exit(4)
import gc
import os
import zipimport

gc.set_threshold(100000, 50, 50)  # what is imported stays, and there is little else that could be garbage


class Importer(zipimport.zipimporter):
    def get_filename(self, name):  # the original compiles the module for that, which would be the first of two times
        path = "/".join((self.archive, self.prefix + name.rpartition(".")[2]))
        return path + ("/__init__.py" if self.is_package(name) else ".py")


sys.path_hooks.insert(0, Importer)
sys.path_importer_cache.clear()
try:
    from corebox.gather.cli import main
    status = main()
except KeyboardInterrupt:  # while it starts
    sys.stderr.write("interrupted; no partial files were left behind\\n")
    status = 130
for stream in (sys.stdout, sys.stderr):
    try:
        stream.flush()
    except (AttributeError, OSError, ValueError):  # closed by whoever called
        pass
os._exit(status)  # Python would take every module apart first
"""
_PACKAGES = ("files", "coredump", "reduce", "bundle", "describe", "gather")
_NOT_SHIPPED = "corebox/reduce/minidump.py"  # the vendor alone makes one
_NO_PRESET = Preset()
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first date that a zip archive can hold


def make_zipapp(out: str, preset: Preset = _NO_PRESET) -> int:
    """Write the program to ``out``, executable, with what the vendor fixes, and return its size in bytes.

    Raises:
        HostError: ``cannot-write``.
        UsageError: ``not-installed`` inside the program itself, which does not make copies of itself.
    """
    members = sorted(_members())
    if preset != _NO_PRESET:
        members.append(("corebox/gather/" + MEMBER, preset.to_bytes()))
    try:
        with open(out, "wb") as file:
            file.write(_SHEBANG)
            with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
                for name, data in members:
                    archive.writestr(_entry(name), data)
        os.chmod(out, 0o755)  # noqa: S103  # a program for everybody
    except OSError as error:
        raise HostError(
            "cannot-write", "cannot write {}: {}".format(out, error.strerror), "choose another place"
        ) from error
    return os.path.getsize(out)


def is_zipapp(path: str) -> bool:
    """Whether the file is such a program."""
    try:
        with zipfile.ZipFile(path) as archive:
            return "corebox/gather/zipapp.py" in archive.namelist()
    except (OSError, ValueError, zipfile.BadZipFile):
        return False


def _entry(name: str) -> zipfile.ZipInfo:
    """Stored, not deflated: what zlib makes differs between its versions."""
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.create_system = 3
    entry.external_attr = 0o100644 << 16
    return entry


def _members() -> Iterator[Tuple[str, bytes]]:
    package = os.path.dirname(os.path.abspath(corebox.__file__))
    if not os.path.isdir(package):
        raise UsageError(
            "not-installed", "this already is the one-file program", "copy it, or use an installed corebox"
        )
    yield "__main__.py", _MAIN
    for name in ("__init__.py", "errors.py", "printable.py"):
        yield "corebox/" + name, _read(os.path.join(package, name))
    for name in _PACKAGES:
        yield from _sources(os.path.join(package, name), "corebox/" + name)


def _sources(directory: str, prefix: str) -> Iterator[Tuple[str, bytes]]:
    for folder, folders, names in os.walk(directory):
        folders[:] = [name for name in folders if name != "__pycache__"]
        for name in names:
            path = os.path.join(folder, name)
            member = prefix + path[len(directory) :]
            if name.endswith(".py") and member != _NOT_SHIPPED:
                yield member, _read(path)


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
