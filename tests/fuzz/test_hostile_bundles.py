"""Whatever a stranger sends: a clear refusal, nothing outside the directory, nothing left in it."""

import gzip
import random
from pathlib import Path

import pytest

from corebox.bundle.manifest import SymlinkEntry
from corebox.bundle.tarformat import Member
from corebox.errors import CoreboxError, InputError
from corebox.unbundle.read import BundleReader
from tests.fuzz.targets import bounds
from tests.support.hostile_bundles import MEMBERS
from tests.unit.bundle import samples
from tests.unit.bundle.samples import Part, parts, sums_of, write_raw


def refuse(path: Path, into: Path) -> str:
    """Unpack, expect a refusal and nothing left, and return the message."""
    with pytest.raises(InputError) as caught, BundleReader(path) as reader:
        reader.unpack(into)
    assert caught.value.code == "bundle-damaged"
    assert not into.exists()
    return caught.value.message


def test_untouched_raw_archive_is_accepted(tmp_path: Path) -> None:
    members = parts(samples.manifest())
    with BundleReader(write_raw(tmp_path / "x", [*members, sums_of(members)])) as reader:
        assert reader.unpack(tmp_path / "out").core is not None


@pytest.mark.parametrize("name", MEMBERS)
def test_other_members_than_announced_are_refused(tmp_path: Path, name: str) -> None:
    members = MEMBERS[name](parts(samples.manifest()))
    refuse(write_raw(tmp_path / "x", [*members, sums_of(members)]), tmp_path / "out")


@pytest.mark.parametrize("position", [0, 3, 4, 5, 6, 7])
def test_one_changed_byte_is_found_by_its_digest(tmp_path: Path, position: int) -> None:
    members = parts(samples.manifest())
    sums = sums_of(members)
    part = members[position]
    data = part.data[:-1] + bytes([part.data[-1] ^ 1])
    if position == 0:
        data = part.data.replace(b'"pid": 42', b'"pid": 43')
    members[position] = part._replace(data=data)
    message = refuse(write_raw(tmp_path / "x", [*members, sums]), tmp_path / "out")
    assert "the digest does not match" in message
    assert repr(part.member.name.decode()) in message


def test_bytes_after_the_end_are_refused(tmp_path: Path) -> None:
    members = parts(samples.manifest())
    message = refuse(write_raw(tmp_path / "x", [*members, sums_of(members)], end=bytes(1024) + b"x"), tmp_path / "out")
    assert message.endswith("unexpected data after its end")


def test_bytes_in_the_padding_are_refused(tmp_path: Path) -> None:
    members = parts(samples.manifest())
    members[4] = Part(members[4].member, members[4].data + b"hidden")
    refuse(write_raw(tmp_path / "x", [*members, sums_of(members)]), tmp_path / "out")


def test_every_truncation_is_found(tmp_path: Path) -> None:
    whole = Path(samples.write_sample(tmp_path / "site").path).read_bytes()
    for length in range(4, len(whole), max(1, len(whole) // 40)):
        path = tmp_path / "x"
        path.write_bytes(whole[:length])
        refuse(path, tmp_path / "out")


def test_every_flipped_bit_is_refused(tmp_path: Path) -> None:
    members = parts(samples.manifest())
    members.append(sums_of(members))
    raw = b"".join(part.raw() for part in members) + bytes(1024)
    generator = random.Random(1)
    for _ in range(200):
        at = generator.randrange(len(raw))
        spoiled = bytearray(raw)
        spoiled[at] ^= 1 << generator.randrange(8)
        path = write_raw(tmp_path / "x", [], lambda _, spoiled=spoiled: bytes(spoiled))  # type: ignore[misc]
        with pytest.raises(CoreboxError), BundleReader(path) as reader:
            reader.unpack(tmp_path / "out")
        assert not (tmp_path / "out").exists()


def test_bomb_is_refused_before_it_fills_the_disk(tmp_path: Path) -> None:
    entry = samples.manifest().files[0]._replace(size=1 << 60)
    members = parts(samples.manifest(files=(entry, samples.manifest().files[1])))
    with (
        pytest.raises(CoreboxError) as caught,
        BundleReader(write_raw(tmp_path / "x", [*members, sums_of(members)])) as reader,
    ):
        reader.unpack(tmp_path / "out")
    assert caught.value.code == "no-space"


def test_long_chain_of_links_costs_little(tmp_path: Path) -> None:
    links = tuple(SymlinkEntry(f"/l{number:05}", f"l{number + 1:05}") for number in range(9000))
    members = parts(samples.manifest())
    data = samples.manifest(symlinks=links).to_bytes()
    members[0] = Part(Member(b"corebox.json", b"0", len(data), 0o644, 0), data)
    refuse(write_raw(tmp_path / "x", members), tmp_path / "out")


def test_gzip_members_of_nothing_cost_no_more_than_their_bytes(tmp_path: Path) -> None:
    member = gzip.compress(b"", 1, mtime=0)
    path = tmp_path / "x"
    path.write_bytes(member * ((16 << 20) // len(member)))
    with bounds(), pytest.raises(InputError), BundleReader(path):
        pass
