"""Bundles as an attacker would make them: a good small one with one thing wrong, each of a kind of its own."""

import gzip
import json
import struct
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from corebox.bundle.tarformat import Member, format_member
from tests.unit.bundle import samples
from tests.unit.bundle.samples import Part, parts, sums_of, write_raw

Change = Callable[[list[Part]], list[Part]]
Make = Callable[[Path], Path]


def insert(position: int, member: Member, data: bytes = b"") -> Change:
    """A member more."""
    return lambda members: [*members[:position], Part(member, data), *members[position:]]


def replace_member(position: int, **changes: object) -> Change:
    """A member whose header says something else."""
    return lambda members: [
        part._replace(member=part.member._replace(**changes)) if at == position else part  # type: ignore[arg-type]
        for at, part in enumerate(members)
    ]


#: Members that the manifest does not announce, or not so.
MEMBERS: dict[str, Change] = {
    "a member more": insert(3, Member(b"rootfs/extra", b"0", 3, 0o644, 0), b"abc"),
    "a member twice": lambda members: [*members[:4], members[3], *members[4:]],
    "an absolute member": insert(5, Member(b"/etc/cron.d/x", b"0", 3, 0o644, 0), b"abc"),
    "a member outside": insert(5, Member(b"../x", b"0", 3, 0o644, 0), b"abc"),
    "a device": insert(5, Member(b"rootfs/dev", b"3", 0, 0o644, 0)),
    "a block device": insert(5, Member(b"rootfs/sda", b"4", 0, 0o644, 0)),
    "a FIFO": insert(5, Member(b"rootfs/fifo", b"6", 0, 0o644, 0)),
    "a hard link": insert(5, Member(b"rootfs/hard", b"1", 0, 0o644, 0, b"/etc/passwd")),
    "a hard link outside": insert(5, Member(b"rootfs/hard", b"1", 0, 0o644, 0, b"../../../etc/passwd")),
    "a directory": insert(1, Member(b"rootfs/", b"5", 0, 0o755, 0)),
    "a link out, and a file through it": lambda members: [
        *members[:3],
        Part(Member(b"rootfs/out", b"2", 0, 0o777, 0, b"/tmp"), b""),
        Part(Member(b"rootfs/out/x", b"0", 3, 0o644, 0), b"abc"),
        *members[3:],
    ],
    "a member of an unknown kind": insert(5, Member(b"rootfs/x", b"V", 0, 0o644, 0)),
    "a global pax header": insert(5, Member(b"pax", b"g", 0, 0o644, 0)),
    "a file over the toolbox": insert(5, Member(b"rootfs/.corebox/toolbox/bin/gdb", b"0", 3, 0o755, 0), b"abc"),
    "a missing file": lambda members: members[:3] + members[4:],
    "other order": lambda members: [members[0], members[2], members[1], *members[3:]],
    "set-id bit": replace_member(3, mode=0o4755),
    "other mode": replace_member(3, mode=0o777),
    "other time": replace_member(3, mtime=5),
    "other target": replace_member(1, target=b"/etc"),
    "link instead of file": replace_member(3, kind=b"2", size=0, target=b"/etc/passwd"),
    "other name": replace_member(5, name=b"corf"),
    "core of other size": replace_member(5, size=77),
    "core of other time": replace_member(5, mtime=77),
    "no digests of the core": lambda members: members[:6] + members[7:],
    "digests of the core before it": lambda members: [*members[:5], members[6], members[5], *members[7:]],
    "digests of another core": lambda members: [
        *members[:6],
        members[6]._replace(data=members[6].data[::-1][1:] + b"\n"),
        *members[7:],
    ],
    "digests of more than the core": lambda members: [
        *members[:6],
        Part(members[6].member._replace(size=2 * len(members[6].data)), 2 * members[6].data),
        *members[7:],
    ],
    "digests of other mode": replace_member(6, mode=0o4755),
    "no layout of the core": lambda members: members[:7] + members[8:],
    "layout of the core before it": lambda members: [*members[:5], members[7], *members[5:7], *members[8:]],
    "layout of other mode": replace_member(7, mode=0o4755),
    "huge run.sh": lambda members: [*members[:8], Part(Member(b"run.sh", b"0", 1 << 20, 0o755, 0), bytes(1 << 20))],
    "manifest not first": lambda members: [members[0]._replace(member=Member(b"corebox.json", b"2", 0, 0o644, 0))],
    "no core": lambda members: members[:5] + members[6:],
}


