"""The manifest ``corebox.json``: what crashed, which files it was mapped from, and what is known of each.

All values are immutable. ``Manifest.to_bytes`` is canonical: equal manifests give equal bytes on every Python.
"""

import json
import os
from typing import Dict, NamedTuple, Optional, Tuple

from corebox.bundle import layout
from corebox.bundle.fields import (
    ADDRESS,
    BUILD_ID,
    FLAG,
    INTEGER,
    MODE,
    NUMBER,
    PATH,
    SHA256,
    TARGET,
    TEXT,
    TEXTS_BY_NAME,
    TIME,
    Annotated,
    Json,
    array,
    choice,
    record,
    sparse,
    to_json,
)
from corebox.bundle.runtime import Runtime
from corebox.coredump.values import FULL, MINIMAL, NONE
from corebox.coredump.verdict import VERDICTS

MANAGERS = ("dpkg", "rpm", "apk")
ROLES = ("executable", "module", "libthread_db", "auto-load", "debug", "os-release", "extra")


def _portable(value: object) -> object:
    """The JSON value with all texts as on a system whose names are UTF-8: Python 3.6 in the C locale differs."""
    if isinstance(value, dict):
        return {key: _portable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_portable(item) for item in value]
    return os.fsencode(value).decode("utf-8", "surrogateescape") if isinstance(value, str) else value


_MAJOR = NUMBER._replace(schema=lambda: {"enum": list(layout.MAJORS)})


class Format(NamedTuple):
    """The version of the format. A reader refuses another major one and ignores keys that a later minor one added."""

    major: Annotated[int, _MAJOR, "Raised by changes that an older reader would misunderstand."]
    minor: Annotated[int, NUMBER, "Raised by additions."]


class Site(NamedTuple):
    """Where the crash happened."""

    os_release: Annotated[
        Dict[str, str], TEXTS_BY_NAME, "`ID`, `VERSION_ID` and `PRETTY_NAME` of os-release(5), as far as they exist."
    ]
    kernel: Annotated[
        Optional[str],
        TEXT,
        "Release of the kernel; null if the files came from another root than the running system's.",
    ]
    machine: Annotated[str, TEXT, "Machine of the core, named as by `uname -m`."]
    hostname: Annotated[Optional[str], TEXT, "Name of the host; only with the customer's consent."]
    system: Annotated[
        Optional[str],
        TEXT,
        "System that wrote the core: `Linux`, `FreeBSD`, `NetBSD`, `OpenBSD`, `Solaris`, `ESP-IDF`. Null or absent in"
        " bundles that do not say it.",
    ] = None


class CrashedProcess(NamedTuple):
    """The process as its core describes it."""

    pid: Annotated[Optional[int], NUMBER, "Process ID."]
    name: Annotated[Optional[str], TEXT, "Name of the program, at most 15 bytes, as the kernel keeps it."]
    arguments: Annotated[
        Optional[str],
        TEXT,
        "The beginning of the command line, at most 79 bytes, as the kernel puts it into the core.",
    ]
    executable: Annotated[Optional[str], PATH, "Canonical path of the executable."]
    uid: Annotated[Optional[int], NUMBER, "Real user ID."]
    gid: Annotated[Optional[int], NUMBER, "Real group ID."]
    signal: Annotated[Optional[int], NUMBER, "Number of the signal that ended it."]
    signal_name: Annotated[Optional[str], TEXT, "Name of that signal, e.g. `SIGSEGV`."]
    signal_code: Annotated[Optional[int], INTEGER, "`si_code` of siginfo (sigaction(2)): why the signal was sent."]
    fault_address: Annotated[
        Optional[int], ADDRESS, "`si_addr` of siginfo: the address at which memory could not be used."
    ]
    threads: Annotated[int, NUMBER, "Number of threads."]
    time: Annotated[str, TIME, "Modification time of the core file, in UTC, like `2026-11-24T02:00:00Z`."]


class TruncatedCore(NamedTuple):
    """A core that ends before its headers say; sizes in bytes."""

    expected_size: Annotated[int, NUMBER, "Size that its headers promise."]
    actual_size: Annotated[int, NUMBER, "Size that it has."]
    missing_bytes: Annotated[int, NUMBER, "The difference."]
    lost: Annotated[Tuple[str, ...], array(TEXT), "What was in the missing part: `memory`, `notes`, `headers`."]
    cut_by: Annotated[Optional[str], TEXT, "Who cut it, if that was noted: `systemd-coredump`."] = None


