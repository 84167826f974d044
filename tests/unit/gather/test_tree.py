"""Archives as roots: what is unpacked is what they say, whatever this machine has, and one odd member costs itself."""

import io
import os
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from corebox.gather.tree import unpack_tree

Member = tuple[str, bytes, str]


def regular(name: str, text: str = "text") -> Member:
    return name, tarfile.REGTYPE, text


def directory(name: str) -> Member:
    return name, tarfile.DIRTYPE, ""


def symbolic(name: str, target: str) -> Member:
    return name, tarfile.SYMTYPE, target


def hard(name: str, target: str) -> Member:
    return name, tarfile.LNKTYPE, target


def archive_of(*members: Member) -> io.BytesIO:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, kind, text in members:
            info = tarfile.TarInfo(name)
            info.type = kind
            if kind == tarfile.REGTYPE:
                info.size = len(text)
            else:
                info.linkname = text
            archive.addfile(info, io.BytesIO(text.encode()))
    packed.seek(0)
    return packed


def unpacked(place: Path, *members: Member) -> dict[str, str]:
    """Files and links that came out of it, always with one more at its end."""
    into = place / "root"
    into.mkdir()
    unpack_tree(archive_of(*members, regular("last", "last")), str(into), "site.tar")
    found = {}
    for folder, folders, names in os.walk(into):
        for name in folders + names:
            path = Path(folder, name)
            inside = str(path.relative_to(into))
            if path.is_symlink():
                found[inside] = "-> " + str(path.readlink())
            elif path.is_file():
                found[inside] = path.read_text()
    assert found.pop("last") == "last"
    return found


def test_a_link_is_replaced_whatever_it_would_lead_to_on_this_machine(tmp_path: Path) -> None:
    again = symbolic("lib", "/usr/lib")
    assert unpacked(tmp_path, symbolic("lib", "/usr"), again) == {"lib": "-> /usr/lib"}


def test_a_link_is_replaced_by_a_file_and_nothing_of_this_machine_is(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("precious")
    members = (symbolic("etc/x", str(outside)), regular("etc/x", "of the archive"))
    assert unpacked(tmp_path, *members) == {"etc/x": "of the archive"}
    assert outside.read_text() == "precious"


@pytest.mark.parametrize(
    ("members", "result"),
    [
        ((regular("a", "old"), regular("a", "new")), {"a": "new"}),
        ((regular("a"), directory("a"), regular("a/b")), {"a/b": "text"}),
        ((regular("a"), regular("a/b")), {"a": "text"}),
        ((regular("a/b"), regular("a")), {"a/b": "text"}),
        ((regular("a/b"), symbolic("a", "c")), {"a/b": "text"}),
        ((regular("a/b"), regular("c"), hard("a", "c")), {"a/b": "text", "c": "text"}),
        ((regular("a/b"), directory("a")), {"a/b": "text"}),
        ((symbolic("a", "b"), directory("a"), regular("a/c")), {"a": "-> b", "b/c": "text"}),
        ((symbolic("a", "/usr"), directory("a"), regular("a/c")), {"a": "-> /usr", "usr/c": "text"}),
        ((regular("b"), symbolic("a", "b"), directory("a"), regular("a/c")), {"b": "text", "a/c": "text"}),
        ((regular("b"), symbolic("a", "b"), regular("a/c")), {"b": "text", "a": "-> b"}),
        ((symbolic("a", "a"), directory("a"), regular("a/c")), {"a/c": "text"}),
    ],
)
def test_of_two_members_at_one_place_the_later_stays_but_no_directory_goes(
    tmp_path: Path, members: tuple[Member, ...], result: dict[str, str]
) -> None:
    assert unpacked(tmp_path, *members) == result


@pytest.mark.parametrize(
    "odd",
    [
        regular("x" * 256),
        regular("x" * 256 + "/b"),
        regular("/".join(["y" * 200] * 30)),
        symbolic("a", ""),
        symbolic("a", "x" * 5000),
        symbolic("a", "/x\0" + "y" * 200),
        hard("a", ""),
        hard("a", "x" * 5000),
        hard("a", "none"),
        ("a", tarfile.FIFOTYPE, ""),
        ("a", tarfile.CHRTYPE, ""),
    ],
    ids=lambda odd: f"{odd[1]!r} {odd[0][:3]} {odd[2][:3]!r}",
)
def test_an_odd_member_costs_neither_the_others_nor_what_was_there(tmp_path: Path, odd: Member) -> None:
    assert unpacked(tmp_path, regular("a"), odd, regular("b")) == {"a": "text", "b": "text"}


def test_a_file_that_was_given_to_tar_twice_is_there(tmp_path: Path) -> None:
    """GNU tar makes a hard link to itself of it, with -h always."""
    (tmp_path / "x").write_text("text")
    packed, into = tmp_path / "site.tar", tmp_path / "root"
    subprocess.run(["tar", "-chf", packed, "-C", tmp_path, "./x", "./x"], check=True)
    into.mkdir()
    with packed.open("rb") as file:
        unpack_tree(file, str(into), "site.tar")
    assert (into / "x").read_text() == "text"


def test_a_hard_link_to_a_link_is_that_link(tmp_path: Path) -> None:
    result = unpacked(tmp_path, symbolic("a", "/usr/x"), hard("b/c", "a"), regular("usr/x"))
    assert result == {"a": "-> /usr/x", "b/c": "-> /usr/x", "usr/x": "text"}


def test_a_full_disk_is_no_oddity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("corebox.gather.tree._write_file", full)
    with pytest.raises(OSError, match="No space left"):
        unpack_tree(archive_of(regular("a")), str(tmp_path), "site.tar")


def overflow(*_: object, **__: object) -> None:
    raise OverflowError("timestamp out of range for platform time_t")


@pytest.mark.parametrize("utime", [overflow, os.utime], ids=["refused", "taken"])
def test_a_time_that_cannot_be_set_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, utime: Callable[..., None]
) -> None:
    monkeypatch.setattr("corebox.gather.tree.os.utime", utime)
    assert unpacked(tmp_path, regular("a")) == {"a": "text"}
