"""A small bundle to write, and raw archives to break it with."""

import gzip
import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from corebox.bundle.blocks import BlockHasher
from corebox.bundle.corecontent import CompactCore
from corebox.bundle.corelayer import layer_head, layer_tail
from corebox.bundle.digests import format_sums
from corebox.bundle.manifest import (
    BuildIds,
    CrashedProcess,
    FileEntry,
    Manifest,
    MemoryEntry,
    ModuleEntry,
    Omission,
    Site,
    StoredCore,
    SymlinkEntry,
)
from corebox.bundle.manifest import Format as BundleFormat
from corebox.bundle.members import core_member, file_members, plain, symlink_members
from corebox.bundle.runscript import run_script
from corebox.bundle.runtime import HANDLER, Container, OpenFiles, ResourceLimit, Runtime, ThreadName
from corebox.bundle.tarformat import Member, format_member, padding
from corebox.bundle.write import Content, WrittenBundle, write_bundle
from corebox.coredump.core import open_core
from corebox.coredump.modules import AT_ENTRY
from corebox.files.openfile import OpenFile
from tests.support.compactcores import content_of
from tests.support.elfwriter import NT_AUXV, NT_FILE, NT_PRSTATUS, PAGE, CoreWriter, Format, module

PROGRAM, PROGRAM_ID = 0x550000000000, "cd" * 20
LIBRARY, LIBRARY_ID = 0x7F0000000000, "ab" * 20
CONTENT = {
    "/opt/app/bin/app": module(Format(), bytes.fromhex(PROGRAM_ID)),
    "/usr/lib/libx.so.1.2": module(Format(), bytes.fromhex(LIBRARY_ID)),
}
CORE_SIZE = 1 << 20


def _core() -> bytes:
    """A core with a thread, the first pages of a program and a library, and a stack, whose file ends in a hole."""
    writer, form = CoreWriter(), Format()
    writer.note(NT_PRSTATUS, form.prstatus(42, 11, [0] * 27))
    writer.note(NT_AUXV, form.words(AT_ENTRY, PROGRAM, 0, 0))
    program, library = (
        (PROGRAM, PROGRAM + PAGE, 0, b"/opt/app/bin/app"),
        (LIBRARY, LIBRARY + PAGE, 0, b"/usr/lib/libx.so.1.2"),
    )
    writer.note(NT_FILE, form.mappings([program, library]))
    writer.memory(PROGRAM, CONTENT["/opt/app/bin/app"][:PAGE], flags=4)
    writer.memory(LIBRARY, CONTENT["/usr/lib/libx.so.1.2"][:PAGE], flags=4)
    writer.memory(0x7FFE00000000, (b"stack" * 1000).ljust(CORE_SIZE - 3 * PAGE, b"\0"))
    return writer.to_bytes()


CORE = _core().rstrip(b"\0")
MTIME = 1700000000
RUNTIME = Runtime(
    source=HANDLER,
    kernel="6.1.0 #1 SMP",
    cpu="Some CPU",
    threads=(ThreadName(42, "app"), ThreadName(43, "worker")),
    cgroup="/system.slice/docker-" + "ab" * 32 + ".scope",
    unit="docker-" + "ab" * 32 + ".scope",
    container=Container("ab" * 32, "docker", "debian:12"),
    limits=(ResourceLimit("Max open files", 1024, None, "files"),),
    open_files=(OpenFiles("file", 3), OpenFiles("TCP socket", 2)),
)
TIME = "2023-11-14T22:13:20Z"


def manifest(**changes: Any) -> Manifest:
    """The manifest of a bundle with CONTENT, two links and a core with holes."""
    files = tuple(
        FileEntry(path, "executable" if "app" in path else "module", len(data), 0o755, MTIME)
        for path, data in sorted(CONTENT.items())
    )
    value = Manifest(
        gatherer="0.1.0",
        site=Site({"ID": "debian", "VERSION_ID": "11", "PRETTY_NAME": "Debian"}, "6.1.0", "x86_64", None),
        process=CrashedProcess(
            42, "app", "app -v", "/opt/app/bin/app", 1000, 1000, 11, "SIGSEGV", -6, 0xDEAD, 3, TIME
        ),
        core=StoredCore(True, CORE_SIZE, len(CORE), None, None, None),
        modules=(
            ModuleEntry(
                "/usr/lib/libx.so.1.2", ("/lib/libx.so.1",), LIBRARY, LIBRARY + PAGE, False,
                BuildIds(LIBRARY_ID, LIBRARY_ID), "verified", len(CONTENT["/usr/lib/libx.so.1.2"]), None,
            ),
            ModuleEntry(
                "/opt/app/bin/app", (), PROGRAM, PROGRAM + PAGE, True,
                BuildIds(PROGRAM_ID, PROGRAM_ID), "verified", len(CONTENT["/opt/app/bin/app"]), None,
            ),
        ),
        files=files,
        symlinks=(SymlinkEntry("/lib", "usr/lib"), SymlinkEntry("/usr/lib/libx.so.1", "libx.so.1.2")),
        missing=(Omission("/usr/lib/gone.so", "no such file"),),
        not_taken=(Omission("/dev/zero", "a device"),),
        memory=(MemoryEntry("heap", 8192, 4096, None),),
    )  # fmt: skip
    return value._replace(**changes)