class StoredCore(NamedTuple):
    """The core file."""

    included: Annotated[bool, FLAG, "Whether the bundle has it."]
    size: Annotated[int, NUMBER, "Size with its holes, as `ls` shows it."]
    stored: Annotated[int, NUMBER, "Bytes outside holes at the site."]
    truncated: Annotated[
        Optional[TruncatedCore], record(TruncatedCore), "What is missing at the end of the core; null if it is whole."
    ]
    original_stored: Annotated[
        Optional[int], NUMBER, "Of a slim core: what the whole one stored. Null if it is not slim."
    ]
    redacted: Annotated[Optional[int], NUMBER, "Number of places that were blanked; null if nothing was asked to be."]
    redacted_variables: Annotated[
        Optional[Tuple[str, ...]],
        array(TEXT),
        "Names of the environment's variables whose values were blanked. Null or absent if that was not asked for.",
    ] = None


class MemoryEntry(NamedTuple):
    """Memory of one kind, in bytes."""

    kind: Annotated[
        str,
        TEXT,
        "`file`: mapped files. `stack`: threads' stacks. `heap`: the brk heap. `arena`: further arenas of glibc's"
        " malloc. `anonymous`: all other.",
    ]
    virtual: Annotated[int, NUMBER, "Bytes that were mapped."]
    dumped: Annotated[int, NUMBER, "Bytes of that which are in the core."]
    resident: Annotated[
        Optional[int],
        NUMBER,
        "Bytes of that which pages held, in memory or in swap, as the core's holes tell; null if they are not the"
        " kernel's and cannot tell.",
    ]
    mappings: Annotated[Optional[int], NUMBER, "Number of mappings."] = None


class BuildIds(NamedTuple):
    """Two build IDs in lower-case hexadecimal; None where there is none."""

    memory: Annotated[Optional[str], BUILD_ID, "As it stood in the memory of the crashed process."]
    file: Annotated[Optional[str], BUILD_ID, "As the file at the site has it."]

    @property
    def known(self) -> Optional[str]:
        """The one that the process had; the file's if no memory tells it."""
        return self.memory or self.file


class ModuleEntry(NamedTuple):
    """One mapped ELF file."""

    path: Annotated[str, TEXT, "Path of the file, without symbolic links."]
    opened_as: Annotated[Tuple[str, ...], array(TEXT), "Other names under which the dynamic linker opened it."]
    start: Annotated[int, ADDRESS, "Lowest address at which it is mapped."]
    end: Annotated[int, ADDRESS, "Address behind its last byte in memory."]
    executable: Annotated[bool, FLAG, "Whether it is the program itself."]
    build_id: Annotated[BuildIds, record(BuildIds), "The two build IDs that the verdict compares."]
    verdict: Annotated[
        str,
        choice(VERDICTS),
        "`verified`: the build IDs are equal. `mismatch`: they differ. `cannot-verify`: one has none. `missing`: there"
        " is no file.",
    ]
    size: Annotated[Optional[int], NUMBER, "Size of the file."]
    detail: Annotated[Optional[str], TEXT, "What else is known about the verdict."]
    symbols: Annotated[
        Optional[str],
        choice((FULL, MINIMAL, NONE)),
        "What the bundle's files tell: functions, files, lines and types; functions' names; exported names only; null"
        " if it is not known.",
    ] = None
    package: Annotated[Optional[str], TEXT, "Name and version of the package that the file says it is of."] = None


class FileOrigin(NamedTuple):
    """Where a file comes from that was found elsewhere than at the site."""

    place: Annotated[str, TEXT, "The place, as the user named it."]
    package: Annotated[Optional[str], TEXT, "The package that it was in."] = None
    version: Annotated[Optional[str], TEXT, "The version of the package."] = None
    url: Annotated[Optional[str], TEXT, "What was downloaded, or the file that was read."] = None


