"""What an unprivileged user can make root's crash handler pack: names, scripts, folders that are swapped meanwhile."""

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from corebox.bundle.manifest import Manifest
from corebox.unbundle.read import read_manifest
from tests.support.elfwriter import Format, module
from tests.support.handler import bundle_of, crash, handler_in
from tests.support.programs import FOLDER

pytestmark = pytest.mark.alone

NOBODY = 65534
SECRET = b"the private key of root"
TIMES = 30  # of 100 none, when it was written
_LOADER = """
#include <dlfcn.h>
int main(int count, char **words) {
    for (int tries = 0; tries < 1000 && !dlopen(words[1], RTLD_NOW); tries++) continue;
    return *(volatile int *)8;
}
"""
# Names a folder in turn as a directory of its own, and as a link to root's.
_SWAP = """
import os, sys
place, target = sys.argv[1:]
os.mkdir(place + "/real")
os.rename(place + "/plug.so", place + "/real/plug.so")
os.symlink(target, place + "/link")
os.rename(place + "/real", place + "/shown")
print("ready", flush=True)
while True:
    for one, other in (("real", "link"), ("link", "real")):
        os.rename(place + "/shown", place + "/" + one)
        os.rename(place + "/" + other, place + "/shown")
"""


@pytest.fixture
def handler(tmp_path: Path) -> Iterator[Path]:
    """A handler that is turned on, and makes a bundle of each crash."""
    with handler_in(tmp_path / "crashes", "--per-hour", "1000", "--no-nice") as place:
        yield place


@pytest.fixture
def place(open_folder: Path) -> Path:
    """A folder of nobody's, with programs of his and a library."""
    subprocess.run(["gcc", "-g", "-o", open_folder / "odd", FOLDER / "odd" / "odd.c"], check=True)
    loader: list[str | Path] = ["gcc", "-g", "-x", "c", "-", "-o", open_folder / "loader", "-ldl"]
    subprocess.run(loader, input=_LOADER, text=True, check=True)
    library: list[str | Path] = ["gcc", "-shared", "-x", "c", "-", "-o", open_folder / "plug.so"]
    subprocess.run(library, input="int plugged(void) { return 1; }", text=True, check=True)
    for path in (open_folder, *open_folder.iterdir()):
        os.chown(path, NOBODY, NOBODY)
    return open_folder


@pytest.fixture
def hidden(tmp_path: Path, place: Path) -> Path:
    """A folder of root's that anybody can go through, with files that only root can read."""
    for path in (tmp_path, *tmp_path.parents[:-2]):
        path.chmod(path.stat().st_mode | 0o111)
    folder = tmp_path / "hidden"
    folder.mkdir(mode=0o755)
    (folder / "plug.so").write_bytes((place / "plug.so").read_bytes() + SECRET)
    (folder / "key.py").write_bytes(SECRET)
    (folder / "named.so").write_bytes(module(Format(), b"\x01\x02") + SECRET)
    for path in folder.iterdir():
        path.chmod(0o600)
    return folder


def manifest_without_secret(bundle: Path) -> Manifest:
    assert SECRET not in subprocess.run(["zstd", "-dcq", bundle], capture_output=True, check=True).stdout
    return read_manifest(bundle)


def test_names_and_scripts(handler: Path, place: Path, hidden: Path) -> None:
    own = place / "share" / "own"
    own.mkdir(parents=True)
    (own / "printers.py").write_text("pass\n")
    (own / "key.py").symlink_to(hidden / "key.py")
    (place / "share" / "linked").symlink_to(hidden)
    up = f"{place}/share/" + "../" * len(place.parts)
    names = [str(own), f"{place}/share/linked", up + str(hidden)[1:], str(hidden)]
    (place / "odd-gdb.py").write_text("".join(f"'{name}'\n" for name in names))
    (place / "loader-gdb.py").symlink_to(hidden / "key.py")
    for path in (own.parent, own, own / "printers.py", place / "odd-gdb.py"):
        os.chown(path, NOBODY, NOBODY)
    pid = crash(place / "odd", "names", hidden / "named.so", "/etc/shadow", place / "plug.so", user=NOBODY)
    manifest = manifest_without_secret(bundle_of(handler, pid))
    scripts = {entry.path for entry in manifest.files if entry.role == "auto-load"}
    assert {path for path in scripts if not path.startswith("/usr/")} == {f"{place}/odd-gdb.py", f"{own}/printers.py"}
    why = {each.path: each.why for each in manifest.missing}
    assert "not readable for the user whose crash it is" in why[str(hidden / "named.so")]
    assert "not readable for the user whose crash it is" in why["/etc/shadow"]
    assert "not proved by the core" in why[str(place / "plug.so")]
    manifest = manifest_without_secret(bundle_of(handler, crash(place / "loader", place / "plug.so", user=NOBODY)))
    assert f"{place}/plug.so" in {entry.path for entry in manifest.files}
    assert f"{place}/loader-gdb.py" not in {entry.path for entry in manifest.files}


def test_a_script_of_somebody_else_is_not_the_librarys(handler: Path, place: Path) -> None:
    """Of root's crash, too: who may write to a library's folder chooses what lies beside it."""
    script = place / "loader-gdb.py"
    script.write_text("pass\n")
    for path in (place / "loader", place / "plug.so"):
        os.chown(path, 0, 0)
    os.chown(script, NOBODY, NOBODY)
    manifest = read_manifest(bundle_of(handler, crash(place / "loader", place / "plug.so")))
    assert str(script) not in {entry.path for entry in manifest.files}
    os.chown(script, 0, 0)
    manifest = read_manifest(bundle_of(handler, crash(place / "loader", place / "plug.so")))
    assert str(script) in {entry.path for entry in manifest.files}


def test_a_folder_that_is_swapped_all_the_time(handler: Path, place: Path, hidden: Path) -> None:
    as_nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    size = (place / "plug.so").stat().st_size
    words = ["/usr/bin/python3", "-c", _SWAP, str(place), str(hidden)]
    with subprocess.Popen([*as_nobody, *words], stdout=subprocess.PIPE, text=True) as swapper:
        assert swapper.stdout
        assert swapper.stdout.readline() == "ready\n"
        try:
            for number in range(TIMES):
                words = [str(place / "loader")] if number % 2 else [str(place / "odd"), "names"]
                bundle = bundle_of(handler, crash(*words, place / "shown" / "plug.so", user=NOBODY))
                files = manifest_without_secret(bundle).files
                # What the process had mapped is his, wherever the name leads when it is looked up.
                assert {each.size for each in files if each.path.endswith("/plug.so")} <= {size}
                bundle.unlink()
        finally:
            swapper.kill()


def test_a_process_that_is_gone_is_no_other_one_with_its_number(handler: Path) -> None:
    """The number is given to another process again, on purpose, while the one before is held."""
    from corebox.gather.proc import held_place, owner_of, read_runtime

    number = Path("/proc/sys/kernel/ns_last_pid")
    first = subprocess.Popen(["sleep", "60"])
    with held_place(first.pid) as place:
        assert owner_of(place)
        first.kill()
        first.wait()
        for _ in range(200):
            number.write_text(str(first.pid - 1))
            with subprocess.Popen(["sleep", "60"]) as second:
                second.kill()
                if second.pid == first.pid:
                    assert Path(f"/proc/{first.pid}").exists()
                    assert owner_of(place) is None
                    assert read_runtime(place, "handler") is None
                    return
            time.sleep(0.01)
    raise AssertionError("no other process got the number")
