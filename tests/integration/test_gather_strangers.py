"""What root gathers of somebody else's crash: nothing that this user could not have read, nothing by its name alone."""

import os
import shutil
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from corebox.bundle.corecontent import CompactCore
from corebox.bundle.manifest import Manifest
from corebox.bundle.write import Content, write_bundle
from corebox.coredump.core import open_core
from corebox.coredump.elffile import elf_of
from corebox.errors import InputError
from corebox.files.diskroot import DiskRoot
from corebox.files.mounts import read_mounts
from corebox.files.reader import Reader
from corebox.gather.cli import main
from corebox.gather.collect import GatherOptions, collect
from corebox.unbundle.read import read_manifest
from corebox.unbundle.verify import verify_bundle
from tests.support.elfwriter import NT_FILE, NT_PRPSINFO, PAGE, CoreWriter, Format, module
from tests.support.programs import FOLDER
from tests.support.silentmount import silent_mount

NOBODY = 65534
SECRET = b"the private key of root"


@pytest.fixture
def place(open_folder: Path) -> Path:
    """A folder of nobody's, with the program that plants names."""
    subprocess.run(["gcc", "-g", "-o", open_folder / "odd", FOLDER / "odd" / "odd.c"], check=True)
    os.chown(open_folder, NOBODY, NOBODY)
    return open_folder


@pytest.fixture
def private(tmp_path: Path) -> Path:
    """A library of root's own, with a secret in it."""
    path = tmp_path / "private.so"
    path.write_bytes(module(Format(), b"\x01\x02") + SECRET)
    path.chmod(0o600)
    return path


def crash(place: Path, *words: object) -> Path:
    """Run by nobody until it dies; the core is nobody's."""
    as_nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", place / "odd"]
    subprocess.run([*map(str, as_nobody), *map(str, words)], cwd=place, check=False, capture_output=True)
    (core,) = place.glob("core*")
    return core


def gather(core: Path, *options: str) -> tuple[int, Manifest]:
    out = core.parent / "x.corebox"
    out.unlink(missing_ok=True)
    status = main([str(core), "-o", str(out), "--no-nice", *options])
    assert SECRET not in subprocess.run(["zstd", "-dcq", out], capture_output=True, check=True).stdout
    return status, read_manifest(out)


def why(manifest: Manifest, path: object) -> str:
    (omission,) = [each.why for each in manifest.missing if each.path == str(path)]
    return omission


def test_names_in_the_link_map_that_only_root_can_read(place: Path, private: Path) -> None:
    folder = place / "lib"
    folder.mkdir(mode=0o755)
    public = folder / "public.so"
    public.write_bytes(module(Format(), b"\x03"))
    names = (private, public, "/etc/passwd", "/etc/shadow")
    _, manifest = gather(crash(place, "names", *names))
    assert not {str(name) for name in names} & {entry.path for entry in manifest.files}
    for name in (private, "/etc/shadow"):
        assert "not readable for the user whose crash it is, 65534" in why(manifest, name)
    assert "not proved by the core" in why(manifest, public)
    assert "not the file that was mapped" in why(manifest, "/etc/passwd")
    assert {each.verdict for each in manifest.modules if each.path in map(str, names)} == {"missing"}
    assert [entry.path for entry in manifest.files if entry.role == "executable"] == [str(place / "odd")]


def test_root_may_say_that_the_crash_is_to_be_trusted(place: Path, tmp_path: Path) -> None:
    library = tmp_path / "library.so"
    library.write_bytes(module(Format(), b"\x03"))
    _, manifest = gather(crash(place, "names", library), "--trust")
    assert str(library) in {entry.path for entry in manifest.files}


def test_a_core_written_by_hand_is_of_who_owns_it(place: Path, private: Path) -> None:
    """It says that it is root's, and has the build ID of a library that its author cannot read."""
    form = Format()
    writer = CoreWriter(form)
    writer.note(NT_PRPSINFO, bytes(136))
    writer.note(NT_FILE, form.mappings([(0x40000, 0x40000 + 2 * PAGE, 0, os.fsencode(private))]))
    writer.memory(0x40000, module(form, b"\x01\x02"), flags=5)
    core = writer.write(place / "core")
    os.chown(core, NOBODY, NOBODY)
    status, manifest = gather(core)
    assert (status, manifest.files) == (1, tuple(entry for entry in manifest.files if entry.role == "os-release"))
    assert "not readable for the user" in why(manifest, private)
    compressed = place / "core.gz"
    subprocess.run(["gzip", core], check=True)
    assert "not readable for the user" in why(gather(compressed)[1], private)


