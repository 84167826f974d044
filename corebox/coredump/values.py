"""The immutable values that this package hands out. Addresses, offsets and sizes are in bytes."""

from typing import NamedTuple, Optional, Tuple

#: What an ELF file tells a debugger: functions, files, lines and types; functions' names; exported names only.
FULL, MINIMAL, NONE = "full", "minimal", "none"


class Segment(NamedTuple):
    """One PT_LOAD of the core: memory at ``address``, of which ``file_size`` bytes are in the file at ``offset``."""

    kind: int
    flags: int
    offset: int
    address: int
    file_size: int
    memory_size: int


class FileMapping(NamedTuple):
    """One entry of NT_FILE; ``deleted`` says that the kernel had marked ``path`` with " (deleted)"."""

    start: int
    end: int
    file_offset: int
    path: str
    deleted: bool


class Thread(NamedTuple):
    """One thread as NT_PRSTATUS describes it; registers are None on machines whose layout we do not know."""

    tid: int
    signal: int
    program_counter: Optional[int]
    stack_pointer: Optional[int]


class Process(NamedTuple):
    """The process as its notes describe it; what the core does not say is None.

    ``arguments`` is cut at 80 bytes by the kernel, ``name`` at 15; ``executable`` is AT_EXECFN, the path as executed,
    maybe relative. ``fault_address`` is None unless the signal has one. ``threads`` begins with the crashed one.
    """

    pid: Optional[int]
    name: Optional[str]
    arguments: Optional[str]
    uid: Optional[int]
    gid: Optional[int]
    executable: Optional[str]
    signal: Optional[int]
    signal_name: Optional[str]
    signal_code: Optional[int]
    fault_address: Optional[int]
    threads: Tuple[Thread, ...]


class LinkMapEntry(NamedTuple):
    """One entry of the dynamic linker's list: path as opened, load bias, address of the dynamic section."""

    name: str
    base: int
    dynamic: int


class Module(NamedTuple):
    """One mapped ELF file; ``build_id`` is the one that stood in the memory of the process, lower-case hex.

    ``path`` is NT_FILE's resolved path where known, else the link map's; ``opened_as`` holds the names under which
    the process opened it. The executable, if known, is the first module. The vdso is not a module.
    """

    path: str
    opened_as: Tuple[str, ...]
    start: int
    end: int
    build_id: Optional[str]
    is_executable: bool
    deleted: bool


class Truncation(NamedTuple):
    """A core that ends before its headers say; ``lost`` holds some of "headers", "notes", "memory"."""

    expected_size: int
    actual_size: int
    missing_bytes: int
    lost: Tuple[str, ...]


class ElfFile(NamedTuple):
    """Facts of an ELF file on disk.

    ``machine`` is named as by ``uname -m``; ``kind`` is "rel", "exec", "dyn", "core" or "other"; ``debuglink`` is
    file name and CRC-32; ``stripped`` says that neither .symtab nor .debug_info is there. ``debugaltlink`` is file name
    and build ID of the file in which dwz has put what several debug files share. ``package`` is name and version of the
    package that the file says it is of (systemd's "ELF Package Metadata"). ``lowest_page`` is where its first segment
    is linked. ``hollow`` says that it is a debug file: its code and data have no bytes.
    ``whole`` says, by the program headers, that its code has bytes and that all it is mapped from is in the file.
    """

    machine: str
    bits: int
    byte_order: str
    kind: str
    build_id: Optional[str]
    soname: Optional[str]
    needed: Tuple[str, ...]
    interpreter: Optional[str]
    debuglink: Optional[Tuple[str, int]]
    stripped: bool
    has_debug_info: bool
    debugaltlink: Optional[Tuple[str, str]] = None
    package: Optional[str] = None
    lowest_page: int = 0
    hollow: bool = False
    whole: bool = True

    @property
    def is_program(self) -> bool:
        """Whether it is of a kind that processes map and run: a program or a shared library."""
        return self.kind in ("exec", "dyn")

    @property
    def symbols(self) -> str:
        """``FULL``, ``MINIMAL`` or ``NONE``."""
        return FULL if self.has_debug_info else NONE if self.stripped else MINIMAL


class PageComparison(NamedTuple):
    """Dumped read-only bytes of a module against a file; ``first_difference`` is an offset in the file."""

    equal_bytes: int
    different_bytes: int
    first_difference: Optional[int]
