"""corebox.json: canonical bytes out, strict checks in, and the schema says the same."""

import json
from importlib import resources
from typing import Any

import jsonschema
import pytest

from corebox.bundle.manifest import Format, Manifest, SymlinkEntry
from corebox.errors import InputError
from corebox.unbundle.parse import parse_manifest
from tests.unit.bundle.samples import RUNTIME, manifest


def schema() -> dict[str, Any]:
    text = resources.files("corebox.bundle").joinpath("schema/bundle-1.schema.json").read_text()
    value: dict[str, Any] = json.loads(text)
    return value


def altered(*path: str | int, to: object) -> bytes:
    value: Any = json.loads(manifest().to_bytes())
    place = value
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = to
    return json.dumps(value).encode()


def test_manifest_comes_back_as_it_was() -> None:
    value = manifest()
    assert parse_manifest(value.to_bytes()) == value


def test_what_the_kernel_knew_comes_back_and_the_schema_accepts_it() -> None:
    value = manifest(runtime=RUNTIME)
    assert parse_manifest(value.to_bytes()) == value
    jsonschema.validate(json.loads(value.to_bytes()), schema())


def test_a_manifest_of_an_earlier_corebox_is_read() -> None:
    document = json.loads(manifest().to_bytes())
    del document["runtime"]
    assert parse_manifest(json.dumps(document).encode()) == manifest()
    jsonschema.validate(document, schema())


@pytest.mark.parametrize(
    ("key", "value"),
    [("source", "journal"), ("threads", [{"tid": -1, "name": "x"}]), ("limits", {}), ("container", {"id": 1})],
)
def test_what_no_kernel_knows_is_refused(key: str, value: object) -> None:
    document = json.loads(manifest(runtime=RUNTIME).to_bytes())
    document["runtime"][key] = value
    with pytest.raises(InputError, match="damaged"):
        parse_manifest(json.dumps(document).encode())


def test_bytes_are_canonical() -> None:
    data = manifest().to_bytes()
    assert data.startswith(b'{\n "core": {\n  "included": true,')
    assert data.endswith(b"}\n")
    assert data.isascii()


def test_undecodable_path_survives() -> None:
    value = manifest(symlinks=(SymlinkEntry("/l\udcff\n", "usr"),))
    assert parse_manifest(value.to_bytes()) == value


def test_schema_is_valid_and_accepts_the_manifest() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    jsonschema.validate(json.loads(manifest().to_bytes()), schema())


WRONG: list[tuple[tuple[str | int, ...], object]] = [
    (("gatherer",), 1),
    (("site", "machine"), None),
    (("site", "os_release"), {"ID": 1}),
    (("process", "pid"), -1),
    (("process", "pid"), True),
    (("process", "pid"), 1.5),
    (("process", "executable"), "bin/app"),
    (("process", "fault_address"), "12"),
    (("process", "time"), "yesterday"),
    (("core", "included"), 1),
    (("core", "size"), 1 << 70),
    (("modules", 0, "verdict"), "perfect"),
    (("modules", 0, "build_id", "memory"), "xyz"),
    (("modules", 0, "start"), "0xABC"),
    (("files", 0, "path"), "/opt/../etc/passwd"),
    (("files", 0, "path"), "//opt"),
    (("files", 0, "path"), "/opt/" + "x" * 5000),
    (("files", 0, "mode"), "4755"),
    (("files", 0, "mtime"), -1),
    (("files", 0, "role"), "virus"),
    (("symlinks", 0, "target"), "/etc"),
    (("symlinks", 0, "target"), ""),
    (("symlinks", 0, "target"), "usr/../.."),
    (("symlinks", 0, "path"), "/opt/app"),
    (("symlinks", 0, "path"), "/usr/lib/libx.so.1.2/x"),
    (("symlinks", 0, "path"), "/usr/lib/libx.so.1"),
    (("symlinks", 0, "path"), "/z"),
    (("symlinks", 0, "path"), "/a\x00b"),
    (("symlinks", 0, "path"), "/\ud800"),
    (("symlinks",), {}),
    (("format",), []),
]


@pytest.mark.parametrize(("path", "value"), WRONG, ids=lambda item: repr(item)[:40])
def test_wrong_field_is_refused(path: tuple[str | int, ...], value: object) -> None:
    with pytest.raises(InputError) as caught:
        parse_manifest(altered(*path, to=value))
    assert caught.value.code == "bundle-damaged"


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{", b"\xff", b"null", b'{"format": NaN}', b"[" * 100000, b"1" * 5000], ids=repr
)
def test_other_json_is_refused(data: bytes) -> None:
    with pytest.raises(InputError) as caught:
        parse_manifest(data)
    assert caught.value.code == "bundle-damaged"


def test_next_major_version_asks_for_a_newer_corebox() -> None:
    with pytest.raises(InputError) as caught:
        parse_manifest(altered("format", "major", to=3))
    assert caught.value.code == "bundle-too-new"


def test_keys_of_a_later_minor_version_are_ignored() -> None:
    later = json.loads(manifest().to_bytes())
    later["format"]["minor"] = 7
    later["weather"] = "fine"
    value: Manifest = parse_manifest(json.dumps(later).encode())
    assert value == manifest(format=Format(2, 7))


def test_link_that_leaves_the_root_through_another_link_is_refused() -> None:
    links = (SymlinkEntry("/a", "b/c/d"), SymlinkEntry("/b/c/d", "../.."), SymlinkEntry("/e", "a/../x"))
    with pytest.raises(InputError, match="points outside the root"):
        parse_manifest(manifest(symlinks=links).to_bytes())


def test_links_in_a_circle_are_refused() -> None:
    links = (SymlinkEntry("/a", "b"), SymlinkEntry("/b", "a"))
    with pytest.raises(InputError, match="points outside the root"):
        parse_manifest(manifest(symlinks=links).to_bytes())
