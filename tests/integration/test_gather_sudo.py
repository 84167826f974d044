"""The one-file program as customers call it: by an old Python, under sudo, with a preset of the vendor's."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from corebox.bundle.envelope import is_encrypted
from corebox.gather.cli import main
from tests.support.crashes import Program
from tests.support.programs import python27

NOBODY = 65534


def test_python_2_is_told_what_is_needed(zipapp: Path) -> None:
    done = subprocess.run([python27(), zipapp, "core"], capture_output=True, text=True, check=False)
    assert done.returncode == 4
    error, hint = done.stderr.splitlines()
    assert error == "error: this program needs Python 3.6 or later, and this is Python 2.7"
    assert hint.startswith(f"hint: run it with a newer one: python3 {zipapp}; ")


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder like /tmp, in which everybody may write and nobody may remove what is another's."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o1777)
        yield Path(name)


def test_what_sudo_has_made_belongs_to_the_caller(program: Program, zipapp: Path, shared: Path) -> None:
    """And what others have put there, however deep, does not matter."""
    core = program.crash()
    deep = "import os\nos.mkdir('.corebox-tmp-0123456789abcdef'); os.chdir('.corebox-tmp-0123456789abcdef')\n"
    deep += "for _ in range(1500): os.mkdir('d'); os.chdir('d')\n"
    subprocess.run(["/usr/bin/python3", "-c", deep], cwd=shared, check=True, user=NOBODY, group=NOBODY)
    out = shared / "x.corebox"
    environment = {**os.environ, "SUDO_UID": "1000", "SUDO_GID": "100"}
    command: list[str | Path] = [sys.executable, "-I", "-S", zipapp, core, "-o", out, "--no-nice"]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    status = out.stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (1000, 100, 0o600)
    assert sorted(path.name for path in shared.iterdir()) == [".corebox-tmp-0123456789abcdef", "x.corebox"]
    subprocess.run(["rm", "-rf", shared / ".corebox-tmp-0123456789abcdef"], check=True)


def test_a_preset_may_encrypt_for_a_key_that_the_customer_does_not_have(program: Program, tmp_path: Path) -> None:
    key, out = tmp_path / "cert.pem", tmp_path / "acme-gather.pyz"
    made: list[str | Path] = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-subj",
        "/CN=acme",
        "-out",
        key,
        "-keyout",
    ]
    subprocess.run([*made, tmp_path / "private.pem"], check=True, capture_output=True)
    assert main(["--make-zipapp", str(out), "--preset", f"--encrypt-to {key}", "--message", "Upload it."]) == 0
    shutil.move(key, tmp_path / "at the vendor's")
    core = program.crash()
    command: list[str | Path] = [sys.executable, "-I", "-S", out, core, "--no-nice"]
    done = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert done.stdout.endswith("\nnext:      Upload it.\n")
    (bundle,) = tmp_path.glob("*.corebox.enc")
    assert is_encrypted(str(bundle))
