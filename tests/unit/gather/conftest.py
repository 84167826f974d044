"""A real core, and a root that fits it."""

from pathlib import Path

import pytest

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
