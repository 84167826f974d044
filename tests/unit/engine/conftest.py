"""An engine in this process."""

import gc
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.stubengine import StubEngine, stub_engine


@pytest.fixture
def sdk() -> Iterator[None]:
    """Lets go of the connections that the docker SDK leaves open, while pytest's filter of warnings is the test's."""
    yield
    gc.collect()


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch, sdk: None) -> Iterator[StubEngine]:
    """The only engine there is, as Docker."""
    with tempfile.TemporaryDirectory() as folder, stub_engine(Path(folder)) as engine:
        for name, value in engine.environment().items():
            monkeypatch.setenv(name, value)
        yield engine
