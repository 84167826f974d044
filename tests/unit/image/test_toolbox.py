"""Toolboxes that travel: export, import, which one is in use, and what is no toolbox."""

import json
import os
import platform
import resource
import struct
import sys
from pathlib import Path

import pytest

from corebox.errors import HostError, InputError
from corebox.image.tar import Entry, complete, text_file, write_tar
from corebox.image.toolbox import (
    Toolbox,
    ensure_toolbox,
    export_toolbox,
    forget_toolboxes,
    import_toolbox,
    kept_toolboxes,
    lend_toolbox,
    list_toolboxes,
    make_toolbox,
)
from corebox.store.store import Store
from corebox.store.values import LAYER_TYPE, Descriptor

VERSIONS = {"corebox": "0.1.0", "gdb": "18.1", "python": "3.11.2"}


def gdb_for(number: int, order: str = "<") -> Entry:
    """An ELF file for the processor of this ``e_machine``, with nothing in it."""
    header = struct.pack(
        f"{order}4sBBB9xHHIQQQIHHHHHH",
        b"\x7fELF",
        2,
        "_<>".index(order),
        1,
        3,
        number,
        1,
        0,
        0,
        0,
        0,
        64,
        56,
        0,
        64,
        0,
        0,
    )
    return text_file(".corebox/toolbox/bin/gdb", header)


GDB = gdb_for(struct.unpack_from("=H", Path(sys.executable).read_bytes()[:64], 18)[0])


def write_layer(store: Store, *entries: Entry) -> Path:
    with store.writer() as writer:
        write_tar(complete(entries), writer)
        return store.blob_path(writer.commit().digest)


def a_toolbox(gdb: str = "18.1") -> tuple[Entry, ...]:
    versions = json.dumps({**VERSIONS, "gdb": gdb}).encode()
    return text_file(".corebox/toolbox/versions.json", versions), GDB


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "home")


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """The file that another machine exported."""
    path = write_layer(Store(tmp_path / "other"), *a_toolbox())
    return path.rename(tmp_path / "toolbox.tar")


def test_an_imported_toolbox_is_the_one_in_use(store: Store, exported: Path) -> None:
    toolbox = import_toolbox(store, exported)
    assert toolbox.versions == VERSIONS
    assert toolbox.summary == "corebox 0.1.0, gdb 18.1, python 3.11.2"
    assert ensure_toolbox(store) == toolbox
    assert list_toolboxes(store) == [toolbox]


def test_the_last_import_wins_and_prune_removes_the_others(store: Store, exported: Path, tmp_path: Path) -> None:
    older = import_toolbox(store, exported)
    newer = import_toolbox(store, write_layer(Store(tmp_path / "newer"), *a_toolbox("19.1")))
    store.put_image({"layers": [Descriptor(LAYER_TYPE, older.layer.digest, older.layer.size).to_json()]},
                    {"rootfs": {"diff_ids": [older.layer.digest]}}, ["app:1"])  # fmt: skip
    store.prune(pinned=kept_toolboxes(store))
    assert len(list_toolboxes(store)) == 2, "an image has the older one"
    store.remove(store.find("app:1"))
    store.prune(pinned=kept_toolboxes(store))
    forget_toolboxes(store)
    assert ensure_toolbox(store) == newer
    assert list_toolboxes(store) == [newer]
    assert len(store.notes("toolbox")) == 1


def test_what_was_exported_is_what_was_imported(store: Store, exported: Path, tmp_path: Path) -> None:
    export_toolbox(store, import_toolbox(store, exported), tmp_path / "again.tar")
    assert (tmp_path / "again.tar").read_bytes() == exported.read_bytes()


def test_a_toolbox_can_be_lent_to_another_store(store: Store, exported: Path, tmp_path: Path) -> None:
    toolbox: Toolbox = import_toolbox(store, exported)
    other = Store(tmp_path / "borrower")
    lend_toolbox(toolbox, store, other)
    assert ensure_toolbox(other) == toolbox


