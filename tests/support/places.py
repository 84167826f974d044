"""Places of every kind that hold the files of a release, made with the real tools."""

import contextlib
import io
import secrets
import shutil
import struct
import subprocess
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from tests.support.registry import Registry, running

NAME, VERSION = "app", "4.2"
#: One of each kind; ``make`` knows how.
KINDS = ("folder", "releases", "deb", "rpm", "apk", "tar", "tar.gz", "tar.xz", "tar.zst", "zip", "wheel", "appimage")
IMAGES = ("docker-archive", "oci", "docker-daemon", "docker")

_CONTROL = (
    f"Package: {NAME}\nVersion: {VERSION}\nArchitecture: all\nMaintainer: none <none@example.com>\nDescription: x\n"
)
_SPEC = """
Name: {name}
Version: {version}
Release: 1
Summary: what rpmbuild asks for
License: none
AutoReqProv: no
%define debug_package %{{nil}}
%define __os_install_post %{{nil}}
%define _build_id_links none
%description
What rpmbuild asks for.
%install
mkdir -p %{{buildroot}}
cp -a {tree}/. %{{buildroot}}
%files
{files}
"""


def make(kind: str, tree: Path, work: Path) -> str:
    """A place of this kind with the files of ``tree``, a file system's root, as one names it."""
    work.mkdir()
    if kind == "folder":
        return str(shutil.copytree(tree, work / "folder", symlinks=True))
    if kind == "releases":
        return str(_releases(tree, work))
    if kind.startswith("tar"):
        out = work / f"release.{kind}"
        subprocess.run(["tar", "--auto-compress", "-cf", out, "-C", tree, "."], check=True)
        return str(out)
    return str(
        {"deb": _deb, "rpm": _rpm, "apk": _apk, "zip": _zip, "wheel": _wheel, "appimage": _appimage}[kind](tree, work)
    )


def _releases(tree: Path, work: Path) -> Path:
    """A folder with a package, one of another release, and one whose download broke off."""
    folder = work / "releases"
    (folder / "4.1").mkdir(parents=True)
    (folder / "4.2").mkdir()
    older = work / "older"
    (older / "usr/bin").mkdir(parents=True)
    shutil.copy("/bin/true", older / "usr/bin")
    shutil.move(_apk(older, work), folder / "4.1/app.apk")
    package = shutil.move(_deb(tree, work), folder / "4.2/app.deb")
    (folder / "4.2/cut.deb").write_bytes(Path(package).read_bytes()[:1000])
    return folder


def _deb(tree: Path, work: Path) -> Path:
    root = shutil.copytree(tree, work / "root", symlinks=True)
    (root / "DEBIAN").mkdir()
    (root / "DEBIAN/control").write_text(_CONTROL)
    script = root / "DEBIAN/postinst"
    script.write_text(f"#!/bin/sh\ntouch {work}/was-run\n")
    script.chmod(0o755)
    out = work / "app.deb"
    subprocess.run(["dpkg-deb", "-b", root, out], check=True, capture_output=True)
    return out


def _rpm(tree: Path, work: Path) -> Path:
    spec = work / "app.spec"
    files = "\n".join(
        f"/{path.relative_to(tree)}" for path in sorted(tree.rglob("*")) if not path.is_dir() or path.is_symlink()
    )
    spec.write_text(_SPEC.format(name=NAME, version=VERSION, tree=tree, files=files))
    words = ["rpmbuild", "-bb", "--quiet", "--define", f"_topdir {work}/rpm", str(spec)]
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (package,) = (work / "rpm").rglob("*.rpm")
    return package


def _apk(tree: Path, work: Path) -> Path:
    """Two gzip members: a tar without an end that has .PKGINFO, and one with the files (apk-package(5))."""
    control, data = io.BytesIO(), io.BytesIO()
    with tarfile.open(fileobj=control, mode="w") as archive:
        text = f"pkgname = {NAME}\npkgver = {VERSION}\n".encode()
        member = tarfile.TarInfo(".PKGINFO")
        member.size = len(text)
        archive.addfile(member, io.BytesIO(text))
        end = archive.offset
    with tarfile.open(fileobj=data, mode="w") as archive:
        archive.add(tree, ".")
    out = work / "app.apk"
    parts = [control.getvalue()[:end], data.getvalue()]
    packed = [subprocess.run(["gzip", "-c"], input=part, stdout=subprocess.PIPE, check=True).stdout for part in parts]
    out.write_bytes(b"".join(packed))
    return out


def _zip(tree: Path, work: Path, name: str = "app.zip") -> Path:
    out = work / name
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(tree.rglob("*")):
            if path.is_file() and not path.is_symlink():
                archive.write(path, path.relative_to(tree))
    return out


def _wheel(tree: Path, work: Path) -> Path:
    return _zip(tree, work, f"{NAME}-{VERSION}-py3-none-any.whl")


def _appimage(tree: Path, work: Path) -> Path:
    """A program with the mark of an AppImage of type 2, and a squashfs behind it."""
    out, packed = work / "app.AppImage", work / "packed"
    subprocess.run(["mksquashfs", tree, packed, "-quiet", "-no-progress"], check=True, stdout=subprocess.DEVNULL)
    program = bytearray(Path("/bin/true").read_bytes())
    program[8:11] = b"AI\x02"
    out.write_bytes(bytes(program) + packed.read_bytes())
    out.chmod(0o755)
    return out


@contextlib.contextmanager
def image(kind: str, tree: Path, work: Path) -> Iterator[str]:
    """A container image with the files of ``tree``, by skopeo's names; the engine must run."""
    work.mkdir()
    tag = f"corebox-places-{secrets.token_hex(4)}:1"
    with subprocess.Popen(["tar", "-c", "-C", tree, "."], stdout=subprocess.PIPE) as tar:
        subprocess.run(["docker", "import", "-", tag], stdin=tar.stdout, check=True, capture_output=True)
    try:
        saved = work / "saved.tar"
        subprocess.run(["docker", "save", tag, "-o", saved], check=True)
        if kind == "docker-daemon":
            yield f"docker-daemon:{tag}"
        elif kind == "docker-archive":
            yield f"docker-archive:{saved}"
        elif kind == "oci":
            subprocess.run(["skopeo", "copy", "-q", f"docker-archive:{saved}", f"oci:{work}/oci:app"], check=True)
            yield f"oci:{work}/oci"
        else:
            with running(Registry(work / "registry")) as registry:
                name = f"docker://{registry.host}/team/app:{VERSION}"
                words = ["skopeo", "copy", "-q", "--dest-tls-verify=false", f"docker-archive:{saved}", name]
                subprocess.run(words, check=True)
                yield name
    finally:
        subprocess.run(["docker", "rmi", "-f", tag], check=False, capture_output=True)


def squashfs_bomb(work: Path, size: int) -> Path:
    """An AppImage whose file of ``size`` bytes of zeros is next to nothing when packed."""
    tree = work / "bomb"
    tree.mkdir()
    with (tree / "zeros").open("wb") as file:
        file.truncate(size)
    return _appimage(tree, work)


def elf_header_of(path: Path) -> tuple[int, int]:
    """Offset and number of the section headers, for those who write into the file."""
    data = path.read_bytes()[:64]
    return struct.unpack_from("<Q", data, 40)[0], struct.unpack_from("<H", data, 60)[0]