def _changed(*path: str | int, value: Any) -> Callable[[Any], None]:
    """Set what ``path`` leads to in the manifest."""

    def change(document: Any) -> None:
        for step in path[:-1]:
            document = document[step]
        document[path[-1]] = value

    return change


def _file(path: str, **changes: Any) -> Callable[[Any], None]:
    """Let the manifest announce one more file."""

    def change(document: Any) -> None:
        entry = {"path": path, "role": "extra", "size": 3, "mode": "0644", "mtime": 0, **changes}
        document["files"] = sorted(
            [*document["files"], entry], key=lambda each: each["path"].encode("utf-8", "replace")
        )

    return change


def _link(path: str, target: str) -> Callable[[Any], None]:
    """Let the manifest announce one more link."""

    def change(document: Any) -> None:
        links = [*document["symlinks"], {"path": path, "target": target}]
        document["symlinks"] = sorted(links, key=lambda each: each["path"].encode())

    return change


#: Manifests that announce, and archives that hold, what must not be.
MANIFESTS: dict[str, Callable[[Any], None]] = {
    "a file outside": _file("/../../etc/cron.d/x"),
    "a file with .. in its path": _file("/opt/../etc/x"),
    "a relative file": _file("etc/x"),
    "a file with . in its path": _file("/opt/./x"),
    "a file with // in its path": _file("/opt//x"),
    "a file that is a directory": _file("/opt/x/"),
    "the root as a file": _file("/"),
    "a file over the toolbox": _file("/.corebox/toolbox/bin/gdb"),
    "a file over the gdbinit": _file("/.corebox/gdbinit"),
    "a link over the toolbox": _link("/.corebox", "opt"),
    "a file with NUL in its name": _file("/opt/a\0b"),
    "a file with a long name": _file("/opt/" + "x" * 300),
    "a file with a long path": _file("/opt" + "/x" * 3000),
    "a file in 500 folders": _file("/opt" + "/x" * 500),
    "a file beneath a link": _file("/lib/x.so"),
    "a file beneath a file": _file("/opt/app/bin/app/x"),
    "a file twice": _file("/opt/app/bin/app"),
    "a file and a link of one path": _file("/lib"),
    "a link to the outside": _link("/out", "../../../../etc"),
    "an absolute link": _link("/out", "/etc"),
    "a link to itself": _link("/loop", "loop"),
    "links in a circle": lambda document: (_link("/a", "b")(document), _link("/b", "a")(document))[0],
    "a link beneath a link": _link("/lib/out", "../../etc"),
    "an empty link": _link("/out", ""),
    "a set-user-ID file": _file("/opt/x", mode="4755"),
    "a mode that is none": _file("/opt/x", mode="rwxr-xr-x"),
    "a negative size": _file("/opt/x", size=-1),
    "a size of 2^63": _file("/opt/x", size=1 << 63),
    "a size that is text": _file("/opt/x", size="3"),
    "a size that is a fraction": _file("/opt/x", size=3.5),
    "a size that is true": _file("/opt/x", size=True),
    "a negative time": _file("/opt/x", mtime=-(1 << 62)),
    "an unknown role": _file("/opt/x", role="init"),
    "another major version": _changed("format", "major", value=3),
    "a version that is text": _changed("format", "major", value="1"),
    "no version": lambda document: document.pop("format") and None,
    "no modules": lambda document: document.pop("modules") and None,
    "modules that are text": _changed("modules", value="/lib/x.so"),
    "an unknown verdict": _changed("modules", 0, "verdict", value="trust me"),
    "a build ID that is no hex": _changed("modules", 0, "build_id", "memory", value="../../../etc/passwd"),
    "a module at a negative address": _changed("modules", 0, "start", value="-0x1000"),
    "a module at an address of 100 digits": _changed("modules", 0, "start", value="0x" + "f" * 100),
    "a negative core": _changed("core", "size", value=-1),
    "a core of 2^63 bytes": _changed("core", "size", value=1 << 63),
    "a signal that is a list": _changed("process", "signal", value=[11]),
    "a name that is an object": _changed("process", "name", value={"a": 1}),
    "an executable that is relative": _changed("process", "executable", value="../../bin/sh"),
    "200,001 files": lambda document: document.update(
        files=[{"path": f"/f{n:06}", "role": "extra", "size": 0, "mode": "0644", "mtime": 0} for n in range(200_001)]
    ),
    "10,001 links": lambda document: document.update(
        symlinks=[{"path": f"/l{n:05}", "target": "x"} for n in range(10_001)]
    ),
}