@pytest.mark.parametrize(
    "entries",
    [
        (text_file(".corebox/toolbox/bin/gdb", b"no versions"),),
        (*a_toolbox(), text_file("usr/lib/libc.so.6", b"elsewhere")),
        (*a_toolbox(), text_file(".corebox/gdbinit", b"elsewhere of ours")),
        (text_file(".corebox/toolbox/versions.json", b"[]"), GDB),
        (text_file(".corebox/toolbox/versions.json", b"\xff"), GDB),
        (text_file(".corebox/toolbox/versions.json", b"{}"), GDB),
        (text_file(".corebox/toolbox/versions.json", b"[" * 4000), GDB),
        (text_file(".corebox/toolbox/versions.json", json.dumps({**VERSIONS, "more": "x" * 5000}).encode()), GDB),
        a_toolbox()[:1],
        (a_toolbox()[0], text_file(".corebox/toolbox/bin/gdb", b"#!/bin/sh")),
    ],
    ids=["no-versions", "customer-path", "other-path", "list", "no-json", "empty", "deep", "long", "no-gdb", "script"],
)
def test_another_layer_is_no_toolbox(store: Store, tmp_path: Path, entries: tuple[Entry, ...]) -> None:
    path = write_layer(Store(tmp_path / "other"), *entries)
    with pytest.raises(InputError) as caught:
        import_toolbox(store, path)
    assert caught.value.code == "not-a-toolbox"
    assert list_toolboxes(store) == []
    assert list(store.blob_path("sha256:" + "0" * 64).parent.iterdir()) == []


@pytest.mark.parametrize(
    ("order", "number", "name"), [(">", 22, "s390x"), ("<", 21, "ppc64le"), ("<", 12345, "em-12345")]
)
def test_a_toolbox_of_another_processor_is_not_taken(
    store: Store, tmp_path: Path, order: str, number: int, name: str
) -> None:
    toolbox = write_layer(Store(tmp_path / "other"), a_toolbox()[0], gdb_for(number, order))
    with pytest.raises(InputError, match=f"for {name}, this machine is {platform.machine()}") as caught:
        import_toolbox(store, toolbox)
    assert caught.value.code == "foreign-toolbox"
    assert list_toolboxes(store) == []


def test_another_file_is_no_toolbox(store: Store, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("a text\n" * 1000)
    os.mkfifo(tmp_path / "pipe")  # nobody waits for who writes into it
    kinds = {"text": "not-a-toolbox", "nothing": "cannot-read", "pipe": "cannot-read", ".": "cannot-read"}
    for path, code in ((tmp_path / name, code) for name, code in kinds.items()):
        with pytest.raises(InputError) as caught:
            import_toolbox(store, path)
        assert caught.value.code == code


def test_a_gdb_that_is_none_is_a_host_error(store: Store) -> None:
    for path in (Path("/bin/true"), Path("/nothing/gdb")):
        with pytest.raises(HostError) as caught:
            make_toolbox(store, path)
        assert caught.value.code == "gdb-unusable"
        assert str(path) in caught.value.message


def test_a_file_that_cannot_be_written_is_a_host_error(store: Store, exported: Path) -> None:
    with pytest.raises(HostError) as caught:
        export_toolbox(store, import_toolbox(store, exported), Path("/nothing/toolbox.tar"))
    assert caught.value.code == "cannot-write"


def test_an_export_that_fails_leaves_what_was_there(store: Store, exported: Path, tmp_path: Path) -> None:
    toolbox = import_toolbox(store, exported)
    kept, pipe = tmp_path / "kept.tar", tmp_path / "pipe"
    kept.write_bytes(b"an older one")
    os.mkfifo(pipe)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limit[1]))
    try:
        for out in (kept, pipe):
            with pytest.raises(HostError) as caught:
                export_toolbox(store, toolbox, out)
            assert caught.value.code == "cannot-write"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert kept.read_bytes() == b"an older one"
    assert pipe.is_fifo()
