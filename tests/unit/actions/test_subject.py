"""What a SUBJECT is."""

from pathlib import Path

import pytest

from corebox.actions.subject import BareCore, BundleFile, Image, Pulling, image_of, keep_subject, resolve
from corebox.errors import CoreboxError
from corebox.store.store import Store
from tests.support.images import put_random_image


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with an image called random:1."""
    store = Store(tmp_path / "home")
    put_random_image(store, 1000)
    return store


def test_a_file_is_a_core_unless_it_is_a_bundle(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "core"
    path.write_bytes(b"\x7fELF")
    assert resolve(store, str(path)) == BareCore(path)


@pytest.mark.parametrize("magic", [b"age-encryption.org/v1\n", b"corebox-openssl"], ids=["age", "none of ours"])
def test_an_encrypted_file_is_a_bundle(store: Store, tmp_path: Path, magic: bytes) -> None:
    path = tmp_path / "x.corebox"
    path.write_bytes(magic + bytes(100))
    key = tmp_path / "key"
    expected = BundleFile(path, key) if magic.startswith(b"age") else BareCore(path)
    assert resolve(store, str(path), identity=key) == expected


def test_a_name_is_an_image(store: Store) -> None:
    subject = resolve(store, "random:1")
    assert isinstance(subject, Image)
    assert subject.image.tags == ("random:1",)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("other:1", "no-such-image"),
        ("team/other:1", "no-such-image"),
        ("gone.corebox", "no-such-file"),
        ("/no/such/core", "no-such-file"),
        ("./core", "no-such-file"),
        ("/tmp", "not-a-file"),
        ("/dev/null", "not-a-file"),
    ],
)
def test_what_is_not_there_is_told_apart(store: Store, text: str, code: str) -> None:
    with pytest.raises(CoreboxError) as raised:
        resolve(store, text)
    assert raised.value.code == code


def test_a_name_with_a_slip_is_guessed(store: Store) -> None:
    with pytest.raises(CoreboxError) as raised:
        resolve(store, "ramdom:1")
    assert raised.value.message == "no image ramdom:1 in the store, nor a file of that name"
    assert raised.value.hint == "did you mean random:1? `corebox images` lists the images"


def test_a_file_that_is_no_core_is_not_called_one(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "app.c"
    path.write_text("int main(void) { return 0; }")
    with pytest.raises(CoreboxError) as raised:
        image_of(store, resolve(store, str(path)))
    assert raised.value.code == "not-a-core"


def test_a_name_with_a_registry_in_it_is_asked_for_there(store: Store) -> None:
    """Port 9 of this machine answers nothing."""
    with pytest.raises(CoreboxError) as raised:
        resolve(store, "127.0.0.1:9/team/crash:1")
    assert raised.value.message == "cannot reach 127.0.0.1:9: Connection refused"


def test_what_is_read_is_not_written(tmp_path: Path) -> None:
    path, link, other = tmp_path / "x.corebox", tmp_path / "link", tmp_path / "other"
    path.touch()
    other.touch()
    link.symlink_to(path)
    for subject in (BundleFile(path), BareCore(path)):
        keep_subject(subject, None, other, tmp_path / "new")
        for out in (path, link):
            with pytest.raises(CoreboxError, match="cannot be the output too"):
                keep_subject(subject, other, out)


def test_a_name_without_a_registry_is_looked_for_in_the_users_own(store: Store) -> None:
    """What was pulled from there once is not asked for again: nobody listens at this registry."""
    store.tag(store.find("random:1"), "127.0.0.1:9/crashes/acme:17")
    pulling = Pulling(registry="127.0.0.1:9/crashes")
    for name in ("acme:17", "docker://127.0.0.1:9/crashes/acme:17", "127.0.0.1:9/crashes/acme:17"):
        subject = resolve(store, name, pulling)
        assert isinstance(subject, Image)
        assert "random:1" in subject.image.tags
    with pytest.raises(CoreboxError) as raised:
        resolve(store, "not a name", pulling)
    assert raised.value.code == "no-such-image"
