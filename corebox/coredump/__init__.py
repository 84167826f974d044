"""Facts out of core files and ELF files.

Nothing here executes, loads or interprets as code any byte of the target: files are read, never run. Every input is
taken as hostile: any bytes give facts or a ``CoreboxError``, in bounded time and memory.
"""

from corebox.coredump.compact import SHORTEST_HOLE, CompactionPlan, plan_compaction
from corebox.coredump.compare import compare_with_file
from corebox.coredump.core import CoreFile, open_core
from corebox.coredump.disk import read_at, stored_extents
from corebox.coredump.elffile import debug_path, file_checksum, is_elf, read_elf
from corebox.coredump.header import HEADER_SIZE
from corebox.coredump.layout import restore
from corebox.coredump.redact import RedactionPlan, plan_redaction
from corebox.coredump.slim import SlimPlan, plan_slim, write_slim
from corebox.coredump.usage import KINDS, MemoryUse, measure_memory, segment_kinds
from corebox.coredump.values import (
    FULL,
    MINIMAL,
    NONE,
    ElfFile,
    Extent,
    FileMapping,
    LinkMapEntry,
    Module,
    PageComparison,
    Process,
    Segment,
    Thread,
    Truncation,
)
from corebox.coredump.within import outer_header, outer_table

__all__ = [
    "FULL",
    "HEADER_SIZE",
    "KINDS",
    "MINIMAL",
    "NONE",
    "SHORTEST_HOLE",
    "CompactionPlan",
    "CoreFile",
    "ElfFile",
    "Extent",
    "FileMapping",
    "LinkMapEntry",
    "MemoryUse",
    "Module",
    "PageComparison",
    "Process",
    "RedactionPlan",
    "Segment",
    "SlimPlan",
    "Thread",
    "Truncation",
    "compare_with_file",
    "debug_path",
    "file_checksum",
    "is_elf",
    "measure_memory",
    "open_core",
    "outer_header",
    "outer_table",
    "plan_compaction",
    "plan_redaction",
    "plan_slim",
    "read_at",
    "read_elf",
    "restore",
    "segment_kinds",
    "stored_extents",
    "write_slim",
]
