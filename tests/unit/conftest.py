"""Real cores, unpacked once for all tests."""

import gc
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.realcores import unpack_core

# No test is about how long something takes, on whatever machine and beside whatever else.
settings.register_profile("unit", deadline=None)
settings.load_profile("unit")

# jsonschema looks for it at once and it takes a second to load; no schema of ours says a format.
sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]

RealCore = Callable[[str], Path]


def pytest_collection_finish() -> None:
    """What was imported by then stays: a collection of garbage, which some tests ask for, need not look at it."""
    gc.freeze()


@pytest.fixture(scope="session")
def real_core(tmp_path_factory: pytest.TempPathFactory) -> RealCore:
    """A function from the name of a core in ``tests/cores`` to its unpacked file, not to be changed."""
    folder = tmp_path_factory.mktemp("cores")

    def unpacked(name: str) -> Path:
        path = folder / name
        return path if path.exists() else unpack_core(name, folder)

    return unpacked
