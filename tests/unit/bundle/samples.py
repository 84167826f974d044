"""A small bundle to write, and raw archives to break it with."""

import gzip
import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from corebox.bundle import (
    CrashedProcess,
    FileEntry,
    Manifest,
    MemoryEntry,
    ModuleEntry,
    Remark,
    Site,
    StoredCore,
    SymlinkEntry,
    WrittenBundle,
    write_bundle,
)
from corebox.bundle.digests import PagesDigest, format_sums
from corebox.bundle.members import core_member, file_members, plain, symlink_members
from corebox.bundle.runscript import run_script
from corebox.bundle.tarformat import Member, format_member, format_sparse_map, padding
from corebox.coredump import Extent
from tests.support.elfwriter import NT_FILE, NT_PRSTATUS, PAGE, CoreWriter, Format, module

LIBRARY, LIBRARY_ID = 0x7F0000000000, "ab" * 20
CONTENT = {
    "/opt/app/bin/app": module(Format(), b"\xcd" * 20),
    "/usr/lib/libx.so.1.2": module(Format(), bytes.fromhex(LIBRARY_ID)),
}
CORE_SIZE = 1 << 20


def _core() -> bytes:
    """A core with a thread, a library's first page and a stack, whose file ends in a hole."""
    writer, form = CoreWriter(), Format()
    writer.note(NT_PRSTATUS, form.prstatus(42, 11, [0] * 27))
    writer.note(NT_FILE, form.mappings([(LIBRARY, LIBRARY + PAGE, 0, b"/usr/lib/libx.so.1.2")]))
    writer.memory(LIBRARY, CONTENT["/usr/lib/libx.so.1.2"][:PAGE], flags=4)
    writer.memory(0x7FFE00000000, (b"stack" * 1000).ljust(CORE_SIZE - 2 * PAGE, b"\0"))
    return writer.to_bytes()


CORE = _core().rstrip(b"\0")
MTIME = 1700000000
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
        core=StoredCore(True, CORE_SIZE, len(CORE), None),
        modules=(
            ModuleEntry(
                "/usr/lib/libx.so.1.2", ("/lib/libx.so.1",), LIBRARY, LIBRARY + PAGE, False,
                LIBRARY_ID, LIBRARY_ID, "verified", len(CONTENT["/usr/lib/libx.so.1.2"]), None,
            ),
        ),
        files=files,
        symlinks=(SymlinkEntry("/lib", "usr/lib"), SymlinkEntry("/usr/lib/libx.so.1", "libx.so.1.2")),
        missing=(Remark("/usr/lib/gone.so", "no such file"),),
        not_taken=(Remark("/dev/zero", "a device"),),
        memory=(MemoryEntry("heap", 8192, 4096, None),),
    )  # fmt: skip
    return value._replace(**changes)


class SparseCore:
    """A file with holes that offers what ``write_bundle`` needs of a core."""

    def __init__(self, path: Path) -> None:
        with path.open("wb") as file:
            file.write(CORE)
            file.truncate(CORE_SIZE)
        os.utime(path, (MTIME, MTIME))
        self.path = str(path)
        self.size = CORE_SIZE
        self._file = path.open("rb")

    def fileno(self) -> int:
        """Its descriptor."""
        return self._file.fileno()

    def extents(self) -> Iterator[Extent]:
        """One, at the beginning."""
        yield Extent(0, len(CORE))

    def close(self) -> None:
        """Close it."""
        self._file.close()


def write_sample(directory: Path, value: Manifest | None = None, jobs: int = 1, mtime: int = MTIME) -> WrittenBundle:
    """Write the sample bundle into ``directory``."""
    directory.mkdir(exist_ok=True)
    sources = {}
    for number, (path, data) in enumerate(CONTENT.items()):
        source = directory / f"source-{number}"
        source.write_bytes(data)
        os.utime(source, (mtime, mtime))
        sources[path] = str(source)
    core = SparseCore(directory / "sample-core")
    try:
        return write_bundle(str(directory / "x.corebox"), value or manifest(), sources, core, jobs=jobs)  # type: ignore[arg-type]
    finally:
        core.close()


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
    sparse_map = format_sparse_map([(0, len(CORE))], CORE_SIZE)
    script = run_script(value.process.executable or "")
    return [
        Part(plain("corebox.json", len(data)), data),
        *(Part(member, b"") for member in symlink_members(value)),
        *(Part(member, CONTENT[entry.path]) for entry, member in file_members(value)),
        Part(core_member(value, len(sparse_map) + len(CORE)), sparse_map + CORE),
        Part(plain("run.sh", len(script), 0o755), script),
    ]


def sums_of(members: list[Part]) -> Part:
    """SHA256SUMS that fits the members."""
    digests = []
    for part in members:
        name = os.fsdecode(part.member.name)
        if name == "core":
            pages = PagesDigest()
            pages.update(0, CORE)
            digests.append((name, pages.hexdigest(CORE_SIZE)))
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
