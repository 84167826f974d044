"""The errors of this package, worded once."""

import struct
from typing import Tuple

from corebox.coredump.header import MAGIC, parse_header
from corebox.errors import CoreboxError, InputError, UsageError
from corebox.files import magic

_COMPRESSED = (
    (magic.ZSTD, "zstd", "zstd -d --sparse FILE"),
    (magic.GZIP, "gzip", "gzip -d FILE"),
    (magic.LZ4, "lz4", "lz4 -d FILE"),
    (magic.XZ, "xz", "xz -d FILE"),
    (magic.BZIP2, "bzip2", "bzip2 -d FILE"),
)
_ESP_HINT = (
    "open it with Espressif's tool and the program's ELF file: pip install esp-coredump; "
    "esp-coredump info_corefile --core FILE --core-format raw PROGRAM.elf"
)
# What other systems and tools write when a program crashes, and what opens it.
_OTHER_TOOLS = (
    (
        b"MDMP",
        "a minidump (Windows, Breakpad, Crashpad)",
        "open it with lldb --core FILE, minidump-stackwalk FILE, or WinDbg",
    ),
    (
        b"PAGEDU64",
        "a memory dump of the Windows kernel",
        "open it with WinDbg",
    ),
    (
        b"ProblemType: ",
        "a report of apport (.crash)",
        "make a bundle of it: corebox import FILE -o crash.corebox",
    ),
    (
        b"KDUMP   ",
        "a memory dump of the Linux kernel (makedumpfile)",
        "open it with crash(8): crash VMLINUX FILE",
    ),
    (
        b"\xcf\xfa\xed\xfe",
        "a Mach-O file of macOS",
        "if it is a core, open it on macOS: lldb --core FILE",
    ),
    (
        b"================= CORE DUMP START",
        "an ESP-IDF core dump as text, the memory of a microcontroller",
        "open it with Espressif's tool: esp-coredump info_corefile --core FILE --core-format b64 PROGRAM.elf",
    ),
)
_KINDS = {1: "an object file", 2: "an executable", 3: "an executable or shared library", 4: "a damaged core file"}
_CUT = "raise the limit (ulimit -c unlimited), make room on the disk and crash it again"


def not_a_core(path: str, start: bytes, size: int = -1) -> CoreboxError:
    """``not-a-core``: the file at ``path``, of ``size`` bytes if known, begins with the bytes ``start``."""
    why, hint = _what_it_is(start, size)
    hint = hint.replace("FILE", path)
    return InputError("not-a-core", "{} is not a core file: it is {}".format(path, why), hint, path=path, kind=why)


def _what_it_is(start: bytes, size: int) -> Tuple[str, str]:
    if not start:
        return "empty", _CUT
    for begin, name, command in _COMPRESSED:
        if start.startswith(begin):
            return "compressed with " + name, "decompress it first: " + command
    for begin, name, hint in _OTHER_TOOLS:
        if start.startswith(begin):
            return name, hint
    if start.startswith(b"corebox.json\0"):
        return "a bundle already", "open it: corebox shell FILE"
    if not start.startswith(MAGIC):
        if _is_of_esp_idf(start, size):
            return "an ESP-IDF core dump, the memory of a microcontroller", _ESP_HINT
        return "not an ELF file", "find the core: ls -l core* /var/lib/systemd/coredump; coredumpctl list"
    header = parse_header(start)
    if header is None:
        return "an ELF file cut off within its header", _CUT
    return _KINDS.get(header.kind, "an ELF file of another kind"), "pass the core file, not the program that wrote it"


def _is_of_esp_idf(start: bytes, size: int) -> bool:
    """As it is in flash: its length, then versions of chip and format, of which the format is below 0x0400.

    ``core_dump_header_t`` in components/espcoredump of ESP-IDF; checksums may follow the length that it tells.
    """
    if len(start) < 20:
        return False
    length, version, tasks = struct.unpack_from("<III", start)
    return bool(0 <= size - length <= 64 and version & 0xFFFF < 0x400 and tasks < 1 << 12)


def not_in_core(address: int, size: int) -> CoreboxError:
    """``memory-not-in-core``: a range of memory was not dumped, or was cut off."""
    message = "the {} bytes of memory at 0x{:x} are not in the core".format(size, address)
    hint = "corebox info says whether the core is truncated; coredump_filter says what is dumped, core(5)"
    return InputError("memory-not-in-core", message, hint, address=address, size=size)


def endless_headers() -> CoreboxError:
    """``not-a-core``: every address seems to be the beginning of a module with thousands of program headers."""
    message = "the core is malformed: it has more program headers than modules can have"
    return InputError("not-a-core", message, "the file is damaged: copy it again and compare sizes and checksums")


def not_elf(path: str, why: str) -> CoreboxError:
    """``not-elf``: a file that should be an executable or a shared object is not."""
    return InputError("not-elf", "{} is not an ELF file: {}".format(path, why), "check it: file " + path, path=path)


def damaged_layout(why: str) -> CoreboxError:
    """``layout-damaged``: what is known of the original core does not fit the compact one."""
    message = "the core cannot be restored, its layout is damaged: " + why
    return InputError("layout-damaged", message, "pull or build the image again, then export once more")


def pattern_too_short(pattern: bytes, shortest: int) -> CoreboxError:
    """``pattern-too-short``: bytes that are in every core by chance."""
    message = "the pattern {!r} has fewer than {} bytes".format(pattern, shortest)
    return UsageError("pattern-too-short", message, "give a longer text, so that nothing else is blanked")
