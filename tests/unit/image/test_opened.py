"""What an image says of its crash is read only as far as it may go."""

import tracemalloc
from pathlib import Path

import pytest

from corebox.errors import InputError
from corebox.image.opened import open_image
from corebox.image.parts import BUNDLE, MANIFEST_FILE
from corebox.image.tar import Entry, complete, text_file, write_tar
from corebox.store.store import Store
from corebox.store.values import LAYER_KIND, MANIFEST_TYPE, Descriptor, StoredImage


def put_crash(store: Store, *entries: Entry) -> StoredImage:
    """An image with one layer, of a crash."""
    with store.writer() as writer:
        write_tar(complete(entries), writer)
        blob = writer.commit()
    layer = Descriptor(blob.media_type, blob.digest, blob.size, {LAYER_KIND: "crash"}).to_json()
    config: dict[str, object] = {"rootfs": {"diff_ids": [blob.digest]}}
    return store.put_image({"mediaType": MANIFEST_TYPE, "layers": [layer]}, config)


def test_too_long_a_manifest_is_not_read(tmp_path: Path) -> None:
    long = tmp_path / "long"
    with long.open("wb") as file:
        file.truncate(65 << 20)
    store = Store(tmp_path / "home")
    facts = Entry(MANIFEST_FILE, 0o644, size=65 << 20, source=long)
    image = put_crash(store, facts, text_file(f"{BUNDLE}/SHA256SUMS", b""))
    tracemalloc.start()
    with pytest.raises(InputError) as caught:
        open_image(store, image)
    assert tracemalloc.get_traced_memory()[1] < 16 << 20
    tracemalloc.stop()
    assert caught.value.code == "image-damaged"


@pytest.mark.parametrize("entries", [(), (Entry(MANIFEST_FILE),), (text_file(MANIFEST_FILE, b"{}"),)])
def test_an_image_without_a_crash_is_told(tmp_path: Path, entries: tuple[Entry, ...]) -> None:
    store = Store(tmp_path / "home")
    with pytest.raises(InputError) as caught:
        open_image(store, put_crash(store, *entries))
    assert caught.value.code == "not-a-crash"
