"""What a minidump holds, in words: of a crash on Windows, or by Breakpad or Crashpad. No bundle is made of one.

A bundle's proof and its gdb stand on the memory of a core: ELF headers and program headers of each module, which no
minidump keeps. The format is Microsoft's minidumpapiset.h.
"""

import struct
from pathlib import Path

from corebox.errors import InputError
from corebox.printable import counted, format_size

MAGIC = b"MDMP"
_THREADS, _MODULES, _MEMORY, _EXCEPTION, _SYSTEM, _MEMORY_64 = 3, 4, 5, 6, 7, 9
_SYSTEMS = {2: "Windows", 0x8101: "macOS", 0x8102: "iOS", 0x8201: "Linux", 0x8203: "Android"}
_PROCESSORS = {0: "x86", 5: "ARM", 9: "x86-64", 12: "ARM64"}
_PLATFORM = 20  # MINIDUMP_SYSTEM_INFO.PlatformId
#: Streams and ranges of memory that are counted.
_MAX_STREAMS, _MAX_RANGES = 1024, 65536


def minidump_refused(path: Path) -> InputError:
    """``minidump``: what is in it, what is not, and what opens it."""
    try:
        with path.open("rb") as file:
            what = _described(file.read(64 << 20))
    except struct.error:
        what = "it is damaged: it ends early"
    hint = (
        f"open it with lldb --core {path}, or minidump-stackwalk {path} SYMBOLS; for corebox have the crash leave a "
        "core as well: ulimit -c unlimited, and in Crashpad or Breakpad pass the signal on"
    )
    return InputError("minidump", f"{path} is a minidump: {what}", hint)


def _described(data: bytes) -> str:
    count, directory = struct.unpack_from("<II", data, 8)
    at: dict[int, int] = {}
    for number in range(min(count, _MAX_STREAMS)):
        kind, _, offset = struct.unpack_from("<III", data, directory + 12 * number)
        at.setdefault(kind, offset)
    threads, modules = (_number(data, at, kind) for kind in (_THREADS, _MODULES))
    parts = [counted(threads, "thread"), counted(modules, "module"), f"{format_size(_memory(data, at))} of memory"]
    if _EXCEPTION in at:
        parts.append("the exception")
    return f"{_system(data, at)}{', '.join(parts)}; no files, and not the memory that a bundle's proof needs"


def _system(data: bytes, at: dict[int, int]) -> str:
    if _SYSTEM not in at:
        return ""
    (processor,) = struct.unpack_from("<H", data, at[_SYSTEM])
    (platform,) = struct.unpack_from("<I", data, at[_SYSTEM] + _PLATFORM)
    return f"{_SYSTEMS.get(platform, 'unknown system')} on {_PROCESSORS.get(processor, 'an unknown processor')}, "


def _number(data: bytes, at: dict[int, int], kind: int) -> int:
    return int(struct.unpack_from("<I", data, at[kind])[0]) if kind in at else 0


def _memory(data: bytes, at: dict[int, int]) -> int:
    """The bytes of all ranges: MINIDUMP_MEMORY_DESCRIPTOR, and the one with 64 bits."""
    total = 0
    if _MEMORY in at:
        for number in range(min(_number(data, at, _MEMORY), _MAX_RANGES)):
            total += struct.unpack_from("<I", data, at[_MEMORY] + 4 + 16 * number + 8)[0]
    if _MEMORY_64 in at:
        (count,) = struct.unpack_from("<Q", data, at[_MEMORY_64])
        for number in range(min(count, _MAX_RANGES)):
            total += struct.unpack_from("<Q", data, at[_MEMORY_64] + 16 + 16 * number + 8)[0]
    return total
