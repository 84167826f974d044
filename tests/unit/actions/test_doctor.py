"""What the doctor finds."""

from pathlib import Path

from corebox.actions.doctor import doctor
from corebox.store.store import Store


def test_a_store_that_cannot_be_used_is_one_finding_among_others(tmp_path: Path) -> None:
    home = tmp_path / "a file"
    home.touch()
    diagnosis = doctor(lambda: Store(home))
    found = {each.what: each for each in diagnosis.findings}
    assert list(found) == ["bubblewrap", "docker", "store", "libzstd"]
    assert not found["store"].ok
    assert f"cannot use the store {home}" in found["store"].detail
    assert "COREBOX_HOME" in found["store"].remedy
    assert not diagnosis.ok
