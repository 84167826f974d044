"""What is told of a core that lies on the desk, without the files of where it crashed."""

from pathlib import Path

from corebox.actions.info import info
from corebox.actions.subject import BareCore
from corebox.store.store import Store
from tests.support.realcores import unpack_core


def test_this_machines_system_and_kernel_are_not_those_of_a_core_from_elsewhere(tmp_path: Path) -> None:
    os_release = tmp_path / "root/etc/os-release"
    os_release.parent.mkdir(parents=True)
    os_release.write_text('ID=ours\nPRETTY_NAME="Our own"\n')
    found = info(Store(tmp_path / "home"), BareCore(unpack_core("dynamic", tmp_path)), str(tmp_path / "root"))
    assert (found.manifest.site.os_release, found.manifest.site.kernel) == ({}, None)
    assert found.manifest.site.machine == "x86_64"
    assert "Our own" not in str(found.to_json())
