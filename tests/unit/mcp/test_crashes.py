"""Which crashes are open for an agent, and that what it is told of one has no secrets."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from corebox.actions.session import SessionOptions
from corebox.actions.subject import Image
from corebox.errors import InputError
from corebox.mcp import crash, crashes
from corebox.mcp.crashes import MAX_OPEN, Choice, Crashes
from corebox.store.store import Store
from tests.unit.conftest import RealCore


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was opened and closed."""
    said: list[str] = []

    @contextmanager
    def opening(store: Store, name: str, subject: Any, options: SessionOptions, *, redact: bool) -> Iterator[Any]:
        if "damaged" in name:
            raise InputError("bundle-damaged", f"{name} is damaged", "ask for it again")
        said.append(f"open {Path(name).name}{'' if redact else ' with secrets'}")
        yield object()
        said.append(f"close {Path(name).name}")

    monkeypatch.setattr(crashes, "open_crash", opening)
    monkeypatch.setattr(crashes, "resolve", lambda store, name: name)
    return said


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def folder(tmp_path: Path, *names: str) -> str:
    for name in names:
        path = tmp_path / "crashes" / f"{name}.corebox"
        path.parent.mkdir(exist_ok=True)
        path.touch()
    return str(tmp_path / "crashes")


def test_a_folder_offers_the_bundles_in_it(store: Store, tmp_path: Path) -> None:
    (Path(folder(tmp_path, "b", "a")) / "notes.txt").touch()
    offered = Crashes(store, Choice(("app:1", str(tmp_path / "crashes"))))
    assert [Path(each).name for each in offered.names()] == ["app:1", "a.corebox", "b.corebox"]


class OneBundle:
    """An archive with one crash."""

    def bundle(self, name: str) -> Path | None:
        return Path("/fleet/seven.corebox") if name == "fleet:7" else None

    def find(self, asked: dict[str, str]) -> Iterator[str]:
        yield "fleet:7"


def test_a_crash_of_the_fleet_is_opened_by_its_name_if_the_fleet_is_offered(store: Store, log: list[str]) -> None:
    with Crashes(store, Choice((), archive=OneBundle())) as offered:
        offered.get("fleet:7")
        with pytest.raises(InputError):
            offered.get("fleet:8")
    assert log == ["open fleet:7", "close fleet:7"]
    with Crashes(store, Choice(())) as offered, pytest.raises(InputError) as caught:
        offered.get("fleet:7")
    assert caught.value.code == "not-offered"


def test_what_is_not_offered_is_not_opened(store: Store, log: list[str]) -> None:
    with Crashes(store, Choice(("app:1",))) as offered, pytest.raises(InputError) as caught:
        offered.get("app:2")
    assert caught.value.code == "not-offered"
    assert log == []


def test_a_crash_stays_open_until_the_end(store: Store, log: list[str]) -> None:
    with Crashes(store, Choice(("app:1",), redact=False)) as offered:
        assert offered.get("app:1") is offered.get("app:1")
        assert log == ["open app:1 with secrets"]
    assert log[1:] == ["close app:1"]


def test_the_least_recently_used_crash_is_closed_for_another(store: Store, log: list[str]) -> None:
    names = tuple(f"app:{number}" for number in range(MAX_OPEN + 1))
    with Crashes(store, Choice(names)) as offered:
        for name in (*names[:-1], names[0], names[-1]):
            offered.get(name)
        assert [each for each in log if each.startswith("close")] == [f"close {names[1]}"]
        offered.close(names[2])
        offered.close(names[2])  # it is closed
        assert log.count(f"close {names[2]}") == 1


def test_a_crash_that_cannot_be_opened_is_not_open(store: Store, log: list[str]) -> None:
    with Crashes(store, Choice(("damaged",))) as offered:
        for _ in range(2):
            with pytest.raises(InputError, match="damaged is damaged"):
                offered.get("damaged")


# One crash.


class Gdb:
    """Answers with what it was asked."""

    def execute(self, command: str) -> str:
        return f"{command}\nTOKEN=s3cret"


def blank(text: str) -> str:
    return text.replace("s3cret", "******")


def test_what_gdb_says_is_blanked(store: Store) -> None:
    opened = crash.Crash("app:1", store, "app:1", SessionOptions(), Gdb(), blank)  # type: ignore[arg-type]
    assert opened.ask("bt") == ["bt", "TOKEN=******"]
    assert list(opened.blanked(iter(["s3cret", "b"]))) == ["******", "b"]


def test_a_report_is_made_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[object, ...]] = []

    def report(*asked: object) -> Any:
        made.append(asked)
        return type("Answer", (), {"report": object()})

    monkeypatch.setattr(crash, "report", report)
    opened = crash.Crash("app:1", store, "subject", SessionOptions(), Gdb(), blank)  # type: ignore[arg-type]
    assert opened.report(7) is opened.report(8)
    assert [asked[1:4] for asked in made] == [("subject", "app:1", 7)]


def test_the_core_that_gdb_gets_has_no_value_of_the_environment(
    store: Store, real_core: RealCore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, secret = real_core("dynamic"), b"hunter2-hunter2"
    monkeypatch.setattr(crash, "open_image", lambda *_: type("Opened", (), {"core": path}))
    image: Any = type("Image", (), {"name": "app:1", "image": None})
    redacted, blanking = crash._redacted(store, image, tmp_path)
    assert b"SECRET_TOKEN=" + secret in path.read_bytes()
    assert b"SECRET_TOKEN=***************\0" in redacted.read_bytes()
    assert secret not in redacted.read_bytes()
    assert blanking(f"its value is {secret.decode()}") == "its value is " + "*" * len(secret)


def test_without_a_core_nothing_can_be_asked(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crash, "open_image", lambda *_: type("Opened", (), {"core": None}))
    with pytest.raises(InputError) as caught:
        crash._redacted(store, Image("app:1", None), tmp_path)  # type: ignore[arg-type]
    assert caught.value.code == "no-core"
