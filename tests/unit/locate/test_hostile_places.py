"""Places are strangers: whatever is in them, it ends, nothing is written outside, and nothing in them is run."""

import contextlib
import gzip
import io
import struct
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from corebox.errors import CoreboxError, InputError
from corebox.locate import archives
from corebox.locate.appimage import AppImage, is_app_image
from corebox.locate.archives import Archive, canonical
from corebox.locate.bundles import BundleFiles
from corebox.locate.packages import Package, read_package
from corebox.locate.wanted import LIBRARY, Candidate, Wanted
from corebox.registry.layers import LayerFile, files_of
from corebox.store.store import Store
from tests.support.elfwriter import Format, module

LIBRARY_FILE = module(Format(), b"\x01" * 20)
WANTED = Wanted(("/usr/lib/libfoo.so",), LIBRARY, "01" * 20, "x86_64")
#: Names of members, each of which a careless reader would write somewhere else.
NAMES = (
    "../../outside",
    "/etc/../../outside",
    "a/../../../outside",
    "/outside",
    "x" * 5000,
    "d/" * 400 + "x",
    "a\nb",
    ".",
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "home")


def tar_of(members: list[tuple[str, bytes, bytes, str]]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, kind, content, target in members:
            member = tarfile.TarInfo(name)
            member.type, member.size, member.linkname = kind, len(content), target
            member.mode, member.mtime = 0o7777, 1 << 40
            archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


def hostile_tar() -> bytes:
    members = [("link", tarfile.SYMTYPE, b"", "/etc"), ("link/outside", tarfile.REGTYPE, LIBRARY_FILE, "")]
    members += [(name, tarfile.REGTYPE, LIBRARY_FILE, "") for name in NAMES]
    members += [("pipe", tarfile.FIFOTYPE, b"", ""), ("device", tarfile.CHRTYPE, b"", "")]
    members += [("hard", tarfile.LNKTYPE, b"", "/etc/passwd"), ("loop", tarfile.LNKTYPE, b"", "loop")]
    return tar_of(members)


def candidates(place: Archive | BundleFiles | AppImage) -> list[Candidate]:
    return list(place.candidates([WANTED]))


def test_names_of_members_lead_nowhere(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    path.write_bytes(hostile_tar())
    before = {each for each in tmp_path.rglob("*") if not each.is_relative_to(store.home)}
    found = candidates(Archive(path, store))
    assert found
    assert all(each.name.startswith("/") and ".." not in each.name.split("/") for each in found)
    assert {each for each in tmp_path.rglob("*") if not each.is_relative_to(store.home)} == before
    assert candidates(Archive(path, store)) != []  # by the list that was kept


def test_a_zip_has_names_and_sizes_that_lie(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in NAMES[:4]:
            archive.writestr(name, LIBRARY_FILE)
    assert all(canonical(each.name) == each.name for each in candidates(Archive(path, store)))
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02")
    data[at + 20 : at + 28] = struct.pack("<II", 0xFFFFFFF0, 0xFFFFFFF0)
    path.write_bytes(data)
    with contextlib.suppress(InputError):
        assert candidates(Archive(path, Store(tmp_path / "other"))) is not None


@pytest.mark.parametrize("cut", [1, 100, 300])
@pytest.mark.parametrize("suffix", [".deb", ".rpm", ".apk", ".tar.gz", ".zip", ".whl"])
def test_what_is_cut_or_nonsense_is_an_error_or_nothing(store: Store, tmp_path: Path, suffix: str, cut: int) -> None:
    begins = {".deb": b"!<arch>\n", ".rpm": b"\xed\xab\xee\xdb\x03\x00", ".zip": b"PK\x03\x04", ".whl": b"PK\x03\x04"}
    path = tmp_path / f"a-1-py3-none-any{suffix}"
    path.write_bytes(
        (begins.get(suffix) or gzip.compress(hostile_tar()))[:cut] + b"\xff" * (cut if suffix in begins else 0)
    )
    with contextlib.suppress(InputError):
        assert candidates(Archive(path, store)) == []


def test_a_bomb_ends(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "_MAX_SIZE", 1 << 20)
    path = tmp_path / "x.tar.gz"
    path.write_bytes(gzip.compress(tar_of([("zeros", tarfile.REGTYPE, bytes(4 << 20), "")])))
    with pytest.raises(InputError, match="larger than any package"):
        candidates(Archive(path, store))


def test_what_a_package_says_of_itself_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "x.deb"
    path.write_bytes(b"!<arch>\n")
    text = b"Package: " + b"a" * 1000000 + b"\nVersion: 1\nVersion: 2\n"
    assert read_package(path, lambda _: text) == Package(None, "2")
    path.write_bytes(b"\xed\xab\xee\xdb" + bytes(6) + b"\xff" * 86)
    assert read_package(path, lambda _: b"") is not None
    path.write_bytes(b"")
    assert read_package(path, lambda _: b"") is None


def layer(data: bytes, tmp_path: Path, *, elf_only: bool = True) -> list[LayerFile]:
    work = tmp_path / "work"
    work.mkdir(exist_ok=True)

    def blob() -> Iterator[bytes]:
        yield from (data[at : at + 1000] for at in range(0, len(data), 1000))

    return list(files_of(blob, "application/vnd.oci.image.layer.v1.tar", lambda _: True, work, elf_only=elf_only))


def test_a_layer_of_a_stranger(tmp_path: Path) -> None:
    before = set(tmp_path.iterdir())
    found = layer(hostile_tar(), tmp_path)
    assert all(each.name.startswith("/") and ".." not in each.name.split("/") for each in found)
    assert set(tmp_path.iterdir()) - before == {tmp_path / "work"}
    assert list((tmp_path / "work").iterdir()) == []


@pytest.mark.parametrize("data", [b"no tar" * 1000, hostile_tar()[:700], b"\xff" * 5000])
def test_a_layer_that_is_no_tar(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(InputError, match="a layer is not a tar"):
        layer(data, tmp_path)


def test_a_hard_link_in_a_layer_is_the_file_that_it_means(tmp_path: Path) -> None:
    data = tar_of(
        [("usr/lib/a.so", tarfile.REGTYPE, LIBRARY_FILE, ""), ("usr/lib/b.so", tarfile.LNKTYPE, b"", "usr/lib/a.so")]
    )
    work = tmp_path / "work"
    work.mkdir()
    wants = "/usr/lib/b.so".__eq__
    names = [each.name for each in files_of(lambda: iter([data]), "", wants, work, elf_only=True)]
    assert names == ["/usr/lib/b.so"]


@pytest.mark.parametrize(
    "behind", [b"", b"hsqs", b"hsqs" + b"\xff" * 200, b"hsqs" + bytes(8) + struct.pack("<I", 131072) + bytes(200)]
)
def test_what_is_no_app_image_inside(store: Store, tmp_path: Path, behind: bytes) -> None:
    """unsquashfs is needed for the last of these only."""
    path = tmp_path / "x.AppImage"
    path.write_bytes(b"\x7fELF\x02\x01\x01\x00AI\x02" + bytes(200) + behind)
    assert is_app_image(path)
    with pytest.raises(CoreboxError):
        candidates(AppImage(path, store))


def test_the_core_of_a_bundle_is_not_unpacked(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "x.corebox"
    members = [
        ("corebox.json", tarfile.REGTYPE, b"{}", ""),
        ("rootfs/usr/lib/libfoo.so", tarfile.REGTYPE, LIBRARY_FILE, ""),
        ("rootfs/../outside", tarfile.REGTYPE, LIBRARY_FILE, ""),
        ("core", tarfile.REGTYPE, LIBRARY_FILE, ""),
    ]
    path.write_bytes(gzip.compress(tar_of(members)))
    assert [each.name for each in candidates(BundleFiles(path, store))] == ["/usr/lib/libfoo.so"]
