"""Repositories of apk, Alpine's package manager: one signed index, which knows libraries and commands, not files.

The index is two gzip members, each with a tar: the signature, and what it signs (apk-package(5), apk-repositories(5)).
"""

import base64
import binascii
import hashlib
import shutil
import subprocess
import tarfile
import tempfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from posixpath import basename
from typing import NamedTuple
from urllib.parse import quote

from corebox.errors import HostError, InputError
from corebox.files.boundedtar import BoundedTar
from corebox.locate.repositories.decompress import bad_repository
from corebox.locate.repositories.download import Downloads
from corebox.locate.repositories.packages import Found, PackageFile, Query
from corebox.locate.repositories.signature import bad_signature, keyrings

INDEX = "APKINDEX.tar.gz"
_MAX_SIZE, _MAX_TEXT_SIZE, _MAX_CONTROL_SIZE, _MAX_UNPACKED_SIZE = 64 << 20, 256 << 20, 1 << 20, 16 << 30
_MAX_MEMBERS = 16
_BLOCK = 1 << 18
_KEYS = Path("/etc/apk/keys")
_SIGNATURES = {".SIGN.RSA.": "sha1", ".SIGN.RSA256.": "sha256"}
_MACHINES = {"i386": ("x86",), "i686": ("x86",), "arm": ("armv7", "armhf"), "ppc64": ("ppc64le",)}


class ApkRepository:
    """One repository for one architecture.

    Args:
        name: what the user calls it.
        url: the folder that has the index.
        downloads: fetches it.
    """

    def __init__(self, name: str, url: str, downloads: Downloads) -> None:
        self.name = name
        self._url = url
        self._downloads = downloads
        self._listed: list[Mapping[str, str]] | None = None

    def is_there(self) -> bool:
        """Whether the server has such a repository there."""
        return self._opened() is not None

    def packages(self, query: Query) -> Sequence[Found]:
        """See ``Repository``.

        Raises:
            InputError: ``bad-repository``, ``bad-signature``.
            HostError: ``repository-unreachable``, ``no-openssl``.
        """
        provided = {f"{kind}:{basename(path)}": path for path in query.paths for kind in ("so", "cmd")}
        machines = _MACHINES.get(query.machine, (query.machine,))
        found = []
        for fields in self._opened() or ():
            if fields.get("A") not in (*machines, "noarch"):
                continue
            names = {each.partition("=")[0] for each in fields.get("p", "").split()}
            has = frozenset(path for name, path in provided.items() if name in names)
            has |= frozenset(path for path in query.paths if basename(path) in names)
            if has or fields.get("P") in query.names:
                found.append(Found(self._package(fields), has or None))
        return found

    def _package(self, fields: Mapping[str, str]) -> PackageFile:
        name, version = fields.get("P", ""), fields.get("V", "")
        url = f"{self._url}/{quote(f'{name}-{version}.apk', safe='+~')}"
        return PackageFile(name, version, url, None, fields.get("C", ""), is_package)

    def _opened(self) -> "list[Mapping[str, str]] | None":
        if self._listed is None:
            path = self._downloads.latest(f"{self._url}/{INDEX}", _MAX_SIZE)
            if path is None:
                return None
            self._listed = list(_parse(_index_text(path)))
        return self._listed


class _Member(NamedTuple):
    """A gzip member: where it ends in the file, digests of its own bytes, and the beginning of what it holds."""

    end: int
    sha1: bytes
    sha256: str
    content: bytes


