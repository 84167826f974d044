"""A make-believe root that fits the real core ``dynamic``: modules with its build IDs, at their own paths."""

import os
import struct
from pathlib import Path

from tests.support.elfwriter import Format, module

EXECUTABLE = "/opt/corebox-cores/dynamic"
LIBC = "/usr/lib/x86_64-linux-gnu/libc.so.6"
LINKER = "/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"
BUILD_IDS = {
    EXECUTABLE: "c0de01",
    LIBC: "93ac61ec5a8eb1396f9fbd350e3169a558528a40",
    LINKER: "7ebc65e52f2bbea498b4040fa92f7238377aaba9",
}
OTHER_ID = "11" * 20


def put_elf(root: Path, path: str, build_id: str | None, form: Format | None = None) -> None:
    """An ELF file with this build ID."""
    put(root, path, module(form or Format(), bytes.fromhex(build_id) if build_id is not None else None))


def put(root: Path, path: str, data: bytes) -> None:
    """A file."""
    place = Path(str(root) + path)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)
    place.write_bytes(data)
    os.utime(place, (1700000000, 1700000000))


def link(root: Path, path: str, target: str) -> None:
    """A symbolic link."""
    place = Path(str(root) + path)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)
    place.symlink_to(target)


def make_site(root: Path) -> Path:
    """A Debian with a merged /usr, as far as the core needs it."""
    for path, build_id in BUILD_IDS.items():
        put_elf(root, path, build_id)
    link(root, "/lib", "usr/lib")
    link(root, "/lib64", "usr/lib64")
    link(root, "/usr/lib64/ld-linux-x86-64.so.2", LINKER)
    put_elf(root, "/usr/lib/x86_64-linux-gnu/libthread_db.so.1", "db")
    put(root, "/usr/lib/os-release", b'NAME=Debian\nID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian 12 (bookworm)"\n')
    link(root, "/etc/os-release", "../usr/lib/os-release")
    return root


def elf_with_sections(build_id: str | None, sections: dict[str, bytes]) -> bytes:
    """An ELF file with named sections, as ``objcopy`` adds them."""
    names = b"\0" + b"".join(name.encode() + b"\0" for name in sections) + b".shstrtab\0"
    body = bytearray(module(Format(), bytes.fromhex(build_id) if build_id is not None else None))
    rows = [bytes(64)]
    for name, data in [*sections.items(), (".shstrtab", names)]:
        at = names.index(b"\0" + name.encode() + b"\0") + 1
        kind = 3 if name == ".shstrtab" else 7 if name.startswith(".note") else 1
        rows.append(struct.pack("<IIQQQQIIQQ", at, kind, 0, 0, len(body), len(data), 0, 0, 4, 0))
        body += data + bytes(-len(data) % 8)
    body[40:48] = len(body).to_bytes(8, "little")
    body[60:64] = struct.pack("<HH", len(rows), len(rows) - 1)
    return bytes(body) + b"".join(rows)
