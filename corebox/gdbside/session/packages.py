"""Imports the Python packages of the user's own, which --python-path names."""

import importlib
import pathlib
import sys
from collections.abc import Iterator

import gdb

from corebox.gdbside import bounded

HOME = pathlib.Path("/.corebox/python")


def load() -> None:
    """Import what is in each folder; what fails is told and costs nothing else.

    The folders come last in Python's path: a package of theirs must not take the place of a module that gdb needs.
    """
    folders = sorted(HOME.iterdir(), key=lambda each: int(each.name)) if HOME.is_dir() else []
    sys.path += map(str, folders)
    for folder in folders:
        for name in sorted(_names(folder)):
            _load(name, folder)


def _names(folder: pathlib.Path) -> Iterator[str]:
    """Those of packages and modules."""
    for path in folder.iterdir():
        module = path.suffix == ".py" or (path / "__init__.py").is_file()
        if module and path.stem.isidentifier() and not path.stem.startswith("_"):
            yield path.stem


def _load(name: str, folder: pathlib.Path) -> None:
    try:
        found = importlib.import_module(name)
        if not str(found.__file__).startswith(f"{folder}/"):
            raise ImportError("Python, gdb or corebox has a module of this name: rename it")
    except Exception as error:  # noqa: BLE001  # code of the user's
        gdb.write(f"--python-path: cannot import {name}: {bounded.one_line(error)}\n", gdb.STDERR)
