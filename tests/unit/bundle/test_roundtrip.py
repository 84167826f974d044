"""What is written comes back: by our reader, by plain tar and sha256sum, with the same identity each time."""

import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from corebox.bundle.corelayer import CORE_OFFSET
from corebox.bundle.digests import identity_of
from corebox.bundle.write import Content, write_bundle
from corebox.errors import HostError, InputError
from corebox.files import zstd
from corebox.files.extents import Extent
from corebox.reduce.original import restore
from corebox.unbundle.parse import parse_manifest
from corebox.unbundle.read import BundleReader, is_bundle, read_manifest
from tests.unit.bundle import samples


@pytest.fixture(params=["zstd", "gzip"])
def compressor(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Write with the host's libzstd, or as on a host without."""
    if request.param == "gzip":
        monkeypatch.setattr(zstd, "load_library", lambda: None)
    return str(request.param)


def test_reader_gives_back_every_file_and_the_core(tmp_path: Path, compressor: str) -> None:
    written = samples.write_sample(tmp_path / "site", jobs=2)
    with BundleReader(written.path) as reader:
        assert reader.manifest == samples.manifest()
        unpacked = reader.unpack(tmp_path / "out", hash_layer=True)
    assert unpacked.identity == written.identity
    for path, data in samples.CONTENT.items():
        copy = Path(str(unpacked.root) + path)
        assert copy.read_bytes() == data
        assert (copy.stat().st_mode & 0o7777, int(copy.stat().st_mtime)) == (0o755, samples.MTIME)
    assert (unpacked.root / "lib").readlink() == Path("usr/lib")
    assert unpacked.core is not None
    assert unpacked.core_layout is not None
    assert unpacked.core.read_bytes() == samples.layer_of(samples.COMPACT)
    assert unpacked.core_layer == hashlib.sha256(unpacked.core.read_bytes()).hexdigest()
    assert unpacked.core_digests is not None
    assert unpacked.core_digests.read_text() == hashlib.sha256(samples.COMPACT).hexdigest() + "\n"
    restored = tmp_path / "restored"
    compact = Extent(CORE_OFFSET, len(samples.COMPACT))
    restore(str(unpacked.core), compact, unpacked.core_layout.read_bytes(), str(restored))
    assert restored.read_bytes() == samples.CORE + bytes(samples.CORE_SIZE - len(samples.CORE))
    assert restored.stat().st_blocks * 512 < 64 << 10


def test_a_file_of_a_year_that_tar_cannot_write_comes_back_as_of_the_last(tmp_path: Path) -> None:
    year_2400 = 13569465600
    entries = tuple(entry._replace(mtime=year_2400) for entry in samples.manifest().files)
    value = samples.manifest(files=entries)
    written = samples.write_sample(tmp_path / "site", value, mtime=year_2400)
    with BundleReader(written.path) as reader:
        assert reader.manifest == value
        copy = reader.unpack(tmp_path / "out").root / "opt/app/bin/app"
    assert int(copy.stat().st_mtime) == (8 << 30) - 1


def test_plain_tar_and_sha256sum_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With gzip, which is everywhere; with the program zstd in the integration tests."""
    monkeypatch.setattr(zstd, "load_library", lambda: None)
    written = samples.write_sample(tmp_path / "site")
    out = tmp_path / "out"
    out.mkdir()
    subprocess.run(["tar", "-z", "-xf", written.path, "-C", str(out)], check=True)
    checked = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=out, check=True, capture_output=True, text=True)
    assert checked.stdout.splitlines() == [
        "corebox.json: OK",
        "rootfs/opt/app/bin/app: OK",
        "rootfs/usr/lib/libx.so.1.2: OK",
        "core.digests: OK",
        "core.layout.json: OK",
        "run.sh: OK",
    ]
    assert (out / "core").read_bytes() == samples.COMPACT
    command = "split -b 1M --filter=sha256sum core | cut -c1-64 | cmp - core.digests"
    subprocess.run(["sh", "-c", command], cwd=out, check=True)
    assert parse_manifest((out / "corebox.json").read_bytes()) == samples.manifest()


def test_a_bundle_of_version_1_is_read_as_ever(tmp_path: Path) -> None:
    members = samples.parts(samples.manifest(format=samples.VERSION_1))
    sums = samples.sums_of(members)
    assert b"# layer-sha256 " in sums.data
    with BundleReader(samples.write_raw(tmp_path / "x", [*members, sums])) as reader:
        unpacked = reader.unpack(tmp_path / "out")
    assert unpacked.identity == identity_of(sums.data)
    assert unpacked.core is not None
    assert unpacked.core.read_bytes() == samples.layer_of(samples.COMPACT)
    assert (unpacked.core_digests, unpacked.core_layer) == (None, unpacked.digests["core"])


def test_identity_depends_on_neither_compressor_nor_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = samples.write_sample(tmp_path / "one", jobs=1)
    two = samples.write_sample(tmp_path / "two", jobs=4)
    monkeypatch.setattr(zstd, "load_library", lambda: None)
    three = samples.write_sample(tmp_path / "three", jobs=3)
    assert one.identity == two.identity == three.identity
    assert Path(three.path).read_bytes()[:2] == b"\x1f\x8b"


def test_bundle_is_private_and_replaces_the_old_one(tmp_path: Path) -> None:
    samples.write_sample(tmp_path)
    written = samples.write_sample(tmp_path)
    assert Path(written.path).stat().st_mode & 0o777 == 0o600
    assert Path(written.path).stat().st_size == written.size


@pytest.mark.parametrize("what", ["time", "size"])
def test_file_that_changed_is_refused_and_nothing_is_left(tmp_path: Path, what: str) -> None:
    entry = samples.manifest().files[0]
    changed = {"time": entry._replace(mtime=1), "size": entry._replace(size=3)}[what]
    with pytest.raises(InputError) as caught:
        samples.write_sample(tmp_path, samples.manifest(files=(changed, samples.manifest().files[1])))
    assert caught.value.code == "file-changed"
    assert not list(tmp_path.glob("*.corebox")) + list(tmp_path.glob(".corebox*"))


def test_unwritable_place_is_an_error_of_the_host(tmp_path: Path) -> None:
    with pytest.raises(HostError) as caught:
        write_bundle(str(tmp_path / "nowhere" / "x.corebox"), Content(samples.manifest(), {}, None))
    assert caught.value.code == "cannot-write"


def test_manifest_is_read_without_the_rest(tmp_path: Path) -> None:
    written = samples.write_sample(tmp_path)
    half = tmp_path / "half.corebox"
    half.write_bytes(Path(written.path).read_bytes()[:-20])
    assert is_bundle(written.path)
    assert read_manifest(written.path) == samples.manifest()


@pytest.mark.parametrize("data", [b"", b"\x28\xb5\x2f\xfd", b"\x1f\x8b\x08", b"\x7fELF" + bytes(600)], ids=repr)
def test_other_files_are_no_bundles(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    assert not is_bundle(path)
    with pytest.raises(InputError):
        read_manifest(path)


def test_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_manifest(tmp_path / "none")
    assert caught.value.code == "cannot-read"


def test_unpacking_over_something_is_refused(tmp_path: Path) -> None:
    written = samples.write_sample(tmp_path / "site")
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine").write_text("precious")
    with BundleReader(written.path) as reader, pytest.raises(HostError) as caught:
        reader.unpack(out)
    assert caught.value.code == "not-empty"
    assert (out / "mine").read_text() == "precious"


def test_what_is_there_and_no_file_is_not_replaced(tmp_path: Path) -> None:
    """Root would put the bundle where ``/dev/null`` was."""
    (tmp_path / "site").mkdir()
    os.mkfifo(tmp_path / "site/x.corebox")
    with pytest.raises(HostError) as caught:
        samples.write_sample(tmp_path / "site")
    assert caught.value.code == "cannot-write"
    assert (tmp_path / "site/x.corebox").is_fifo()
