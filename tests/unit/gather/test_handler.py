"""The kernel's handler: a bundle for each crash, the raw core where that fails, never too many."""

import subprocess
from pathlib import Path

import pytest

from corebox.bundle.read import read_manifest
from corebox.gather.cli import main
from corebox.gather.handler import Limits, handle_crash, surplus


@pytest.fixture
def handler(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """An installed handler that keeps two bundles."""
    place = tmp_path / "dumps"
    assert main(["--install-handler", str(place), "--max-bundles", "2"]) == 0
    assert f"'|{place}/corebox-handler %P %t %e'" in capsys.readouterr().out
    return place


def feed(handler: Path, core: Path, *words: str) -> int:
    with core.open("rb") as source:
        return subprocess.run([str(handler / "corebox-handler"), *words], stdin=source, check=False).returncode


def test_each_crash_becomes_a_bundle_and_old_ones_go(handler: Path, core_path: Path) -> None:
    for when in ("1700000001", "1700000002", "1700000003"):
        assert feed(handler, core_path, "999999999", when, "app") == 0
    bundles = sorted(path.name for path in handler.glob("*.corebox"))
    assert bundles == ["app-999999999-1700000002.corebox", "app-999999999-1700000003.corebox"]
    assert not list(handler.glob("*.core"))
    assert read_manifest(handler / bundles[0]).core.size == core_path.stat().st_size


def test_raw_core_is_kept_when_it_cannot_be_understood(handler: Path, tmp_path: Path) -> None:
    odd = tmp_path / "odd"
    odd.write_bytes(b"no core" * 1000)
    assert feed(handler, odd, "999999999", "1700000001", "../../e", "vil") == 1
    (raw,) = handler.glob("*.core")
    assert raw.name == "_.._e_vil-999999999-1700000001.core"
    assert raw.read_bytes() == odd.read_bytes()
    assert raw.stat().st_mode & 0o777 == 0o600
    assert "kept the raw core" in (handler / "handler.log").read_text()


def test_raw_core_is_kept_when_the_program_does_not_start(handler: Path, core_path: Path) -> None:
    (handler / "corebox-gather.pyz").write_bytes(b"import sys\nsys.exit(5)\n")
    assert feed(handler, core_path, "4711", "1700000001", "app") == 5
    assert (handler / "core.4711").read_bytes() == core_path.read_bytes()


@pytest.mark.parametrize("name", ["with space", "x" * 120, "per%cent"])
def test_directory_that_the_kernel_would_not_take_is_refused(tmp_path: Path, name: str) -> None:
    assert main(["--install-handler", str(tmp_path / name)]) == 2
    assert not (tmp_path / name).exists()


def test_a_directory_where_others_could_replace_the_handler_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    assert main(["--install-handler", str(tmp_path)]) == 2
    assert list(tmp_path.iterdir()) == []


def test_the_newest_stays_whatever_the_limits() -> None:
    bundles = [(3.0, 100, "new"), (2.0, 100, "middle"), (1.0, 100, "old")]
    assert surplus(bundles, Limits(2, 1000)) == ["old"]
    assert surplus(bundles, Limits(10, 250)) == ["old"]
    assert surplus(bundles, Limits(10, 1)) == ["middle", "old"]


def test_handler_can_be_called_directly(tmp_path: Path, core_path: Path) -> None:
    with core_path.open("rb") as source:
        assert handle_crash(str(tmp_path), source, ("999999999", "1", "app"), Limits(5, 1 << 30), 1) == 0
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".corebox"] == ["app-999999999-1.corebox"]
