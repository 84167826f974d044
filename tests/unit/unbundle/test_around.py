"""A bundle whose core is passed over: what is around it is found, and whatever else is there is refused."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from corebox.bundle.members import plain
from corebox.bundle.tarformat import Member
from corebox.errors import InputError
from corebox.files.extents import read_at
from corebox.files.seekable import frame_content
from corebox.unbundle.around import AroundCore, AroundReader
from tests.fuzz.targets import in_frames
from tests.unit.bundle import samples
from tests.unit.bundle.samples import Part

Change = Callable[[list[Part]], list[Part]]


def members() -> list[Part]:
    """Of the sample, with SHA256SUMS."""
    found = samples.parts(samples.manifest())
    return [*found, samples.sums_of(found)]


def packed(path: Path, parts: list[Part], size: int = 2000) -> Path:
    """The members as a bundle in frames of so many bytes."""
    path.write_bytes(in_frames(b"".join(part.raw() for part in parts) + bytes(1024), size))
    return path


def read(path: Path) -> AroundCore:
    """What is around the core."""
    with AroundReader(path) as reader:
        return reader.around()


def content_of(path: Path, around: AroundCore) -> bytes:
    """The bytes at the core's place."""
    with AroundReader(path) as reader, path.open("rb") as file:
        assert reader.table
        stored = (read_at(file.fileno(), each.stored_offset, each.stored_size) for each in reader.table)
        frames = zip(stored, reader.table, strict=True)
        whole = b"".join(frame_content(reader.table.compression, data, frame.size) for data, frame in frames)
    return whole[around.place.offset : around.place.offset + around.place.size]


@pytest.mark.parametrize("size", [512, 700, 2000, 1 << 20])
def test_wherever_the_frames_are_cut_the_same_is_found(tmp_path: Path, size: int) -> None:
    path = packed(tmp_path / "x.corebox", members(), size)
    around = read(path)
    assert content_of(path, around) == samples.COMPACT
    assert around.digests == (hashlib.sha256(samples.COMPACT).hexdigest() + "\n").encode()
    assert around.files == tuple(
        (f"rootfs{name}", hashlib.sha256(data).hexdigest()) for name, data in sorted(samples.CONTENT.items())
    )


def test_a_bundle_as_we_write_it_has_its_identity(tmp_path: Path) -> None:
    written = samples.write_sample(tmp_path)
    around = read(Path(written.path))
    assert around.identity == written.identity
    assert content_of(Path(written.path), around) == samples.COMPACT


def test_the_files_are_laid_out_and_checked(tmp_path: Path) -> None:
    path = packed(tmp_path / "x.corebox", members())
    with AroundReader(path) as reader:
        reader.unpack_files(tmp_path / "out", reader.around())
    for name, data in samples.CONTENT.items():
        assert (tmp_path / "out/rootfs" / name[1:]).read_bytes() == data
    assert not (tmp_path / "out/core").exists()


def test_bundles_with_the_same_files_have_one_key_and_others_another(tmp_path: Path) -> None:
    sample = read(packed(tmp_path / "x", members())).files_key
    value = samples.manifest(core=samples.manifest().core._replace(original_stored=len(samples.CORE) + 4096))
    other_core = [*samples.parts(value)]
    assert read(packed(tmp_path / "y", [*other_core, samples.sums_of(other_core)])).files_key == sample
    files = tuple(entry._replace(mtime=5) for entry in samples.manifest().files)
    newer = samples.parts(samples.manifest(files=files))
    assert read(packed(tmp_path / "z", [*newer, samples.sums_of(newer)])).files_key != sample


def test_a_file_that_is_not_what_the_sums_say_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    parts = members()
    at = next(number for number, part in enumerate(parts) if part.member.name.startswith(b"rootfs/opt"))
    parts[at] = parts[at]._replace(data=bytes(len(parts[at].data)))
    with AroundReader(packed(tmp_path / "x", parts)) as reader:
        around = reader.around()
        with pytest.raises(InputError, match="the digest does not match"):
            reader.unpack_files(tmp_path / "out", around)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("parts", [samples.parts(samples.manifest(format=samples.VERSION_1)), None])