class FileEntry(NamedTuple):
    """One regular file of ``rootfs``."""

    path: Annotated[str, PATH, "Path in the customer's root."]
    role: Annotated[str, choice(ROLES), "What it is needed for."]
    size: Annotated[int, NUMBER, "Size."]
    mode: Annotated[int, MODE, "Permission bits, four octal digits."]
    mtime: Annotated[int, NUMBER, "Modification time, in whole seconds since 1970."]
    origin: Annotated[
        Optional[FileOrigin],
        sparse(record(FileOrigin)),  # without it an entry is as earlier versions wrote it
        "Where it comes from if it was not taken at the site; absent if it was.",
    ] = None


class SymlinkEntry(NamedTuple):
    """One symbolic link of ``rootfs``."""

    path: Annotated[str, PATH, "Path in the customer's root."]
    target: Annotated[str, TARGET, "Where it leads; always relative."]


class Omission(NamedTuple):
    """A path that is not in the bundle, and why."""

    path: Annotated[str, TEXT, "Its path."]
    why: Annotated[str, TEXT, "Why, in words."]


class LeftOutFile(NamedTuple):
    """A file of the crash that a light bundle leaves out; the first five fields are as of ``FileEntry``."""

    path: Annotated[str, PATH, "Path in the customer's root."]
    role: Annotated[str, choice(ROLES), "What it is needed for."]
    size: Annotated[int, NUMBER, "Size."]
    mode: Annotated[int, MODE, "Permission bits, four octal digits."]
    mtime: Annotated[int, NUMBER, "Modification time, in whole seconds since 1970."]
    sha256: Annotated[str, SHA256, "SHA-256 of the content."]
    build_id: Annotated[Optional[str], BUILD_ID, "Build ID of the file."]
    manager: Annotated[
        Optional[str],
        choice(MANAGERS),
        "Kind of the site's package database that says that the file is a package's and unchanged; null if a list of"
        " known build IDs has it.",
    ]
    package: Annotated[Optional[str], TEXT, "Name of the package."]
    version: Annotated[Optional[str], TEXT, "Version of the package, as its database writes it."]

    @property
    def entry(self) -> FileEntry:
        """What the bundle says of the file once it is in it."""
        return FileEntry(*self[:5])


class Manifest(NamedTuple):
    """Everything in ``corebox.json``."""

    gatherer: Annotated[str, TEXT, "Version of corebox that wrote the bundle."]
    site: Annotated[Site, record(Site), "The system where the process crashed."]
    process: Annotated[CrashedProcess, record(CrashedProcess), "The process, as its core describes it."]
    core: Annotated[StoredCore, record(StoredCore), "The core file."]
    modules: Annotated[
        Tuple[ModuleEntry, ...],
        array(record(ModuleEntry)),
        "Each mapped ELF file, the executable first, then by address.",
    ]
    files: Annotated[
        Tuple[FileEntry, ...],
        array(record(FileEntry)),
        "Each regular file in `rootfs`, in byte order of the paths.",
    ]
    symlinks: Annotated[
        Tuple[SymlinkEntry, ...],
        array(record(SymlinkEntry)),
        "Each symbolic link in `rootfs`, in byte order of the paths.",
    ]
    missing: Annotated[Tuple[Omission, ...], array(record(Omission)), "What was wanted and not found."]
    not_taken: Annotated[
        Tuple[Omission, ...],
        array(record(Omission)),
        "What was mapped or known and left at the site: devices, data files, what the customer excluded.",
    ]
    memory: Annotated[Tuple[MemoryEntry, ...], array(record(MemoryEntry)), "Memory of the process by kind."]
    runtime: Annotated[
        Optional[Runtime],
        record(Runtime),
        "What the kernel knew of the process while it was still there; null if the bundle was made of a core alone.",
    ] = None
    left_out: Annotated[
        Tuple[LeftOutFile, ...],
        sparse(array(record(LeftOutFile))),
        "Only in a light bundle: each file of the crash that was left out because it can be found elsewhere, in byte"
        " order of the paths.",
    ] = ()
    format: Annotated[Format, record(Format), "The version of the bundle's format."] = Format(
        layout.MAJOR, layout.MINOR
    )

    def to_json(self) -> Json:
        """The JSON object as in the file."""
        return to_json(self)

    def to_bytes(self) -> bytes:
        """The canonical bytes of ``corebox.json``."""
        text = json.dumps(_portable(self.to_json()), sort_keys=True, indent=1, ensure_ascii=True)
        return (text + "\n").encode("ascii")
