"""Slim and blanked cores: smaller and discreet, and gdb shows the same stacks."""

from pathlib import Path

import pytest

from corebox.gather.cli import main
from corebox.unbundle.read import BundleReader, read_manifest
from corebox.unbundle.verify import verify_bundle
from tests.support.lab import Lab
from tests.support.site import Crash, Site

SHOWN = ("thread apply all bt full", "info registers", "info sharedlibrary", "p worker_number")


@pytest.fixture(scope="module")
def slim(site: Site, crash: Crash, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The crash with a slim core without the environment's values."""
    out = tmp_path_factory.mktemp("slim") / "slim.corebox"
    words = [str(crash.core), "--root", str(site.root), "-o", str(out), "--slim", "--redact", "env", "--no-nice"]
    assert main(words) == 0
    return out


def test_gdb_shows_the_same(lab: Lab, bundle: Path, slim: Path) -> None:
    whole, reduced = (lab.gdb(path, "bubblewrap", *SHOWN).output for path in (bundle, slim))
    assert "compare" in whole
    assert reduced.splitlines()[-60:] == whole.splitlines()[-60:]


def test_slim_bundle_is_proved_and_says_what_it_is(slim: Path, tmp_path: Path) -> None:
    assert verify_bundle(slim).ok
    core = read_manifest(slim).core
    assert core.original_stored is not None
    assert core.stored <= core.original_stored  # nearly all of this small program is stack and data
    assert core.redacted
    with BundleReader(slim) as reader:
        unpacked = reader.unpack(tmp_path / "out").core
    assert unpacked is not None
    assert b"/usr/bin:/bin:/usr/sbin:/sbin" not in unpacked.read_bytes(), "PATH is in the environment"
