"""Packages and repositories made by Python alone, and stand-ins for the programs that check signatures.

A stand-in says what the real one says of a good, a bad and an unknown signature; the real ones are in the integration
tests (``repositories``).
"""

import gzip
import hashlib
import io
import os
import struct
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path

Files = Mapping[str, bytes]

_GPGV = """#!{python} -IS
import hashlib, os, sys
words = sys.argv[1:]
names = [open(words[at + 1], "rb").read() for at, word in enumerate(words) if word == "--keyring"]
signed, content = (words[-1], None) if "--output" in words else (words[-2], words[-1])
head, _, text = open(signed, "rb").read().partition(b"\\n")
body = text if content is None else open(content, "rb").read()
key, _, digest = head.decode().partition(" ")
good = hashlib.sha256(body).hexdigest() == digest
mark = "NO_PUBKEY" if key.encode() not in names else "VALIDSIG" if good else "BADSIG"
os.write(int(words[words.index("--status-fd") + 1]), f"[GNUPG:] {{mark}} 0\\n".encode())
if content is None:
    sys.stdout.buffer.write(text)
sys.exit(mark != "VALIDSIG")
"""
_OPENSSL = """#!{python} -IS
import hashlib, sys
words = sys.argv[1:]
key, signature, signed = words[words.index("-verify") + 1], words[words.index("-signature") + 1], words[-1]
expected = open(key).read() + hashlib.sha256(open(signed, "rb").read()).hexdigest()
sys.exit(open(signature).read() != expected)
"""


def write_programs(folder: Path) -> str:
    """``gpgv`` and ``openssl``; the PATH on which they come first."""
    folder.mkdir(exist_ok=True)
    for name, text in (("gpgv", _GPGV), ("openssl", _OPENSSL)):
        (folder / name).write_text(text.format(python=sys.executable))
        (folder / name).chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


class StandInKey:
    """A key for the stand-ins; ``public`` is what its users have."""

    def __init__(self, folder: Path, name: str = "test") -> None:
        self._text = name
        self.public = folder / f"{name}.rsa.pub"
        self.keyring = folder / f"{name}.gpg"
        for path in (self.public, self.keyring):
            path.write_text(name)

    def sign(self, text: bytes) -> bytes:
        """The text with its signature, as an InRelease file."""
        return self.detached(text) + text

    def detached(self, data: bytes) -> bytes:
        """A signature of the data alone."""
        return f"{self._text} {hashlib.sha256(data).hexdigest()}\n".encode()

    def sign_apk(self, data: bytes) -> bytes:
        """A gzip member with the signature of the data."""
        signature = (self._text + hashlib.sha256(data).hexdigest()).encode()
        return gzip.compress(tar({f".SIGN.RSA.{self.public.name}": signature}, end=False))


def tar(files: Files, end: bool = True) -> bytes:
    """An archive; without its end as the parts of an apk package are."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), 0o755
            archive.addfile(member, io.BytesIO(data))
        size = archive.offset
    return out.getvalue() if end else out.getvalue()[:size]


def deb(name: str, version: str, files: Files) -> bytes:
    """A Debian package (deb(5))."""
    control = f"Package: {name}\nVersion: {version}\nArchitecture: amd64\nMaintainer: nobody\nDescription: a test\n"
    members = {
        "debian-binary": b"2.0\n",
        "control.tar.gz": gzip.compress(tar({"./control": control.encode()})),
        "data.tar.gz": gzip.compress(tar({f".{path}": data for path, data in files.items()})),
    }
    out = b"!<arch>\n"
    for member, data in members.items():
        head = f"{member:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode()
        out += head + data + b"\n" * (len(data) % 2)
    return out


def rpm(name: str, files: Files) -> bytes:
    """An rpm package, as far as libarchive looks: its lead, two empty headers, and a cpio archive."""
    lead = b"\xed\xab\xee\xdb\x03\x00" + bytes(4) + name.encode().ljust(66, b"\0") + bytes(20)
    header = b"\x8e\xad\xe8\x01" + bytes(4) + struct.pack(">II", 0, 0)
    return lead + header + header + gzip.compress(_cpio(files))


def _cpio(files: Files) -> bytes:
    out = b""
    for number, (name, data) in enumerate([*((f".{path}", each) for path, each in files.items()), ("TRAILER!!!", b"")]):
        mode = 0o100755 if data else 0
        fields = (number + 1, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
        out += b"070701" + b"".join(f"{each:08x}".encode() for each in fields) + name.encode() + b"\0"
        out += bytes(-len(out) % 4) + data
        out += bytes(-len(out) % 4)
    return out


def publish_rpm_md(folder: Path, packages: Mapping[str, Files], algorithm: str = "sha256") -> None:
    """A repository with these packages, whose lists are as createrepo_c writes them."""
    (folder / "repodata").mkdir(parents=True, exist_ok=True)
    primary, filelists = "", ""
    for name, files in packages.items():
        data = rpm(name, files)
        (folder / f"{name}.rpm").write_bytes(data)
        digest = hashlib.new(algorithm, data).hexdigest()
        primary += (
            f'<package type="rpm"><name>{name}</name><arch>x86_64</arch><version epoch="2" ver="1.0" rel="1"/>'
            f'<checksum type="{algorithm}" pkgid="YES">{digest}</checksum><location href="{name}.rpm"/></package>'
        )
        listed = "".join(f"<file>{path}</file>" for path in files)
        filelists += f'<package pkgid="{digest}" name="{name}" arch="x86_64">{listed}</package>'
    rows = ""
    for kind, inner in (("primary", primary), ("filelists", filelists)):
        data = gzip.compress(f"<metadata>{inner}</metadata>".encode())
        (folder / f"repodata/{kind}.xml.gz").write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        place = f'<checksum type="sha256">{digest}</checksum><location href="repodata/{kind}.xml.gz"/>'
        rows += f'<data type="{kind}">{place}</data>'
    (folder / "repodata/repomd.xml").write_text(f"<repomd>{rows}</repomd>")