def _members(path: Path, kept: int) -> Iterator[_Member]:
    """The gzip members of a file, one after the other; ``kept`` bytes of what each holds are told.

    Raises:
        InputError: ``bad-repository``.
    """
    with path.open("rb") as file:
        end, rest, left = 0, b"", _MAX_UNPACKED_SIZE
        while rest or (rest := file.read(_BLOCK)):
            decompressor = zlib.decompressobj(wbits=31)
            sha1, sha256 = hashlib.sha1(usedforsecurity=False), hashlib.sha256()
            content = bytearray()
            while not decompressor.eof:
                data = rest or file.read(_BLOCK)
                try:
                    piece = decompressor.decompress(data, _BLOCK)
                except zlib.error as error:
                    raise bad_repository(f"it cannot be decompressed: {error}") from error
                left -= len(piece)
                if left < 0 or not (data or piece):
                    raise bad_repository("it ends early, or is too large when decompressed")
                rest = decompressor.unconsumed_tail or decompressor.unused_data
                own = data[: len(data) - len(rest)]
                sha1.update(own)
                sha256.update(own)
                end += len(own)
                content += piece[: kept - len(content)]
            yield _Member(end, sha1.digest(), sha256.hexdigest(), bytes(content))


def _index_text(path: Path) -> bytes:
    """The index, after its signature was checked."""
    members = list(_members(path, _MAX_TEXT_SIZE))[:_MAX_MEMBERS]
    signed = path.read_bytes()[members[0].end :] if members else b""
    for name, signature in _files(members[0].content if members else b""):
        for prefix, algorithm in _SIGNATURES.items():
            if name.startswith(prefix):
                _verify(signed, signature, name.removeprefix(prefix), algorithm)
                for inner, text in _files(b"".join(member.content for member in members[1:])):
                    if inner == "APKINDEX":
                        return text
                raise bad_repository(f"there is no index in {INDEX}")
    raise bad_signature(INDEX, "it is not signed")


def _files(data: bytes) -> Iterator[tuple[str, bytes]]:
    """The small files in a tar, which need not have an end (the parts of a package are without one)."""
    with tempfile.TemporaryFile() as file:
        file.write(data + bytes(1024))
        file.seek(0)
        try:
            with BoundedTar.open(fileobj=file, mode="r:") as archive:
                for member in archive:
                    content = archive.extractfile(member) if member.isreg() else None
                    if content is not None:
                        yield member.name, content.read(_MAX_TEXT_SIZE)
        except (tarfile.TarError, EOFError, ValueError) as error:
            raise bad_repository(f"a tar in it is damaged: {error}") from error


def _verify(signed: bytes, signature: bytes, name: str, algorithm: str) -> None:
    """RSA by openssl, with the key of that name."""
    program = shutil.which("openssl")
    if program is None:
        raise HostError("no-openssl", "openssl, which checks signatures, is not installed", "apt-get install openssl")
    files = [_KEYS / name, *(ring for ring in keyrings() if ring.suffix == ".pub")]
    key = next((path for path in files if path.name == name and path.is_file() and "/" not in name), None)
    if key is None:
        raise bad_signature(INDEX, f"it is signed by a key that is not known here, {name!r:.100}")
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, each) for each in ("signature", "signed")]
        for path, data in zip(paths, (signature, signed), strict=True):
            path.write_bytes(data)
        words = [program, "dgst", f"-{algorithm}", "-verify", str(key), "-signature", str(paths[0]), str(paths[1])]
        if subprocess.run(words, capture_output=True, check=False, timeout=60).returncode:
            raise bad_signature(INDEX, "its signature is not right")


def _parse(text: bytes) -> Iterator[Mapping[str, str]]:
    for stanza in text.decode("utf-8", "replace").split("\n\n"):
        lines = (line.partition(":") for line in stanza.split("\n") if line[1:2] == ":")
        fields = {name: value for name, _, value in lines}
        if fields:
            yield fields


def is_package(path: Path, proof: str) -> bool:
    """Whether the file is the package of the checksum ``proof``: of its control part, which has one of its data."""
    try:
        wanted = base64.b64decode(proof.removeprefix("Q1")) if proof.startswith("Q1") else b""
        parts = list(_members(path, _MAX_CONTROL_SIZE))
        control = parts[-2] if len(parts) > 1 else None
        if not wanted or control is None or control.sha1 != wanted:
            return False
        info = dict(_files(control.content)).get(".PKGINFO", b"").decode("utf-8", "replace")
    except (InputError, binascii.Error):
        return False
    lines = (line.partition(" = ") for line in info.splitlines())
    said = next((value for name, _, value in lines if name == "datahash"), None)
    return said == parts[-1].sha256
