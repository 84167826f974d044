"""A desk with a crash, for tests of what the commands do."""

import gc
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.vendor import Vendor, vendor


@pytest.fixture(scope="module")
def shared_desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vendor]:
    """One for a module's tests: a crash that was gathered."""
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as sockets, vendor(tmp_path_factory.mktemp("desk"), Path(sockets)) as desk:
        yield desk
    os.chdir(here)


@pytest.fixture
def desk(shared_desk: Vendor) -> Iterator[Vendor]:
    """The same, with an engine that was asked nothing yet, and gdb that answers a report."""
    shared_desk.stub.created.clear()
    shared_desk.stub.refuses.clear()
    shared_desk.answers()
    yield shared_desk
    gc.collect()  # the docker SDK leaves connections open, which are closed while pytest's filter is the test's
