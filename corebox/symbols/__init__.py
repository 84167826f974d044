"""Debug files by build ID: those of a crash's modules, found in the vendor's folders."""

from corebox.symbols.folders import debug_path, find_symbols

__all__ = ["debug_path", "find_symbols"]
