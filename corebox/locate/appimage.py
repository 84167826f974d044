"""AppImages of type 2: an ELF program, and behind it a squashfs with the files (AppImage specification).

``unsquashfs`` reads it, in a process of its own with limits; nothing of the AppImage is run.
"""

import json
import os
import resource
import shutil
import struct
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from corebox.coredump.header import MAGIC
from corebox.errors import HostError
from corebox.locate.archives import bad_archive
from corebox.locate.folders import members_beneath
from corebox.locate.members import Members
from corebox.locate.wanted import Candidate, Member, Origin, Wanted, Wants
from corebox.locate.wantedfiles import Key, WantedFiles
from corebox.store.store import Store

_MARK = b"AI\x02"  # at offset 8 of the ELF header
_MAX_SIZE, _MAX_SECONDS, _MAX_MEMORY = 16 << 30, 600, 2 << 30
_MAX_FILES, _MAX_RUNTIME_SIZE = 1 << 20, 16 << 20
#: The beginning of a squashfs 4.0 (squashfs_fs.h, ``struct squashfs_super_block``).
_SQUASHFS, _SUPERBLOCK = b"hsqs", struct.Struct("<4sIIIIHHHHHH")


def is_app_image(path: Path) -> bool:
    """Whether the file is an AppImage of type 2."""
    with path.open("rb") as file:
        start = file.read(11)
    return start.startswith(MAGIC) and start[8:11] == _MARK


class AppImage:
    """One AppImage as a place and as a tree."""

    def __init__(self, path: Path, store: Store) -> None:
        self.name = str(path)
        self._path = path
        self._store = store
        status = path.stat()
        stamp = json.dumps(["appimage", str(path.absolute()), status.st_size, status.st_mtime_ns, status.st_ino])
        self._members = Members(self, store, stamp)

    def find(self, wanted_files: WantedFiles) -> dict[Key, Path]:
        """Those of ``wanted_files`` that are in it.

        Raises:
            InputError: ``bad-symbols``.
            HostError: ``no-unsquashfs``, ``no-space``.
        """
        return self._members.find(wanted_files)

    def candidates(self, wanted: Sequence[Wanted]) -> Iterator[Candidate]:
        """See ``Place``; raises as ``find`` does."""
        return self._members.candidates(wanted, Origin(self.name, url=self.name))

    def members(self, wants: Wants, *, elf_only: bool = False) -> Iterator[Member]:
        """See ``Tree``."""
        with self._unpacked() as top:
            yield from members_beneath(top, wants, elf_only=elf_only)

    @contextmanager
    def _unpacked(self) -> Iterator[Path]:
        program = shutil.which("unsquashfs")
        if program is None:
            hint = "install it: apt-get install squashfs-tools; or unpack the AppImage and give the folder"
            raise HostError("no-unsquashfs", f"cannot read {self._path} without unsquashfs", hint)
        offset = str(self._squashfs_at())
        with self._store.workplace() as work:
            self._require_harmless(program, offset, work)
            self._run([program, "-no-progress", "-no-xattrs", "-ignore-errors", "-p", "1", "-o", offset,
                       "-d", "top", str(self._path.absolute())], work)  # fmt: skip
            yield work / "top"

    def _require_harmless(self, program: str, offset: str, work: Path) -> None:
        """Refuse one that would unpack to more than there can be; sizes are in the listing, before anything is."""
        listing = work / "listing"
        with listing.open("wb") as out:
            self._run([program, "-o", offset, "-lln", str(self._path.absolute())], work, out.fileno())
        files = size = 0
        with listing.open("rb") as lines:
            for line in lines:
                words = line.split(None, 3)
                if len(words) == 4 and line[:1] == b"-" and words[2].isdigit():
                    files, size = files + 1, size + int(words[2])
        if size > _MAX_SIZE or files > _MAX_FILES:
            raise bad_archive(self._path, "it is larger than any AppImage when unpacked")
        if size > shutil.disk_usage(work).free:
            hint = "free some, or set COREBOX_HOME to a directory on another disk"
            raise HostError("no-space", f"not enough space to unpack {self._path}", hint)

    def _run(self, command: list[str], work: Path, output: int = subprocess.DEVNULL) -> None:
        try:
            done = subprocess.run(
                command,
                cwd=work,
                env={"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.DEVNULL,
                timeout=_MAX_SECONDS,
                preexec_fn=_limit,  # sets limits, which is safe in the child
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise bad_archive(self._path, f"unsquashfs failed: {error}") from error
        if done.returncode not in (0, 2):  # 2: attributes of files could not be set, who is not root cannot
            raise bad_archive(self._path, "unsquashfs cannot read what follows its program")

    def _squashfs_at(self) -> int:
        """Where the squashfs begins: behind the program, which is small."""
        with self._path.open("rb") as file:
            start = file.read(_MAX_RUNTIME_SIZE)
        at = start.find(_SQUASHFS)
        while at >= 0:
            if len(start) >= at + _SUPERBLOCK.size:
                _, _, _, block_size, _, _, _, _, _, major, minor = _SUPERBLOCK.unpack_from(start, at)
                if (major, minor) == (4, 0) and 4096 <= block_size <= 1 << 20:
                    return at
            at = start.find(_SQUASHFS, at + 1)
        raise bad_archive(self._path, "no squashfs follows its program")


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (_MAX_SIZE, _MAX_SIZE))
    resource.setrlimit(resource.RLIMIT_AS, (_MAX_MEMORY, _MAX_MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