def test_printers_are_followed_within_the_data_of_their_library_alone(place: Path, tmp_path: Path) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "secret.py").write_bytes(SECRET)
    (place / "share").mkdir()
    (place / "share" / "own").mkdir()
    (place / "share" / "own" / "printers.py").write_text("pass\n")
    (place / "share" / "linked").symlink_to(hidden)
    (place / "share" / "own" / "key.py").symlink_to(hidden / "secret.py")
    up = "../" * len(place.parts)
    names = [f"{place}/share/own", f"{place}/share/linked", f"{place}/share/{up}{str(hidden)[1:]}", str(hidden)]
    (place / "odd-gdb.py").write_text("".join(f"'{name}'\n" for name in names))
    _, manifest = gather(crash(place))
    scripts = {entry.path for entry in manifest.files if entry.role == "auto-load"}
    ours = {path for path in scripts if not path.startswith("/usr/")}
    assert ours == {f"{place}/odd-gdb.py", f"{place}/share/own/printers.py"}


@pytest.fixture
def swapping(place: Path, private: Path) -> Iterator[Path]:
    """A library in a folder that becomes a link to root's own folder, and back, all the time."""
    real, link, shown = place / "real", place / "link", place / "shown"
    real.mkdir()
    shutil.copy(private, real / "private.so")
    (real / "private.so").write_bytes(module(Format(), b"\x01\x02"))
    link.symlink_to(private.parent)
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            real.rename(shown)
            shown.rename(real)
            link.rename(shown)
            shown.rename(link)

    swapper = threading.Thread(target=swap)
    swapper.start()
    yield shown / "private.so"
    stop.set()
    swapper.join()


def test_a_folder_that_is_swapped_leads_nowhere_else(swapping: Path, place: Path, private: Path) -> None:
    private.chmod(0o644)  # so that permissions alone do not save us
    private.parent.chmod(0o755)
    core = crash(place, "names", swapping)
    for _ in range(100):
        with open_core(str(core)) as opened, DiskRoot("/") as root:
            found = collect(opened, root, GatherOptions())
            out = place / "x.corebox"
            write_bundle(str(out), Content(found.manifest, found.sources, CompactCore(opened)))
        content = subprocess.run(["zstd", "-dcq", out], capture_output=True, check=True).stdout
        taken = {entry.path for entry in found.manifest.files}
        assert SECRET not in content or str(private) in taken  # through the link, and named as what it is
        assert str(swapping) not in taken or SECRET not in content


def test_names_that_are_none_cost_themselves_alone(place: Path) -> None:
    os.mkfifo(place / "fifo")
    names = [
        "/proc/1/environ",
        "/proc/self/mem",
        "/sys/kernel/notes",
        "/dev/fd/3",
        "/dev/zero",
        f"{place}/fifo",
        "/usr",
    ]
    status, manifest = gather(crash(place, "names", *names))
    assert status == 1
    assert {name: bool(why(manifest, name)) for name in names} == dict.fromkeys(names, True)
    assert [each.verdict for each in manifest.modules if each.executable] == ["verified"]


def test_a_mount_that_does_not_answer_costs_seconds(place: Path) -> None:
    silent = place / "silent"
    silent.mkdir()
    core = crash(place, "names", f"{silent}/a.so", f"{silent}/b/c.so", f"{silent}/../odd")
    with silent_mount(silent):
        # In a process of its own: a test that hangs must end.
        command = [sys.executable, "-m", "corebox", "gather", str(core), "-o", str(place / "x.corebox")]
        # It waits five seconds, once.
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1, done.stderr
    manifest = read_manifest(place / "x.corebox")
    assert "does not answer" in why(manifest, f"{silent}/a.so")
    assert "does not answer" in why(manifest, f"{silent}/b/c.so")
    assert [each.verdict for each in manifest.modules if each.executable] == ["verified"]


