"""Debug files by build ID: those of a crash's modules, found in the vendor's folders."""

from corebox.symbols.folders import find_symbols

__all__ = ["find_symbols"]