#: Manifests that are no JSON of ours at all.
TEXTS: dict[str, bytes] = {
    "no text": b"",
    "no JSON": b"{",
    "a list": b"[]",
    "a number": b"1",
    "deep arrays": b"[" * 1_000_000,
    "deep objects": b'{"a":' * 500_000,
    "a number of 100,000 digits": b'{"format": {"major": ' + b"1" * 100_000 + b"}}",
    "not a number": b'{"format": {"major": NaN, "minor": 0}}',
    "no UTF-8": b'{"format": "\xff\xfe"}',
    "UTF-16": '{"format": 1}'.encode("utf-16"),
    "something behind": samples.manifest().to_bytes() + b"{}",
}


def _of_members(change: Change) -> Make:
    def make(path: Path) -> Path:
        members = change(parts(samples.manifest()))
        return write_raw(path, [*members, sums_of(members)])

    return make


def _of_manifest(change: Callable[[Any], None]) -> Make:
    """The archive holds what its manifest announces, so that nothing else is wrong."""

    def make(path: Path) -> Path:
        document = json.loads(samples.manifest().to_bytes())
        change(document)
        text = (json.dumps(document, sort_keys=True, indent=1) + "\n").encode("ascii")
        good = parts(samples.manifest())
        members = [Part(Member(b"corebox.json", b"0", len(text), 0o644, 0), text), *_announced(document), *good[5:]]
        return write_raw(path, [*members, sums_of(members)])

    return make


def _announced(document: Any) -> Iterator[Part]:
    for link in document["symlinks"][:20]:
        name = b"rootfs" + link["path"].encode()
        yield Part(Member(name, b"2", 0, 0o777, 0, link["target"].encode()), b"")
    for entry in document["files"][:20]:
        data = samples.CONTENT.get(entry["path"], b"abc")
        mode = int(entry["mode"], 8) if entry["mode"].isdigit() else 0o644
        name = b"rootfs" + entry["path"].encode()
        yield Part(Member(name, b"0", len(data), mode, max(0, entry["mtime"])), data)


def _of_text(text: bytes) -> Make:
    return lambda path: write_raw(path, [Part(Member(b"corebox.json", b"0", len(text), 0o644, 0), text)])


def _gzip(pieces: Iterable[bytes]) -> list[bytes]:
    return [gzip.compress(b"".join(pieces), mtime=0)]


def _of_stream(pieces: Callable[[], Iterable[bytes]]) -> Make:
    def make(path: Path) -> Path:
        with path.open("wb") as out:
            for piece in pieces():
                out.write(piece)
        return path

    return make


def _head() -> bytes:
    return parts(samples.manifest())[0].raw()


def _raw(members: Iterable[Part]) -> bytes:
    return b"".join(part.raw() for part in members)


def _again(piece: bytes, times: int) -> Iterator[bytes]:
    """A gzip stream (RFC 1952, 2.2: members follow each other) that is made as fast as it is written."""
    yield from (gzip.compress(_head(), mtime=0), *[gzip.compress(piece, mtime=0)] * times)


def _zstd_frame(content: bytes) -> bytes:
    """A frame of run-length blocks (RFC 8878, 3.1.1.2): 4 bytes of it say 128 KiB of one byte."""
    block = (128 << 10) << 3 | 1 << 1
    return content + struct.pack("<I", block)[:3] + b"\0"


def _zstd_bomb() -> Iterator[bytes]:
    header = struct.pack("<I", 0xFD2FB528) + b"\x00\x88"  # no content size, a window of 128 MiB
    yield header
    for _ in range(80_000):  # ten gigabytes
        yield _zstd_frame(b"")
    yield b"\x01\x00\x00"


def _pax_of(size: int) -> bytes:
    return format_member(Member(b"PaxHeaders/member", b"x", size, 0o644, 0))


