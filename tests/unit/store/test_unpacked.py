"""Unpacked roots: what is in them, that they are made once, and what a hostile layer cannot do."""

import contextlib
import io
import os
import tarfile
from pathlib import Path

import pytest

from corebox.errors import InputError
from corebox.store.store import Store
from corebox.store.values import Layer


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "home")


def member(
    name: str,
    kind: bytes = tarfile.REGTYPE,
    data: bytes = b"",
    link: str = "",
    mode: int = 0o644,
    pax: dict[str, str] | None = None,
) -> bytes:
    info = tarfile.TarInfo(name)
    info.pax_headers = pax or {}
    info.type, info.linkname, info.mode, info.mtime, info.size = kind, link, mode, 1700000000, len(data)
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape") + data + bytes(-len(data) % 512)


def put_layer(store: Store, *members: bytes) -> Layer:
    with store.writer() as writer:
        writer.write(b"".join(members) + bytes(1024))
        blob = writer.commit()
    return Layer(blob.digest, blob.size, "core", blob.digest)


def test_layers_make_one_tree_with_modes_and_times(store: Store) -> None:
    first = put_layer(store, member("opt", tarfile.DIRTYPE), member("opt/a", data=b"A", mode=0o755))
    second = put_layer(store, member("opt", tarfile.DIRTYPE), member("opt/link", tarfile.SYMTYPE, link="a"))
    tree = store.unpacked([first, second])
    assert (tree / "opt" / "link").read_bytes() == b"A"
    status = (tree / "opt" / "a").stat()
    assert (status.st_mode & 0o7777, status.st_mtime) == (0o755, 1700000000)


def test_names_may_be_any_bytes(store: Store) -> None:
    name = os.fsdecode(b"caf\xe9 \xff" + b"x" * 120)
    tree = store.unpacked([put_layer(store, member(name, data=b"odd"))])
    assert (tree / name).read_bytes() == b"odd"


def test_a_tree_is_made_once(store: Store) -> None:
    layer = put_layer(store, member("a", data=b"A"))
    first = store.unpacked([layer])
    inode = (first / "a").stat().st_ino
    assert store.unpacked([layer]) == first
    assert (first / "a").stat().st_ino == inode


@pytest.mark.parametrize(
    "members",
    [
        (member("../evil", data=b"x"),),
        (member("/etc/evil", data=b"x"),),
        (member("a/../../evil", data=b"x"),),
        (member("link", tarfile.SYMTYPE, link="/tmp"), member("link/evil", data=b"x")),
        (member("link", tarfile.SYMTYPE, link=".."), member("link", tarfile.DIRTYPE), member("link/evil", data=b"x")),
        (member("file", data=b"x"), member("file/evil", data=b"x")),
        (member("twice", data=b"x"), member("twice", data=b"y")),
        (member("hard", tarfile.LNKTYPE, link="/etc/passwd"),),
        (member("device", tarfile.CHRTYPE),),
        (member("pipe", tarfile.FIFOTYPE),),
        (member("deep/" * 500 + "a"),),
        (member("x" * 300),),
        (member("link", tarfile.SYMTYPE, link=""),),
        (member("link", tarfile.SYMTYPE, pax={"linkpath": "a\0b"}),),
        (member(".corebox", tarfile.SYMTYPE, link="/"),),
        (member(".corebox/core", tarfile.SYMTYPE, link="/etc/shadow"),),
        (member(".corebox/toolbox", tarfile.SYMTYPE, link=".."),),
        (member(".corebox/debug/a", tarfile.SYMTYPE, link="../../../../a"),),
        (member("size", pax={"size": "-5"}),),
        (member("time", pax={"mtime": "nan"}),),
        (member("time", pax={"mtime": "1e300"}),),
        (member("sparse", pax={"GNU.sparse.map": "a,b"}),),
        (b"this is no tar" * 100,),
        (member("a", data=b"A"), b"\x01" * 512),
    ],
)
def test_a_hostile_layer_is_refused_and_leaves_nothing(
    store: Store, members: tuple[bytes, ...], tmp_path: Path
) -> None:
    layer = put_layer(store, *members)
    with pytest.raises(InputError) as caught:
        store.unpacked([layer])
    assert caught.value.code == "image-damaged"
    assert list(store.home.glob("tmp/*/*")) == []
    assert not list(tmp_path.rglob("evil"))
    assert not list((store.home / "roots").rglob("tree"))


def test_directories_that_no_member_names_are_counted(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("corebox.store.extract._MAX_UNNAMED", 100)
    layer = put_layer(store, *(member(f"{number}/" + "deep/" * 24 + "a") for number in range(4)))
    assert len(list((store.unpacked([layer])).rglob("a"))) == 4
    with pytest.raises(InputError, match="more than 100 directories are in no layer") as caught:
        store.unpacked([put_layer(store, *(member(f"{number}/" + "deep/" * 24 + "a") for number in range(5)))])
    assert caught.value.code == "image-damaged"
    assert list(store.home.glob("tmp/*/*")) == []


def test_a_link_to_a_neighbour_is_unpacked(store: Store) -> None:
    layer = put_layer(store, member(".corebox/lib/ld.so", tarfile.SYMTYPE, link="ld-2.so"))
    assert (store.unpacked([layer]) / ".corebox" / "lib" / "ld.so").readlink() == Path("ld-2.so")


def test_a_cut_layer_is_refused(store: Store) -> None:
    with store.writer() as writer:
        writer.write(member("a", data=b"x" * 5000)[:2000])
        blob = writer.commit()
    with pytest.raises(InputError) as caught:
        store.unpacked([Layer(blob.digest, blob.size, "core", blob.digest)])
    assert caught.value.code == "image-damaged"


def test_a_sparse_member_is_refused(store: Store) -> None:
    info = tarfile.TarInfo("core")
    info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "4096"}
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.PAX_FORMAT) as archive:
        content = b"0\n".ljust(512, b"\0")
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    with store.writer() as writer:
        writer.write(data.getvalue())
        blob = writer.commit()
    with pytest.raises(InputError) as caught:
        store.unpacked([Layer(blob.digest, blob.size, "core", blob.digest)])
    assert caught.value.code == "image-damaged"


