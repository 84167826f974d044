"""A crash in other forms and from other places: exported for other debuggers, out of engines and archives."""

import gzip
import struct
import zipfile
from pathlib import Path

import pytest

from corebox.coredump.core import open_core
from corebox.unbundle.read import read_manifest
from tests.support.packages import tar
from tests.support.vendor import Vendor
from tests.unit.gather.sites import EXECUTABLE, LIBC, LINKER, OTHER_ID, put_elf

pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


@pytest.fixture
def image(desk: Vendor) -> str:
    """The crash, built."""
    desk.good("build", "--no-load", "-t", "app:1", desk.bundle)
    return "app:1"


def test_other_debuggers_get_files_of_their_own(desk: Vendor, image: str, tmp_path: Path) -> None:
    dump, root, packed = tmp_path / "x.dmp", tmp_path / "root", tmp_path / "x.zip"
    desk.good("export", image, "--minidump", dump, "--sysroot", root, "--zip", packed)
    signature, _, streams = struct.unpack("<III", dump.read_bytes()[:12])
    assert (signature, streams > 3) == (int.from_bytes(b"MDMP", "little"), True)
    assert dump.stat().st_mode & 0o777 == 0o600
    site = Path(f"{desk.site}{EXECUTABLE}").read_bytes()
    assert Path(f"{root}{EXECUTABLE}").read_bytes() == site
    with zipfile.ZipFile(packed) as archive:
        found = [archive.read(name) for name in archive.namelist()]
    assert site in found
    (core,) = (data for data in found if data[16:18] == b"\4\0")  # ET_CORE
    (tmp_path / "core").write_bytes(core)
    with open_core(str(tmp_path / "core")) as zipped, open_core(str(desk.core)) as original:
        assert (zipped.process, zipped.modules) == (original.process, original.modules)
    desk.fails("export", image, "--sysroot", root, status=4, says="root")


def test_an_engine_gives_its_image_once(desk: Vendor, image: str, tmp_path: Path) -> None:
    archive = tmp_path / "x.tar"
    desk.good("export", image, "--oci-archive", archive)
    identity = desk.good("build", "--no-load", "--json", desk.bundle).document["image_id"]
    desk.stub.images[identity] = {"Id": identity, "RootFS": {"Layers": []}, "RepoTags": ["theirs:1"]}
    desk.stub.names["theirs:1"] = identity
    desk.stub.saved[identity] = archive.read_bytes()
    desk.good("pull", "docker-daemon:theirs:1")
    assert "theirs:1" in desk.good("images").output
    assert not [path for _, path in desk.stub.asked if path.endswith("/get")], "the store had it"
    desk.good("rm", "theirs:1", image)
    desk.good("pull", "docker-daemon:theirs:1")
    assert [path for _, path in desk.stub.asked if path.endswith("/get")]
    assert "dynamic" in desk.good("info", "theirs:1").output
    desk.fails("pull", "docker-daemon:none:1", status=3, says="none:1")


@pytest.mark.parametrize("compress", [gzip.compress, bytes])
def test_an_archive_may_be_compressed(desk: Vendor, image: str, tmp_path: Path, compress: type[bytes]) -> None:
    plain = tmp_path / "x.tar"
    desk.good("export", image, "--oci-archive", plain)
    (tmp_path / "y.tar").write_bytes(compress(plain.read_bytes()))
    desk.good("rm", image)
    assert desk.good("pull", f"oci-archive:{tmp_path}/y.tar").output
    (tmp_path / "y.tar").write_bytes(compress(b"no archive" * 1000))
    desk.fails("pull", f"oci-archive:{tmp_path}/y.tar", status=3, says="y.tar")


def test_a_core_and_an_archive_of_its_files_make_an_image(desk: Vendor, tmp_path: Path) -> None:
    """As a customer sends it who has read ``corebox request`` and has no gatherer."""
    files = {name[1:]: Path(f"{desk.site}{name}").read_bytes() for name in (EXECUTABLE, LIBC, LINKER)}
    (tmp_path / "files.tar.gz").write_bytes(gzip.compress(tar(files)))
    built = desk.good("build", "--no-load", "--json", "-t", "sent:1", desk.core, tmp_path / "files.tar.gz").document
    assert built["tags"][0] == "sent:1"
    desk.good("export", "sent:1", "--bundle", tmp_path / "x.corebox")
    assert {each.verdict for each in read_manifest(tmp_path / "x.corebox").modules} == {"verified"}


def test_symbols_of_another_build_are_refused_unless_forced(desk: Vendor, image: str, tmp_path: Path) -> None:
    put_elf(tmp_path, "/other", OTHER_ID)
    name = Path(EXECUTABLE).name
    put_elf(tmp_path, f"/{name}.debug", OTHER_ID)
    desk.fails("report", image, "--symbols", tmp_path / "other", status=3, says="which no module of the crash has")
    wrong = tmp_path / f"{name}.debug"
    desk.fails("report", image, "--symbols", wrong, status=3, says=f"but {EXECUTABLE} of the crash has c0de01")
    done = desk.good("report", image, "--symbols", wrong, "--force")
    assert done.output
    mounts = {each["Source"]: each["Target"] for each in desk.stub.created[-1]["HostConfig"]["Mounts"]}
    assert [target for source, target in mounts.items() if source.endswith(wrong.name)]