def test_what_has_no_digests_of_blocks_or_no_frames_can_only_be_read_whole(
    tmp_path: Path, parts: list[Part] | None
) -> None:
    if parts is None:
        path = samples.write_raw(tmp_path / "x", members())
    else:
        path = packed(tmp_path / "x", [*parts, samples.sums_of(parts)])
    with AroundReader(path) as reader:
        assert reader.table is None


def _named(parts: list[Part], name: bytes) -> int:
    return next(number for number, part in enumerate(parts) if part.member.name == name)


def changed(name: bytes, change: Callable[[Part], Part]) -> Change:
    """One member is another."""

    def act(parts: list[Part]) -> list[Part]:
        at = _named(parts, name)
        return [*parts[:at], change(parts[at]), *parts[at + 1 :]]

    return act


def without(name: bytes) -> Change:
    """One member is missing."""
    return lambda parts: [part for part in parts if part.member.name != name]


def swapped(name: bytes) -> Change:
    """Two members have changed places."""

    def act(parts: list[Part]) -> list[Part]:
        at = _named(parts, name)
        return [*parts[:at], parts[at + 1], parts[at], *parts[at + 2 :]]

    return act


def _with_data(data: bytes) -> Callable[[Part], Part]:
    return lambda part: Part(part.member._replace(size=len(data)), data)


def _as(member: Member) -> Callable[[Part], Part]:
    return lambda part: Part(member, part.data[: member.size])


OTHER = b"0" * 64 + b"\n"
REFUSED: dict[str, tuple[Change, str]] = {
    "no core": (without(b"core"), "announces a core"),
    "a core of another kind": (changed(b"core", lambda part: part._replace(member=part.member._replace(mode=0o4755))),
                               "announces a core"),
    "no digests": (without(b"core.digests"), r"core\.digests is missing"),
    "digests of another core": (changed(b"core.digests", _with_data(OTHER)), "does not match: core.digests"),
    "too many digests": (changed(b"core.digests", _with_data(OTHER * 2)), r"core\.digests has another size"),
    "digests that are none": (changed(b"core.digests", _with_data(b"g" * 64 + b"\n")), "not hexadecimal"),
    "an order of its own": (swapped(b"core.digests"), r"core\.digests is missing"),
    "no sums": (without(b"SHA256SUMS"), "."),
    "sums of other names": (changed(b"SHA256SUMS", lambda part: part._replace(data=part.data.replace(b"run", b"ran"))),
                            "SHA256SUMS is not of this bundle"),
    "sums that are none": (changed(b"SHA256SUMS", lambda part: part._replace(data=bytes(len(part.data)))),
                           "SHA256SUMS is not of this bundle"),
    "short sums": (changed(b"SHA256SUMS", _with_data(b"")), "SHA256SUMS has another size"),
    "a manifest of which the sums say something else": (
        changed(b"SHA256SUMS", lambda part: part._replace(data=b"0" * 64 + part.data[64:])),
        r"does not match: corebox\.json"),
    "a script that is a directory": (changed(b"run.sh", _as(plain("run.txt", 3))), r"run\.sh is missing"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_not_as_it_should_be_is_refused(tmp_path: Path, what: str) -> None:
    change, said = REFUSED[what]
    path = packed(tmp_path / "x.corebox", change(members()))
    with pytest.raises(InputError, match=said) as raised:
        read(path)
    assert raised.value.code == "bundle-damaged"
    assert raised.value.hint


def test_a_core_that_is_longer_than_the_bundle_is_refused_without_reading_on(tmp_path: Path) -> None:
    huge = changed(b"core", lambda part: part._replace(member=part.member._replace(size=1 << 40)))
    with pytest.raises(InputError) as raised:
        read(packed(tmp_path / "x.corebox", huge(members())))
    assert raised.value.code == "bundle-damaged"


def test_a_frame_of_what_is_around_that_is_damaged_is_told(tmp_path: Path) -> None:
    path = packed(tmp_path / "x.corebox", members(), 512)
    with AroundReader(path) as reader:
        assert reader.table
        last = reader.table[reader.table.index_at(reader.table.size - 1024 - 512)]  # of SHA256SUMS
    data = bytearray(path.read_bytes())
    data[last.stored_offset + last.stored_size // 2] ^= 0x55
    path.write_bytes(bytes(data))
    with pytest.raises(InputError) as raised:
        read(path)
    assert raised.value.code == "bundle-damaged"