def whiteout(name: str) -> bytes:
    return member(name)


def files(tree: Path) -> set[str]:
    return {str(path.relative_to(tree)) for path in tree.rglob("*") if not path.is_dir() or path.is_symlink()}


LOWER = (
    member("etc", tarfile.DIRTYPE),
    member("etc/a", data=b"old"),
    member("etc/b", data=b"old"),
    member("opt/app/x", data=b"old"),
    member("opt/app/y", data=b"old"),
    member("lib", tarfile.SYMTYPE, link="usr/lib"),
)


@pytest.mark.parametrize(
    ("upper", "expected"),
    [
        ((whiteout("etc/.wh.a"),), {"etc/b", "opt/app/x", "opt/app/y", "lib"}),
        ((whiteout(".wh.opt"),), {"etc/a", "etc/b", "lib"}),
        ((whiteout("./etc/.wh.a"), member("./etc/c")), {"etc/b", "etc/c", "opt/app/x", "opt/app/y", "lib"}),
        ((member("opt/app/z"), whiteout("opt/app/.wh..wh..opq")), {"etc/a", "etc/b", "opt/app/z", "lib"}),
        ((member("etc/a", data=b"new"), whiteout("etc/.wh.a")), {"etc/a", "etc/b", "opt/app/x", "opt/app/y", "lib"}),
        ((whiteout("nowhere/.wh.a"), whiteout("etc/.wh.nothing")), {"etc/a", "etc/b", "opt/app/x", "opt/app/y", "lib"}),
        ((whiteout("lib/.wh.a"), whiteout(".wh..wh.plnk")), {"etc/a", "etc/b", "opt/app/x", "opt/app/y", "lib"}),
        ((whiteout(".wh.lib"), member("lib/z")), {"etc/a", "etc/b", "opt/app/x", "opt/app/y", "lib/z"}),
        ((member("opt", data=b"a file"),), {"etc/a", "etc/b", "opt", "lib"}),
        ((member("lib", tarfile.DIRTYPE), member("lib/z")), {"etc/a", "etc/b", "opt/app/x", "opt/app/y", "lib/z"}),
        ((member("etc/c", tarfile.LNKTYPE, link="etc/b"),),
         {"etc/a", "etc/b", "etc/c", "opt/app/x", "opt/app/y", "lib"}),
    ],
)  # fmt: skip
def test_a_layer_deletes_and_replaces_what_lies_beneath(
    store: Store, upper: tuple[bytes, ...], expected: set[str]
) -> None:
    assert files(store.unpacked([put_layer(store, *LOWER), put_layer(store, *upper)])) == expected


def test_a_layer_replaces_a_file_with_its_own(store: Store) -> None:
    tree = store.unpacked([put_layer(store, *LOWER), put_layer(store, member("etc/a", data=b"new", mode=0o600))])
    assert (tree / "etc" / "a").read_bytes() == b"new"
    assert (tree / "etc" / "a").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "members",
    [
        (member("out", tarfile.SYMTYPE, link="{outside}"), whiteout("out/.wh.secret")),
        (member("out", tarfile.SYMTYPE, link="{outside}"), whiteout("out/.wh..wh..opq")),
        (whiteout("../.wh.secret"),),
        (whiteout(".wh..."),),
        (whiteout(".wh.."),),
        (member("x", tarfile.LNKTYPE, link="../secret"),),
        (member("out", tarfile.SYMTYPE, link="{outside}"), member("x", tarfile.LNKTYPE, link="out/secret")),
        (member("out", tarfile.SYMTYPE, link="{outside}/secret"), member("x", tarfile.LNKTYPE, link="out")),
        (member("out", tarfile.SYMTYPE, link="{outside}"), member("out/secret", data=b"x")),
    ],
)
def test_a_hostile_upper_layer_reaches_nothing_outside(
    store: Store, members: tuple[bytes, ...], tmp_path: Path
) -> None:
    (tmp_path / "secret").write_bytes(b"ours")
    target = f"{tmp_path}/secret" if b"{outside}/secret" in members[0] else str(tmp_path)
    lower = member("out", tarfile.SYMTYPE, link=target) if len(members) > 1 else member("a")
    layers = [put_layer(store, lower), put_layer(store, members[-1])]
    with contextlib.suppress(InputError):
        tree = store.unpacked(layers)
        assert not (tree / "x").exists()
    assert (tmp_path / "secret").read_bytes() == b"ours"
    assert (tmp_path / "secret").stat().st_nlink == 1


def test_prune_removes_roots_of_layers_that_are_gone(store: Store) -> None:
    layer = put_layer(store, member("a", data=b"A"))
    tree = store.unpacked([layer])
    store.prune()
    assert tree.exists(), "this process uses it"