def write_core(path: Path) -> Path:
    """The core as a file with a hole."""
    with path.open("wb") as file:
        file.write(CORE)
        file.truncate(CORE_SIZE)
    os.utime(path, (MTIME, MTIME))
    return path


def _compact() -> tuple[bytes, bytes]:
    with tempfile.TemporaryDirectory() as folder, open_core(str(write_core(Path(folder, "core")))) as core:
        content = CompactCore(core)
        return content_of(content), content.layout()


#: What the bundle has of the core.
COMPACT, LAYOUT = _compact()
VERSION_1 = BundleFormat(1, 0)


def write_sources(directory: Path, mtime: int = MTIME) -> dict[str, OpenFile]:
    """The files of CONTENT, open."""
    sources = {}
    for number, (path, data) in enumerate(CONTENT.items()):
        source = directory / f"source-{number}"
        source.write_bytes(data)
        os.utime(source, (mtime, mtime))
        sources[path] = OpenFile(str(source), os.open(source, os.O_RDONLY))
    return sources


def write_sample(directory: Path, value: Manifest | None = None, jobs: int = 1, mtime: int = MTIME) -> WrittenBundle:
    """Write the sample bundle into ``directory``."""
    directory.mkdir(exist_ok=True)
    sources = write_sources(directory, mtime)
    with open_core(str(write_core(directory / "sample-core"))) as core:
        return write_bundle(
            str(directory / "x.corebox"), Content(value or manifest(), sources, CompactCore(core), jobs=jobs)
        )


class Part(NamedTuple):
    """One member of a raw archive: header blocks and data."""

    member: Member
    data: bytes

    def raw(self) -> bytes:
        """The bytes in the archive."""
        return format_member(self.member) + self.data + bytes(padding(len(self.data)))


def parts(value: Manifest) -> list[Part]:
    """The members of the sample bundle without SHA256SUMS."""
    data = value.to_bytes()
    script = run_script(value.process.executable or "")
    hasher = BlockHasher()
    hasher.update(COMPACT)
    digests = hasher.text()
    return [
        Part(plain("corebox.json", len(data)), data),
        *(Part(member, b"") for member in symlink_members(value)),
        *(Part(member, CONTENT[entry.path]) for entry, member in file_members(value)),
        Part(core_member(value, len(COMPACT)), COMPACT),
        *([] if value.format == VERSION_1 else [Part(plain("core.digests", len(digests)), digests)]),
        Part(plain("core.layout.json", len(LAYOUT)), LAYOUT),
        Part(plain("run.sh", len(script), 0o755), script),
    ]


def layer_of(core: bytes, mtime: int = MTIME) -> bytes:
    """The layer with this compact core."""
    tail = layer_tail(len(core), lambda offset, size: core[offset : offset + size])
    return layer_head(core[:64], len(core), mtime) + core + tail


def sums_of(members: list[Part]) -> Part:
    """SHA256SUMS that fits the members."""
    digests = []
    has_digests = any(part.member.name == b"core.digests" for part in members)
    for part in members:
        name = os.fsdecode(part.member.name)
        if name == "core":
            if has_digests:
                continue
            digests.append((name, hashlib.sha256(layer_of(part.data, part.member.mtime)).hexdigest()))
        elif part.member.kind == b"0":
            digests.append((name, hashlib.sha256(part.data).hexdigest()))
    data = format_sums(digests)
    return Part(plain("SHA256SUMS", len(data)), data)


def write_raw(
    path: Path, members: list[Part], change: Callable[[bytes], bytes] = bytes, end: bytes = bytes(1024)
) -> Path:
    """Write the members as a gzip-compressed archive; ``change`` may spoil the tar's bytes."""
    raw = b"".join(part.raw() for part in members) + end
    path.write_bytes(gzip.compress(change(raw)))
    return path
