"""Compare a module's dumped pages with a file."""

from corebox.coredump.core import CoreFile
from corebox.coredump.values import Module, PageComparison


def compare_with_file(core: CoreFile, module: Module, path: str) -> PageComparison:
    """Compare the module's dumped, read-only pages with the file at ``path``."""
    raise NotImplementedError