#: Streams that are no archive, or none that ends.
STREAMS: dict[str, Callable[[], Iterable[bytes]]] = {
    "nothing": lambda: [b""],
    "four bytes": lambda: [b"\x28\xb5\x2f\xfd"],
    "gzip's magic and noise": lambda: [b"\x1f\x8b" + bytes(range(256)) * 8],
    "zstd's magic and noise": lambda: [b"\x28\xb5\x2f\xfd" + bytes(range(256)) * 8],
    "a zstd window of 2 TiB": lambda: [b"\x28\xb5\x2f\xfd\x00\xff" + bytes(64)],
    "a manifest without end": lambda: _gzip([format_member(Member(b"corebox.json", b"0", 1 << 32, 0o644, 0))]),
    "ten gigabytes of zeros, gzip": lambda: _again(bytes(1 << 20), 10_000),
    "ten gigabytes of zeros, zstd": _zstd_bomb,
    "ten million members": lambda: _again(format_member(Member(b"rootfs/x", b"0", 0, 0o644, 0)) * 10_000, 1_000),
    "a pax header of 8 GiB": lambda: _gzip([_head(), _pax_of((8 << 30) - 1), bytes(1 << 20)]),
    "a pax header of 17 KiB": lambda: _gzip([_head(), _pax_of(17 << 10), bytes(32 << 10)]),
    "pax headers of pax headers": lambda: _gzip([_head(), *[_pax_of(512) + bytes(512)] * 10_000]),
    "a pax record of length 0": lambda: _gzip([_head(), _pax_of(9), b"0 path=x\n".ljust(512, b"\0"), bytes(512)]),
    "cut after the manifest": lambda: _gzip([_head()]),
    "something behind the end": lambda: _gzip(
        [_raw([*parts(samples.manifest()), sums_of(parts(samples.manifest()))]), bytes(1024), b"x" * 512]
    ),
}


def _digests(change: Callable[[bytes], bytes]) -> Make:
    def make(path: Path) -> Path:
        members = parts(samples.manifest())
        sums = sums_of(members)
        data = change(sums.data)
        return write_raw(path, [*members, Part(sums.member._replace(size=len(data)), data)])

    return make


#: Lists of digests that do not fit.
DIGESTS: dict[str, Callable[[bytes], bytes]] = {
    "all zeros": lambda data: b"\n".join(b"0" * 64 + line[64:] for line in data.split(b"\n") if line) + b"\n",
    "none": lambda _: b"",
    "a line less": lambda data: data.split(b"\n", 1)[1],
    "a line more": lambda data: data + b"0" * 64 + b"  rootfs/x\n",
    "in upper case": bytes.upper,
}

#: All kinds, by name.
CORPUS: dict[str, Make] = {
    **{f"members: {name}": _of_members(change) for name, change in MEMBERS.items()},
    **{f"manifest: {name}": _of_manifest(change) for name, change in MANIFESTS.items()},
    **{f"manifest's text: {name}": _of_text(text) for name, text in TEXTS.items()},
    **{f"digests: {name}": _digests(change) for name, change in DIGESTS.items()},
    **{f"stream: {name}": _of_stream(pieces) for name, pieces in STREAMS.items()},
}

#: What is wrong with these is where the files would be in an image; as bundles they are right.
ONLY_IN_IMAGES = {
    "manifest: a file over the toolbox",
    "manifest: a file over the gdbinit",
    "manifest: a link over the toolbox",
}

#: What is strange but does no harm, and is taken: the names are shown escaped.
HARMLESS: dict[str, Make] = {
    "untouched": _of_manifest(lambda _: None),
    "names that differ in case": _of_manifest(_file("/opt/APP/bin/app")),
    "names that differ in their Unicode form": _of_manifest(
        lambda document: (_file("/opt/e\u0301")(document), _file("/opt/\u00e9")(document))[0]
    ),
    "the toolbox's folder in capitals": _of_manifest(_file("/.COREBOX/gdbinit")),
    "a name with an escape sequence": _of_manifest(_file("/opt/\x1b[2J\x1b]0;owned\x07")),
    "a name with lines": _of_manifest(_file("/opt/a\nresult:    exact\n")),
    "a name that turns the text": _of_manifest(_file("/opt/\u202egnp.exe")),
    "a process with an escape sequence": _of_manifest(_changed("process", "name", value="\x1b]52;c;b3duZWQ=\x07")),
    "arguments of markup": _of_manifest(_changed("process", "arguments", value="<script>alert(1)</script>")),
    "a system that turns the text": _of_manifest(
        _changed("site", "os_release", "PRETTY_NAME", value="\u202eDebian\x1b[31m")
    ),
    "why something is missing, with lines": _of_manifest(_changed("missing", 0, "why", value="x\n\x1b[2Jerror: y")),
    "a detail with an escape sequence": _of_manifest(_changed("modules", 0, "detail", value="\x1b[8mhidden")),
}