def test_a_file_behind_a_slow_mount_is_copied(tmp_path: Path) -> None:
    """As from NFS: by another process, which could be killed."""
    library = tmp_path / "net" / "lib.so"
    library.parent.mkdir()
    library.write_bytes(module(Format(), b"\x07"))
    mounts = read_mounts("/")._replace(slow=(str(library.parent),))
    with DiskRoot("/", None, mounts) as root:
        found = root.find(str(library))
        assert found.file
        elf = elf_of(found.file)
        assert elf
        assert elf.build_id == "07"
        assert found.file.status.size == library.stat().st_size
        library.write_bytes(b"changed")
        assert os.pread(found.file.fileno(), 4, 0) == b"\x7fELF"
        assert root.find(str(library.parent / "none")).why == "no such file"


@pytest.fixture
def own_mount(place: Path) -> Iterator[Path]:
    """A FUSE mount of nobody's, which answers nobody alone, as that of an AppImage does; the program is in it."""
    source, mount = place / "source", place / "mount"
    source.mkdir()
    mount.mkdir()
    os.chown(mount, NOBODY, NOBODY)
    (place / "odd").rename(source / "odd")
    device = Path("/dev/fuse")
    mode = device.stat().st_mode & 0o777
    device.chmod(0o666)  # as it is where users mount anything
    as_nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    with subprocess.Popen([*as_nobody, "bindfs", "--no-allow-other", "-f", source, mount]) as server:
        while f" {mount} " not in Path("/proc/mounts").read_text():  # root may not look at the mount itself
            time.sleep(0.05)
        yield mount
        subprocess.run(["umount", mount], check=True)
        server.wait()
    device.chmod(mode)


def test_a_program_on_its_users_own_mount(own_mount: Path, place: Path) -> None:
    as_nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    subprocess.run([*as_nobody, own_mount / "odd"], cwd=place, check=False)
    status, manifest = gather(place / "core")
    assert (status, {each.verdict for each in manifest.modules}) == (0, {"verified"})
    assert verify_bundle(place / "x.corebox").ok


def test_a_copy_that_fails_costs_its_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = tmp_path / "net" / "lib.so"
    library.parent.mkdir()
    library.write_bytes(module(Format(), b"\x07"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "none"))
    with DiskRoot("/", None, read_mounts("/")._replace(slow=(str(library.parent),))) as root:
        assert root.find(str(library)).why == "no such file"
        assert root.find("/bin/true").file


def test_a_file_that_changes_while_it_is_read_is_left_out(place: Path) -> None:
    core = crash(place)
    with (place / "odd").open("ab") as file:
        for _ in range(200):
            file.write(b"x" * (1 << 20))  # so long that it can change meanwhile
    # Not a thread: while files are looked up, all threads of this process are nobody's.
    change = "import os, sys, time\nwhile True: os.utime(sys.argv[1]); time.sleep(0.001)"
    with subprocess.Popen([sys.executable, "-c", change, place / "odd"]) as changer:
        status, manifest = gather(core)
        changer.kill()
    assert status == 1
    assert "changed while it was being gathered" in why(manifest, place / "odd")
    assert [each.verdict for each in manifest.modules if each.executable] == ["missing"]
    assert len([each for each in manifest.modules if each.verdict == "verified"]) >= 2
    assert verify_bundle(place / "x.corebox").problems == ()


