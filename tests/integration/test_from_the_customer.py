"""What comes from a customer besides a plain bundle: an encrypted one, or a core and an archive of libraries."""

import subprocess
from pathlib import Path

import pytest

from tests.support.lab import Lab
from tests.support.site import Crash, Site


@pytest.fixture
def key(tmp_path: Path) -> tuple[Path, str]:
    """A private key of ours, and the public one that the customer encrypts for."""
    path = tmp_path / "age.key"
    made = subprocess.run(["age-keygen", "-o", str(path)], check=True, capture_output=True, text=True)
    return path, made.stderr.split()[-1]


@pytest.fixture
def encrypted(site: Site, crash: Crash, lab: Lab, key: tuple[Path, str], tmp_path: Path) -> Path:
    """The bundle of the crash, encrypted for us."""
    out = tmp_path / "secret.corebox"
    lab.done("gather", crash.core, "--root", site.root, "-o", out, "--encrypt-to", key[1])
    return out


def test_an_encrypted_bundle_is_opened_with_the_key_only(
    encrypted: Path, key: tuple[Path, str], fresh_lab: Lab
) -> None:
    refused = fresh_lab.corebox("shell", encrypted, "--", "-batch")
    assert (refused.status, refused.errors.splitlines()[1]) == (
        2,
        "hint: give the file with the private key: --identity FILE",
    )
    assert fresh_lab.done("info", encrypted, "--identity", key[0], "--json").json["subject"]["kind"] == "bundle"
    assert fresh_lab.done("verify", encrypted, "--identity", key[0], "--json").json["ok"] is True
    assert "qsort" in fresh_lab.gdb(encrypted, "bubblewrap", "bt", options=("--identity", key[0])).output


def test_nothing_decrypted_is_left_lying_about(encrypted: Path, key: tuple[Path, str], fresh_lab: Lab) -> None:
    fresh_lab.done("info", encrypted, "--identity", key[0])
    assert not list(fresh_lab.home.rglob("*decrypted*"))
    assert not list(fresh_lab.home.glob("tmp/*/*"))


def test_a_bare_core_is_opened_with_what_the_request_script_brings(
    site: Site, crash: Crash, fresh_lab: Lab, tmp_path: Path
) -> None:
    script, libraries = tmp_path / "request.sh", tmp_path / "libs.tar.gz"
    fresh_lab.done("request", crash.core, "-o", script)
    subprocess.run(["sh", str(script), "-r", str(site.root), str(libraries)], check=True, capture_output=True)
    built = fresh_lab.done("build", crash.core, libraries, "--no-load", "--json").json
    again = fresh_lab.done("build", crash.core, libraries, "--no-load", "--json").json
    assert {layer["reused"] for layer in again["layers"]} == {True}
    assert again["image_id"] == built["image_id"]
    assert fresh_lab.done("verify", built["tags"][0], "--json").json["ok"] is True
    assert "qsort" in fresh_lab.gdb(built["tags"][0], "bubblewrap", "bt").output
