"""The JSON documents are what their shipped schemas say."""

import json
from pathlib import Path

import jsonschema
import pytest

from corebox.actions.build import Built
from corebox.actions.info import info
from corebox.actions.subject import BareCore
from corebox.actions.verify import verification_json, verify
from corebox.cli.main import main
from corebox.store.store import Store
from corebox.store.values import Layer
from tests.support.documents import NAMES, schema_of, validate
from tests.support.images import put_random_image
from tests.support.realcores import unpack_core
from tests.unit.report.samples import report


@pytest.mark.parametrize("name", NAMES)
def test_schemas_are_valid(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schema_of(name))


@pytest.mark.parametrize("name", NAMES)
def test_schemas_refuse_another_version(name: str) -> None:
    with pytest.raises(jsonschema.ValidationError):
        validate({"version": 2}, name)


@pytest.fixture
def core(tmp_path: Path) -> Path:
    """A real core, of a machine whose files are not here."""
    return unpack_core("dynamic", tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    return Store(tmp_path / "home")


def test_info_of_a_core(store: Store, core: Path, tmp_path: Path) -> None:
    document = info(store, BareCore(core), str(tmp_path)).to_json()
    validate(document, "info")
    assert document["subject"] == {"kind": "core", "name": str(core), "identity": None}
    assert document["manifest"]["process"]["signal_name"] == "SIGSEGV"
    assert {module["verdict"] for module in document["manifest"]["modules"]} == {"missing"}


def test_gather_of_a_core(core: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "x.corebox"
    assert main(["gather", str(core), "--root", str(tmp_path), "--no-nice", "--json", "-o", str(out)]) == 1
    document = json.loads(capsys.readouterr().out)
    validate(document, "gather")
    assert document["bundle"]["path"] == str(out)


def test_a_report() -> None:
    document = report().to_json()
    validate(document, "report")
    assert document["threads"][0]["frames"][0]["source"][1] == {"line": 7, "text": "return *order;"}


def test_verify_of_a_core_whose_files_are_missing(store: Store, core: Path, tmp_path: Path) -> None:
    result = verify(store, BareCore(core), str(tmp_path))
    validate(verification_json(result), "verify")
    assert not result.ok
    assert {proof.verdict for proof in result.modules} == {"missing"}


def test_verify_ends_with_status_1_if_anything_is_not_proved(
    core: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COREBOX_HOME", str(tmp_path / "home"))
    assert main(["verify", str(core), "--root", str(tmp_path), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["ok"] is False
    assert main(["info", str(core), "--root", str(tmp_path)]) == 0
    assert "SIGSEGV" in capsys.readouterr().out


def test_a_build() -> None:
    layer = Layer("sha256:" + "a" * 64, 10, "core", "sha256:" + "a" * 64)
    built = Built("sha256:" + "b" * 64, ("app:1",), "sha256:" + "c" * 64, ((layer, True),), None)
    document = built.to_json()
    validate(document, "build")
    assert document["layers"] == [{"digest": layer.digest, "size": 10, "kind": "core", "reused": True}]


def test_the_list_of_images(store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    image = put_random_image(store, 4096)
    monkeypatch.setenv("COREBOX_HOME", str(store.home))
    assert main(["images", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    validate(document, "images")
    assert [(each["image_id"], each["tags"]) for each in document["images"]] == [(image.image_id, ["random:1"])]
