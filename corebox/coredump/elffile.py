"""Facts of ELF files on disk."""

from corebox.coredump.values import ElfFile


def is_elf(path: str) -> bool:
    """Whether the file begins as ELF files do."""
    raise NotImplementedError


def read_elf(path: str) -> ElfFile:
    """Facts of one ELF file; raises InputError not-elf."""
    raise NotImplementedError
