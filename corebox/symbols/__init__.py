"""Symbols and sources: found by build ID in folders, packages and at debuginfod servers, and what is still lacking."""

from corebox.symbols.find import DebugFile, Lacking, find_debug_files, lacking
from corebox.symbols.places import GivenFile, Places, SymbolOptions, open_places
from corebox.symbols.sources import fetch_sources
from corebox.symbols.status import CrashFiles, ModuleSymbols, best_of, module_symbols

__all__ = [
    "CrashFiles",
    "DebugFile",
    "GivenFile",
    "Lacking",
    "ModuleSymbols",
    "Places",
    "SymbolOptions",
    "best_of",
    "fetch_sources",
    "find_debug_files",
    "lacking",
    "module_symbols",
    "open_places",
]
