"""Keeps what the stacks of Python and JavaScript need of the heap: names of functions, files, and tables of lines.

What the runtimes export says how their objects are known. Nothing is claimed of them here: whoever reads the stacks
later proves them.
"""

from posixpath import basename
from typing import Iterator, List, Mapping, Tuple

from corebox.coredump.core import CoreFile
from corebox.coredump.elffile import elf_of
from corebox.coredump.exports import exported
from corebox.coredump.values import Module
from corebox.files.openfile import OpenFile
from corebox.reduce import cpython, v8
from corebox.reduce.keeper import Keeper

#: What a runtime may be in, beside the program itself.
_LIBRARIES = ("libpython", "libnode", "libv8")


def keep_runtimes(core: CoreFile, files: Mapping[str, OpenFile], keeper: Keeper, roots: List[int]) -> None:
    """Keep what is needed behind ``roots``, the words of registers and stacks; ``files`` are those of the modules."""
    if core.memory.word_size != 8:
        return
    for module, file in _runtimes(core, files):
        elf = elf_of(file)
        found = exported(file, (*cpython.NAMES, *v8.NAMES)) if elf else {}
        if elf and found.keys() >= set(cpython.NAMES):
            bias = module.start - elf.lowest_page
            types = {name: bias + found[name].address for name in cpython.NAMES}
            cpython.Interpreter(types, keeper).keep(roots)
        heap = v8.Heap.of({name: symbol.value for name, symbol in found.items()}, keeper)
        if heap:
            heap.keep(roots)


def _runtimes(core: CoreFile, files: Mapping[str, OpenFile]) -> Iterator[Tuple[Module, OpenFile]]:
    for module in core.modules:
        if module.path in files and (module.is_executable or basename(module.path).startswith(_LIBRARIES)):
            yield module, files[module.path]
