"""The one-file gatherer as customers run it: with the site's Python or an old one, as root and as an ordinary user."""

import re
import shutil
import subprocess
import tarfile
import tempfile
import time
from pathlib import Path

import pytest

from corebox.coredump.core import open_core
from corebox.gather.cli import main
from corebox.gather.request import request_script
from corebox.unbundle.read import BundleReader
from corebox.unbundle.verify import verify_bundle
from tests.support.programs import find_python, python36
from tests.support.site import Crash, Site, gather_with

ORDINARY = "setpriv --reuid 1000 --regid 1000 --clear-groups"


def desk(site: Site, crash: Crash, zipapp: Path, owner: str) -> Path:
    """A folder of our own in the site with the program and a copy of the core; sites are shared."""
    work = Path(tempfile.mkdtemp(dir=site.root / "tmp"))
    work.chmod(0o755)
    shutil.copy2(crash.core, work / "core")
    shutil.copy(zipapp, work / "gather.pyz")
    site.run(f"chown -R {owner}:{owner} {inside(site, work)}")
    return work


def inside(site: Site, path: Path) -> str:
    """The path as the site sees it."""
    return "/" + str(path.relative_to(site.root))


@pytest.mark.parametrize("user", ["root", "ordinary"])
def test_inside_with_the_sites_own_python(site: Site, crash: Crash, zipapp: Path, bundle: Path, user: str) -> None:
    """Both users get the same."""
    work = desk(site, crash, zipapp, "1000" if user == "ordinary" else "0")
    start = ORDINARY if user == "ordinary" else ""
    done = site.run(f"cd {inside(site, work)}; {start} python3 gather.pyz core -o x.corebox", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^modules:   \d+ verified$", done.stdout, re.MULTILINE)
    verification = verify_bundle(work / "x.corebox")
    assert verification.ok
    with BundleReader(bundle) as reader, BundleReader(work / "x.corebox") as mine:
        assert mine.manifest.modules == reader.manifest.modules
        assert mine.manifest.files == reader.manifest.files
        assert mine.manifest.symlinks == reader.manifest.symlinks


def test_outside_with_python_36_takes_the_same_files(
    site: Site, crash: Crash, zipapp: Path, bundle: Path, tmp_path: Path
) -> None:
    out = tmp_path / "x.corebox"
    assert gather_with(python36(), zipapp, crash, site, out) == 0
    with BundleReader(bundle) as reader, BundleReader(out) as mine:
        assert mine.manifest.modules == reader.manifest.modules
        assert mine.manifest.files == reader.manifest.files
        assert mine.manifest.symlinks == reader.manifest.symlinks
        ours, theirs = mine.unpack(tmp_path / "a").digests, reader.unpack(tmp_path / "b").digests
        assert ours["core.digests"] == theirs["core.digests"]


#: A mount namespace in which an ordinary user can read Python, program and site, wherever they lie.
_SEEN = """
mount -t tmpfs none /srv && mkdir /srv/python /srv/desk /srv/site
mount --bind "$1" /srv/python && mount --bind "$2" /srv/desk && mount --bind "$3" /srv/site
cd /srv/desk && shift 3 && exec "$@"
"""


@pytest.mark.parametrize("user", ["root", "ordinary"])
@pytest.mark.parametrize("version", ["3.6", "3.9", "3.13"])
def test_outside_with_old_and_new_pythons_as_any_user(
    site: Site, crash: Crash, zipapp: Path, bundle: Path, version: str, user: str
) -> None:
    work = desk(site, crash, zipapp, "1000" if user == "ordinary" else "0")
    python = Path(find_python(version)).parents[1]
    start = ORDINARY.split() if user == "ordinary" else []
    words = [
        "env",
        "LD_LIBRARY_PATH=/srv/python/lib",
        *start,
        "/srv/python/bin/python3",
        "gather.pyz",
        "core",
        "--root",
        "/srv/site",
        "-o",
        "x.corebox",
    ]
    command = ["unshare", "--mount", "sh", "-c", _SEEN, "sh", str(python), str(work), str(site.root), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert verify_bundle(work / "x.corebox").ok
    with BundleReader(bundle) as reader, BundleReader(work / "x.corebox") as mine:
        assert mine.manifest.modules == reader.manifest.modules
        assert mine.manifest.files == reader.manifest.files


def test_unreadable_files_are_named_for_an_ordinary_user(site: Site, crash: Crash, zipapp: Path) -> None:
    """What the user may not read is said, and what to do."""
    denied = Path(tempfile.mkdtemp(dir=site.root / "tmp"))  # mode 0700, root's: nothing in it can be seen
    work = desk(site, crash, zipapp, "1000")
    shutil.copytree(site.root / "opt/acme", denied / "acme", symlinks=True)
    script = f"mount --bind {inside(site, denied)} /opt; cd {inside(site, work)}; "
    script += f"{ORDINARY} python3 gather.pyz core -o x.corebox"
    done = site.run(script, check=False)  # in a mount namespace of its own
    assert done.returncode == 1
    assert "MISSING: /opt/acme/bin/pipeline: not readable for this user" in done.stdout
    assert "run the same command again as root" in done.stdout


def test_root_of_a_process_in_a_chroot(site: Site, crash: Crash, tmp_path: Path) -> None:
    with subprocess.Popen(["chroot", str(site.root), "sleep", "600"]) as inside:
        root = f"/proc/{inside.pid}/root"
        while Path(root).readlink() != site.root:  # chroot(1) has started, but is not inside yet
            assert inside.poll() is None
            time.sleep(0.01)
        status = main([str(crash.core), "--root", root, "-o", str(tmp_path / "x.corebox"), "--no-nice"])
        inside.kill()
    assert status == 0
    assert verify_bundle(tmp_path / "x.corebox").ok


def test_answer_to_a_request_is_as_good_as_the_gatherer(site: Site, crash: Crash, tmp_path: Path) -> None:
    """Only sh and tar at the site; links and all are made again from what the core says."""
    work = Path(tempfile.mkdtemp(dir=site.root / "tmp"))
    with open_core(str(crash.core)) as core:
        (work / "request.sh").write_text(request_script(core))
    done = site.run(f"cd {inside(site, work)} && sh request.sh libs.tar.gz", check=False)
    assert done.returncode == 0, done.stderr
    answer = work / "libs.tar.gz"
    command = ["busybox", "sh", str(work / "request.sh"), "-r", str(site.root), str(tmp_path / "busybox.tar.gz")]
    subprocess.run(command, check=True)
    with tarfile.open(answer) as dash, tarfile.open(tmp_path / "busybox.tar.gz") as busybox:
        assert set(busybox.getnames()) == set(dash.getnames())
    out = tmp_path / "x.corebox"
    assert main([str(crash.core), "--root", str(answer), "-o", str(out), "--no-nice"]) == 0
    verification = verify_bundle(out)
    assert verification.ok
    with BundleReader(out) as reader:
        roles = {entry.role for entry in reader.manifest.files}
    assert {"executable", "module", "libthread_db", "os-release"} <= roles


def test_run_script_opens_the_unpacked_bundle_with_the_hosts_gdb(bundle: Path, tmp_path: Path) -> None:
    subprocess.run(["tar", "--zstd", "-xf", str(bundle), "-C", str(tmp_path)], check=True)
    subprocess.run(["sha256sum", "--quiet", "-c", "SHA256SUMS"], cwd=tmp_path, check=True)
    shown = subprocess.run(
        ["sh", str(tmp_path / "run.sh"), "--", "-nx", "-batch", "-ex", "bt"], capture_output=True, text=True, check=True
    ).stdout
    assert re.search(r"^#0 .*compare \(left=", shown, re.MULTILINE), shown
    assert "qsort" in shown
