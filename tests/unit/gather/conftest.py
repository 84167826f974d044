"""A real core, and a root that fits it."""

from pathlib import Path

import pytest

from corebox.gather.cli import main
from tests.support.realcores import unpack_core
from tests.unit.gather.sites import make_site


@pytest.fixture(scope="session")
def core_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The core of a C program with two threads, not to be changed."""
    return unpack_core("dynamic", tmp_path_factory.mktemp("core"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The root where it crashed."""
    return make_site(tmp_path / "root")


@pytest.fixture
def handler(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """An installed handler that keeps two bundles, and makes three of a program an hour."""
    place = tmp_path / "dumps"
    words = ["--max-bundles", "2", "--per-hour", "3", "--keep-free", "1M", "--no-nice"]
    assert main(["--install-handler", str(place), *words]) == 0
    printed = capsys.readouterr().out
    assert f"'|{place}/corebox-handler %P %t %u %F %E'" in printed
    assert "echo 0 > /proc/sys/kernel/core_pipe_limit" in printed
    return place