def test_many_sparse_files_are_bounded_together(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.so" for number in range(8)]
    for path in paths:
        path.write_bytes(module(Format(), b"\x03"))
        os.truncate(path, 60 << 20)
    with DiskRoot(str(tmp_path)) as root:
        found = [root.find(f"/{path.name}") for path in paths]
    assert [each.file is not None for each in found] == [True] * 4 + [False] * 4
    assert "a sparse file" in str(found[-1].why)


def test_two_files_that_a_process_had_under_one_path(place: Path) -> None:
    """A plugin that was replaced and loaded again: both are proved, and one of them is in the bundle."""
    for number in (1, 2):
        text = f"int version(void) {{ return {number}; }}"
        command = ["gcc", "-shared", "-x", "c", "-", "-o", str(place / f"p{number}.so")]
        subprocess.run(command, input=text, text=True, check=True)
    shutil.copy(place / "p1.so", place / "p.so")
    host = """
        #include <dlfcn.h>
        #include <stdio.h>
        #include <unistd.h>
        int main(void) {
            void *one = dlopen("./p.so", RTLD_NOW);
            rename("p2.so", "p.so");
            void *two = dlopen("././p.so", RTLD_NOW);
            puts(one && two && one != two ? "ready" : "failed");
            fflush(stdout);
            pause();
        }"""
    subprocess.run(["gcc", "-x", "c", "-", "-o", str(place / "host"), "-ldl"], input=host, text=True, check=True)
    with subprocess.Popen([place / "host"], cwd=place, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        status = main(["--pid", str(process.pid), "-o", str(place / "x.corebox"), "--no-nice"])
        process.kill()
    plugins = [each.verdict for each in read_manifest(place / "x.corebox").modules if each.path == str(place / "p.so")]
    assert (status, sorted(plugins)) == (1, ["missing", "verified"])
    assert [proof.verdict for proof in verify_bundle(place / "x.corebox").modules].count("verified") >= 3


@pytest.mark.parametrize("closed", [">&-", ">/dev/full", "| true"])
def test_a_summary_that_nobody_reads_costs_nothing(place: Path, closed: str) -> None:
    core = crash(place)
    command = f"{sys.executable} -m corebox gather {core} -o {place}/y.corebox {closed}; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert verify_bundle(place / "y.corebox").ok


def test_a_script_that_is_a_link_is_left(place: Path, private: Path) -> None:
    """Whoever gathers: the crash may be another's who has only made it look like this user's own."""
    (place / "odd-gdb.py").symlink_to(private)
    _, manifest = gather(crash(place), "--trust")
    assert str(private) not in {entry.path for entry in manifest.files}


def test_nobody_swaps_the_temporary_directory(place: Path, tmp_path: Path) -> None:
    """Root gathers in a folder of nobody's, who puts a link in the place of whatever root makes there."""
    own = tmp_path / "own"
    own.mkdir(mode=0o777)
    core = crash(place)
    subprocess.run(["gzip", "-k", core], check=True)
    swap = """
import os, sys
folder, target = sys.argv[1:]
while True:
    for name in os.listdir(folder):
        if name.startswith(".corebox-tmp-"):
            try:
                os.rename(f"{folder}/{name}", f"{folder}/moved-{name}")
                os.symlink(target, f"{folder}/{name}")
            except OSError:
                pass
"""
    as_nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "/usr/bin/python3", "-c", swap]
    with subprocess.Popen([*as_nobody, place, own]) as swapper:
        for number in range(10):
            main([f"{core}.gz", "-o", str(place / f"{number}.corebox"), "--no-nice"])
        swapper.kill()
    assert list(own.iterdir()) == []
    (place / "link.corebox").symlink_to(own / "new")
    os.lchown(place / "link.corebox", NOBODY, NOBODY)
    assert main([str(core), "-o", str(place / "link.corebox"), "--no-nice"]) == 4
    assert list(own.iterdir()) == []


def test_a_link_to_an_open_file_is_not_replaced(place: Path) -> None:
    """As /dev/stdout is, which root would replace for everybody."""
    core = crash(place)
    out = place / "stdout"
    out.symlink_to("/proc/self/fd/1")
    with (place / "redirected").open("wb") as file:
        command = [sys.executable, "-m", "corebox", "gather", str(core), "-o", str(out)]
        done = subprocess.run(command, stdout=file, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, out.is_symlink()) == (4, True)
    assert "is not a regular file" in done.stderr
    (place / "named").symlink_to("real.corebox")
    assert main([str(core), "-o", str(place / "named"), "--no-nice"]) == 0
    assert (place / "named").is_symlink()
    assert verify_bundle(place / "real.corebox").ok


def test_root_that_may_not_change_its_user_says_so(place: Path) -> None:
    core = crash(place)
    dropped = ["setpriv", "--bounding-set", "-setuid,-setgid", "--inh-caps", "-setuid,-setgid"]
    command = [sys.executable, "-m", "corebox", "gather", str(core), "-o", str(place / "x.corebox")]
    done = subprocess.run([*dropped, *command], capture_output=True, text=True, check=False)
    assert (done.returncode, "not permitted to act as user" in done.stderr, "--trust" in done.stderr) == (4, True, True)
    assert subprocess.run([*dropped, *command, "--trust"], capture_output=True, check=False).returncode == 0


def test_root_of_a_namespace_reads_what_its_user_may(place: Path) -> None:
    core = crash(place)
    core.chmod(0o644)
    command = ["unshare", "--user", "--map-root-user", sys.executable, "-m", "corebox", "gather", str(core)]
    done = subprocess.run([*command, "-o", str(place / "x.corebox")], capture_output=True, text=True, check=False)
    assert (done.returncode, "exact" in done.stdout) == (0, True), done.stdout + done.stderr


def bytes_read() -> int:
    """What this process has read so far (proc(5), /proc/pid/io)."""
    return int(Path("/proc/self/io").read_text().splitlines()[0].split()[1])


def test_a_sparse_file_of_terabytes_is_not_read(place: Path) -> None:
    core = crash(place)
    with (place / "odd").open("r+b") as file:
        file.truncate(4 << 40)
    before = bytes_read()
    _, manifest = gather(core)
    assert bytes_read() - before < 1 << 30
    assert "a sparse file" in why(manifest, place / "odd")


def test_few_descriptors_are_enough_for_many_files(tmp_path: Path) -> None:
    """Files that had to be closed are opened again, and must be what they were."""
    paths = [tmp_path / f"{number}.so" for number in range(40)]
    for number, path in enumerate(paths):
        path.write_bytes(module(Format(), bytes([number + 1])))
    with DiskRoot(str(tmp_path)) as root:
        root._most_open = 8
        files = [root.find(f"/{path.name}").file for path in paths]
        assert [elf.build_id for elf in map(elf_of, files) if elf] == [f"{n + 1:02x}" for n in range(40)]
        assert len([*Path("/proc/self/fd").iterdir()]) < 40
        paths[0].write_bytes(paths[1].read_bytes())
        assert files[0]
        with pytest.raises(InputError, match="changed while"):
            files[0].fileno()


def test_the_reader_is_us_again_afterwards(private: Path) -> None:
    with DiskRoot("/", Reader(NOBODY, NOBODY)) as root:
        assert root.find(str(private)).file is None
        assert (os.geteuid(), os.getegid()) == (0, 0)
        assert private.read_bytes().endswith(SECRET)


def test_a_name_of_a_thousand_folders_is_passed_over(tmp_path: Path) -> None:
    with DiskRoot(str(tmp_path)) as root:
        assert root.find("/a" * 1000).why == "its name is too long or too deep"


def test_the_bundle_of_a_stranger_has_no_file_of_a_tar(place: Path, private: Path) -> None:
    """The archive as any tar lists it, beside what our own reader says."""
    gather(crash(place, "names", private))
    plain = subprocess.run(["zstd", "-dcq", place / "x.corebox"], capture_output=True, check=True).stdout
    (place / "x.tar").write_bytes(plain)
    with tarfile.open(place / "x.tar") as archive:
        assert f"rootfs{private}" not in archive.getnames()


@pytest.mark.parametrize(("mode", "verdict"), [(0o755, "verified"), (0o711, "missing")])
def test_what_a_process_may_only_execute_is_not_taken(place: Path, mode: int, verdict: str) -> None:
    program = place / "sleep"
    shutil.copy("/bin/sleep", program)
    program.chmod(mode)
    as_nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", str(program), "60"]
    with subprocess.Popen(as_nobody) as process:
        while Path(f"/proc/{process.pid}/exe").resolve() != program:
            time.sleep(0.01)
        main(["--pid", str(process.pid), "-o", str(place / "x.corebox"), "--no-nice"])
        process.kill()
    manifest = read_manifest(place / "x.corebox")
    assert [each.verdict for each in manifest.modules if each.executable] == [verdict]
    assert (str(program) in {entry.path for entry in manifest.files}) == (verdict == "verified")


def test_a_file_that_only_root_may_read_says_so(place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Gathered by nobody, of nobody's crash: the advice is to call root, not that the file is gone."""
    library = place / "hidden.so"
    library.write_bytes(module(Format(), b"\x03"))
    library.chmod(0o600)
    core = crash(place, "names", library)
    with DiskRoot("/", Reader(NOBODY, NOBODY)) as root:
        assert root.find(str(library)).why == "not readable for the user whose crash it is, 65534"
    shutil.copytree(Path(__file__).parents[2] / "corebox", place / "corebox")
    command = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "/usr/bin/python3", "-m"]
    more = ["corebox.gather", str(core), "-o", str(place / "x.corebox")]
    subprocess.run([*command, *more], cwd=place, env={"PYTHONPATH": str(place)}, check=False)
    said = capfd.readouterr().out
    assert f"{library}: not readable for this user" in said
    assert "run the same command again as root" in said
