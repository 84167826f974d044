"""Files that change while the bundle is written: they are left out and named, and all else stays."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from corebox.coredump.core import open_core
from corebox.errors import InputError
from corebox.files.diskroot import DiskRoot
from corebox.files.faults import changed
from corebox.gather.changed import without_changed
from corebox.gather.collect import Collection, GatherOptions, collect
from tests.unit.gather.sites import EXECUTABLE, LIBC, LINKER


@pytest.fixture
def collection(core_path: Path, root: Path) -> Iterator[Collection]:
    with open_core(str(core_path)) as core, DiskRoot(str(root)) as disk:
        yield collect(core, disk, GatherOptions())


def test_each_file_that_has_changed_is_missing(collection: Collection, root: Path) -> None:
    Path(f"{root}{LINKER}").write_bytes(b"another")
    left = without_changed(collection, changed(f"{root}{LIBC}"))
    assert {LIBC, LINKER}.isdisjoint(entry.path for entry in left.manifest.files)
    assert set(left.sources) == set(collection.sources) - {LIBC, LINKER}
    verdicts = {module.path: (module.verdict, module.size is None) for module in left.manifest.modules}
    assert verdicts == {EXECUTABLE: ("verified", False), LIBC: ("missing", True), LINKER: ("missing", True)}
    assert [(each.path, "changed while it was being gathered" in each.why) for each in left.manifest.missing] == [
        (LINKER, True),
        (LIBC, True),
    ]


def test_an_error_about_something_else_is_raised(collection: Collection) -> None:
    error = changed("/somewhere/core")
    with pytest.raises(InputError) as caught:
        without_changed(collection, error)
    assert caught.value is error
