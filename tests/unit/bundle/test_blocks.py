"""``core.digests``: made piece by piece, checked block by block, refused when it is not as we write it."""

import os
import subprocess
from pathlib import Path

import pytest

from corebox.bundle.blocks import BLOCK_SIZE, BlockHasher, digests_length, parse_digests
from corebox.errors import InputError

CORE = os.urandom(BLOCK_SIZE) + bytes(BLOCK_SIZE) + b"end"


def digests(step: int, core: bytes = CORE) -> bytes:
    hasher = BlockHasher()
    for at in range(0, len(core), step):
        hasher.update(core[at : at + step])
    return hasher.text()


def test_pieces_of_any_length_give_the_same() -> None:
    text = digests(len(CORE))
    assert len(text) == digests_length(len(CORE)) == 3 * 65
    assert {digests(step) for step in (4096, 262144, 100001)} == {text}
    assert digests(1, b"") == b""


def test_the_tools_of_the_machine_say_the_same(tmp_path: Path) -> None:
    (tmp_path / "core").write_bytes(CORE)
    command = "split -b 1M --filter=sha256sum core | cut -c1-64"
    said = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, check=True)
    assert said.stdout == digests(4096)


def test_each_block_is_checked_alone() -> None:
    parsed = parse_digests(digests(4096), len(CORE))
    assert len(parsed) == 3
    blocks = [CORE[at : at + BLOCK_SIZE] for at in range(0, len(CORE), BLOCK_SIZE)]
    assert [parsed.is_right(index, block) for index, block in enumerate(blocks)] == [True] * 3
    assert not parsed.is_right(0, blocks[1])
    assert not parsed.is_right(2, b"End")
    assert not parsed.is_right(2, b"end\0")
    assert not parsed.is_right(3, b"")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        digests(4096)[:-1],
        digests(4096) + b"\n",
        digests(4096).replace(b"\n", b" "),
        digests(4096).upper(),
        digests(4096)[:64] + digests(4096)[1:65] + digests(4096)[65:-65] + b"\n",
        b"g" + digests(4096)[1:],
        b"\n\n" + digests(4096)[2:],
        b"\xc3" + digests(4096)[1:],
    ],
)
def test_other_texts_are_refused(text: bytes) -> None:
    with pytest.raises(InputError) as caught:
        parse_digests(text, len(CORE))
    assert caught.value.code == "bundle-damaged"
