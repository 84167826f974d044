"""What the commands of the vendor do with a crash: the engine is a stub, and gdb answers what the test says."""

import json
from pathlib import Path

import pytest

from corebox import api
from corebox.debugger.session import SOURCES
from corebox.engine.sandbox import Finished
from corebox.errors import CoreboxError, InputError
from corebox.unbundle.read import read_manifest
from tests.support.vendor import Vendor, parts, records
from tests.unit.gather.sites import EXECUTABLE, LIBC, OTHER_ID, put_elf

pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


@pytest.fixture
def image(desk: Vendor) -> str:
    """The crash, built."""
    desk.good("build", "--no-load", "-t", "app:1", desk.bundle)
    return "app:1"


# Build


def test_a_bundle_is_built_once(desk: Vendor) -> None:
    first = desk.good("build", "--no-load", "--json", desk.bundle).document
    again = desk.good("build", "--no-load", "--json", "-t", "again:1", desk.bundle).document
    assert again["image_id"] == first["image_id"]
    assert again["tags"][0] == "again:1"
    assert {each["kind"] for each in first["layers"]} >= {"toolbox", "system", "program", "core", "crash"}
    assert all(each["reused"] for each in again["layers"])
    assert first["tags"][0].startswith("dynamic:")
    assert desk.good("build", "--no-load", "--check", desk.bundle).output


def test_an_image_is_loaded_without_the_layers_that_the_engine_has(desk: Vendor, image: str) -> None:
    built = desk.good("build", "--json", desk.bundle).document
    assert built["loaded"] == "docker"
    digests = [each["digest"].removeprefix("sha256:") for each in built["layers"]]
    assert {f"blobs/sha256/{each}" for each in digests} <= set(desk.stub.loaded[-1])
    desk.good("build", "-t", "app:2", desk.bundle)
    assert not {f"blobs/sha256/{each}" for each in digests} & set(desk.stub.loaded[-1]), "nothing twice"


def test_an_engine_that_takes_no_image_without_its_layers_gets_them(
    desk: Vendor, image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.stub.refuses["/images/load"] = "no such file or directory"
    done = desk.fails("build", desk.bundle, status=4, says="no such file or directory")
    assert "docker" in done.errors
    assert [path for _, path in desk.stub.asked][-2:] == ["/images/load"] * 2


def test_docker_builds_of_a_context(desk: Vendor, tmp_path: Path) -> None:
    built = desk.good("build", "--builder", "docker", "--json", "-t", "made:1", desk.bundle).document
    assert {"Dockerfile", "toolbox.tar", "core.tar"} <= set(desk.stub.built[-1])
    assert built["image_id"] == desk.stub.names["made:1"]
    desk.good("build", "--no-load", "--context", tmp_path / "context", desk.bundle)
    lines = (tmp_path / "context/Dockerfile").read_text().splitlines()
    assert "FROM scratch" in lines
    assert "ADD core.tar /" in lines


def test_what_is_no_bundle_is_not_built(desk: Vendor, tmp_path: Path) -> None:
    (tmp_path / "x.corebox").write_bytes(b"nonsense" * 100)
    desk.fails("build", "--no-load", tmp_path / "x.corebox", status=3, says="not a")
    desk.fails("build", "--no-load", "-t", "UPPER:1", desk.bundle, status=2, says="UPPER")


def test_labels_tell_what_is_disclosed_alone(desk: Vendor) -> None:
    desk.good("build", "--no-load", desk.bundle)
    desk.good("build", "--no-load", "-t", "told:1", "--disclose", "arguments", desk.bundle)
    listed = {name: each for each in desk.good("images", "--json").document["images"] for name in each["tags"]}
    secret = "io.corebox.arguments"
    plain = next(each for name, each in listed.items() if name.startswith("dynamic:"))
    assert secret in listed["told:1"]["labels"]
    assert secret not in plain["labels"]


# Look


@pytest.mark.parametrize("subject", ["bundle", "image", "core"])
def test_info_of_each_kind_of_subject(desk: Vendor, image: str, subject: str) -> None:
    name = {"bundle": desk.bundle, "image": image, "core": desk.core}[subject]
    text = desk.good("info", name).output
    assert "SIGSEGV" in text or "SIGABRT" in text
    assert EXECUTABLE in text
    document = desk.good("info", "--json", name).document
    assert EXECUTABLE in json.dumps(document)


def test_verify_proves_modules_wherever_the_files_are(desk: Vendor, image: str) -> None:
    for words in ((desk.bundle,), (image,), (desk.core, "--root", desk.site), (desk.core, "--from", desk.site)):
        done = desk.good("verify", "--json", *words)
        assert done.document["ok"]
        assert {each["verdict"] for each in done.document["modules"]} == {"verified"}
    assert "3 verified" in desk.good("verify", desk.bundle).output


def test_verify_tells_another_build_apart(desk: Vendor, tmp_path: Path) -> None:
    put_elf(tmp_path, LIBC, OTHER_ID)
    put_elf(tmp_path, EXECUTABLE, "c0de01")
    done = desk.corebox("verify", desk.core, "--root", tmp_path)
    assert done.status == 1
    assert f"mismatch       {LIBC}" in done.output
    assert OTHER_ID in done.output
    assert "missing" in done.output


def test_export_gives_the_originals_back(desk: Vendor, image: str, tmp_path: Path) -> None:
    core, bundle, archive = (tmp_path / name for name in ("core", "x.corebox", "x.tar"))
    done = desk.good("export", image, "--core", core, "--bundle", bundle, "--oci-archive", archive)
    assert core.read_bytes() == desk.core.read_bytes()
    assert read_manifest(bundle) == read_manifest(desk.bundle)
    (identity,) = (line for line in desk.good("verify", desk.bundle).output.splitlines() if "identity" in line)
    assert identity in desk.good("verify", bundle).output
    assert "identity sha256:" in done.output
    assert "open it  corebox shell oci-archive:" in done.output
    pulled = desk.good("pull", f"oci-archive:{archive}")
    assert pulled.status == 0
    desk.fails("export", image, status=2, says="nothing to export")


# Ask gdb


def test_a_report_in_each_format(desk: Vendor, image: str, tmp_path: Path) -> None:
    text = desk.good("report", desk.bundle).output
    assert "Null pointer dereference (offset 16)" in text
    assert "copy_order" in text
    assert "order" in text
    document = desk.good("report", "--format", "json", image).document
    assert document["why"]["kind"] == "null-dereference"
    assert document["threads"][0]["frames"][0]["function"] == "copy_order"
    assert "<html" in desk.good("report", "--format", "html", image).output
    assert desk.good("report", "--format", "markdown", "-o", tmp_path / "x.md", image).output == ""
    assert "copy_order" in (tmp_path / "x.md").read_text()
    assert (tmp_path / "x.md").stat().st_mode & 0o777 == 0o600
    (command, *_) = desk.stub.commands()
    assert command[0].startswith("/.corebox/toolbox/lib/ld.so")
    assert "-batch" in command


def test_a_gdb_that_finds_nothing_is_told_with_its_last_words(desk: Vendor, image: str) -> None:
    desk.stub.program = lambda *_: Finished(1, b"", b"no such core\n")
    done = desk.corebox("report", image)
    assert done.status == 1
    assert "gdb ended (exit status 1): no such core" in done.output + done.errors


def test_a_report_of_a_core_with_its_executable(desk: Vendor) -> None:
    """Nothing else of this machine fits."""
    text = desk.good("report", desk.core, "-e", f"{desk.site}{EXECUTABLE}").output
    assert "copy_order" in text
    assert "verified" in text
    desk.fails("report", desk.core, "-e", desk.folder / "none", status=3, says="none")


def test_the_session_has_what_gdb_needs(desk: Vendor, image: str, tmp_path: Path) -> None:
    (tmp_path / "init.gdb").write_text("set print pretty on\n")
    (tmp_path / "printers").mkdir()
    (tmp_path / "src").mkdir()
    out = tmp_path / "out"
    out.mkdir()
    desk.stub.write_client(reads=False)
    desk.stub.program = lambda *_: Finished(5, b"", b"")
    words = ["--gdbinit", tmp_path / "init.gdb", "--python-path", tmp_path / "printers", "--output", out]
    words += ["--source", f"{tmp_path}/src=/build", "--no-customer-code"]
    assert desk.corebox("shell", image, *words, "--", "-batch", "-ex", "bt").status == 5
    desk.stub.write_client()
    asked = desk.stub.created[-1]
    targets = {each["Target"]: each["Source"] for each in asked["HostConfig"]["Mounts"]}
    assert targets[f"{SOURCES}/0"] == str(tmp_path / "src")
    assert {"/.corebox/core", "/.corebox/toolbox", "/.corebox/gdbinit", "/.corebox/manifest.json"} <= set(targets)
    command = asked["Cmd"]
    assert command[-3:] == ["-batch", "-ex", "bt"]
    assert "set auto-load off" in command
    assert f"set substitute-path /build {SOURCES}/0" in command
    assert command[command.index("-se") + 1] == EXECUTABLE


def test_another_executable_must_be_the_one_that_crashed(desk: Vendor, image: str, tmp_path: Path) -> None:
    put_elf(tmp_path, "/app", OTHER_ID)
    desk.fails("shell", image, "-e", tmp_path / "app", status=3, says="not the executable that crashed")
    desk.stub.write_client(reads=False)
    done = desk.good("shell", image, "-e", tmp_path / "app", "--force")
    assert "its frames will be wrong" in done.errors
    desk.fails("shell", image, "-e", "x", status=2, says="-ex is an option of gdb")
    put_elf(tmp_path, "/same", "c0de01")
    done = desk.good("shell", image, "-e", tmp_path / "same", "-c", desk.core)
    assert "wrong" not in done.errors
    desk.stub.write_client()
    assert "/.corebox/executable" in desk.stub.commands()[-1]


def test_a_script_gets_its_arguments_and_gives_its_output(desk: Vendor, image: str, tmp_path: Path) -> None:
    script = tmp_path / "threads.py"
    script.write_text("print(1)\n")

    def gdb(command: list[str], _: bytes) -> Finished:
        mark = next(word for word in command if word.startswith("echo ")).split()[1].removesuffix("\\n")
        return Finished(3, f"opening\n{mark}\nthe output\n".encode(), b"said\n")

    desk.stub.program = gdb
    done = desk.corebox("run", image, script, "5", "--", "--all")
    assert (done.status, done.output) == (3, "the output\n")
    assert "opening" in done.errors
    assert "['threads.py', '5', '--all']" in " ".join(desk.stub.commands()[-1])
    desk.fails("run", image, tmp_path / "x.sh", status=2, says="neither a .py nor a .gdb file")
    desk.fails("run", image, tmp_path / "x.py", status=3, says="does not exist")


def test_the_program_is_started_anew_in_the_sandbox(desk: Vendor, image: str) -> None:
    desk.stub.write_client(reads=False)
    desk.stub.program = lambda *_: Finished(139, b"", b"")
    done = desk.corebox("rerun", image, "--", "-v")
    desk.stub.write_client()
    assert desk.stub.commands()[-1] == [EXECUTABLE, "-v"]
    assert done.status == 139
    assert "SIGSEGV" in done.errors


# Many crashes


def test_crashes_with_one_cause_are_one_group(desk: Vendor, image: str, tmp_path: Path) -> None:
    (tmp_path / "bad.corebox").write_bytes(b"x")
    done = desk.corebox("similar", "--jobs", "1", image, desk.bundle, tmp_path / "bad.corebox")
    assert done.status == 1
    assert done.output.startswith("2 x ")
    assert "Null pointer dereference (offset 16)" in done.output
    assert "bad.corebox: could not be read" in done.errors
    document = desk.good("similar", "--jobs", "1", "--by", "signature", "--json", image).document
    (group,) = document["groups"]
    assert group["names"] == [image]
    assert group["causes"] == [{"cause": "Null pointer dereference (offset 16)", "count": 1}]
    assert desk.corebox("similar", tmp_path / "bad.corebox").status == 3


def test_what_differs_between_two_crashes(desk: Vendor, image: str) -> None:
    answers = [records(parts("other_function")), records(parts())]
    desk.stub.program = lambda *_: Finished(0, answers.pop(), b"")
    text = desk.good("diff", image, desk.bundle).output
    assert "copy_order" in text
    assert "other_function" in text
    answers = [records(parts())] * 2
    document = desk.good("diff", "--json", image, desk.bundle).document
    assert "other_function" not in json.dumps(document)


# The library


def test_the_library_does_the_same(desk: Vendor, image: str) -> None:
    made = api.report(image)
    assert made.answer.why
    assert made.answer.why.kind == "null-dereference"
    assert "copy_order" in api.as_text(made)
    assert "copy_order" in api.as_markdown(made)
    assert "<html" in api.as_html(made)
    assert api.read_bundle(desk.bundle).process.executable == EXECUTABLE
    assert api.verify(desk.bundle).ok
    assert api.build(desk.bundle, ["lib:1"]).tags[0] == "lib:1"
    groups, failed = api.similar([image])
    assert (len(groups), failed) == (1, [])
    with pytest.raises(CoreboxError):
        api.read_bundle(desk.core)


MI = """
import re, sys
answers = {"bt": '~"#0  copy_order\\\\n"', "python pass": ""}
for line in sys.stdin.buffer:
    number, words = re.fullmatch(rb'([0-9]*)-interpreter-exec console "(.*)"', line.strip()).groups()
    word = words.decode()
    if word == "die":
        sys.exit(1)
    if word in answers:
        print(answers[word], flush=True)
        print(number.decode() + "^done", flush=True)
    else:
        print(number.decode() + '^error,msg="Undefined command"', flush=True)
    print("(gdb)", flush=True)
"""


def test_gdb_is_asked_command_by_command(desk: Vendor, image: str) -> None:
    desk.stub.become(MI)
    try:
        with api.session(image) as gdb:
            assert gdb.execute("bt") == "#0  copy_order\n"
            with pytest.raises(InputError, match="Undefined command"):
                gdb.execute("frobnicate")
            with pytest.raises(InputError, match="one line"):
                gdb.execute("a\nb")
            with pytest.raises(CoreboxError) as raised:
                gdb.execute("die")
        assert raised.value.code == "session-ended"
    finally:
        desk.stub.write_client()
    assert not desk.stub.containers


# The store


def test_images_are_listed_and_removed(desk: Vendor, image: str) -> None:
    assert image in desk.good("images").output
    tree = desk.good("images", "--tree").output
    assert "core" in tree
    assert "on disk" in tree
    desk.good("build", "--no-load", "-t", "other:1", desk.bundle)
    done = desk.good("rm", "other:1")
    assert "removed other:1" in done.output
    assert "freed 0" in done.output, "its layers are another's too"
    desk.fails("rm", "none:1", status=3, says="none:1")
    desk.fails("prune", "--older-than", "soon", status=2, says="soon")
    assert "would free" in desk.good("prune", "--dry-run", "--limit", "20G").output
    assert desk.store.look_up(image)


def test_toolboxes_are_listed_and_travel(desk: Vendor, tmp_path: Path) -> None:
    assert desk.good("toolbox", "list").output.startswith("* sha256:")
    desk.good("toolbox", "export", tmp_path / "toolbox")
    done = desk.good("toolbox", "import", tmp_path / "toolbox")
    assert "gdb 18.1" in done.output
    desk.fails("toolbox", "import", desk.core, status=3, says="not a toolbox")


def test_the_doctor_says_what_works(desk: Vendor) -> None:
    done = desk.corebox("doctor", "--json")
    found = {each["what"]: each for each in done.document["findings"]}
    assert found["docker"]["ok"]
    assert found["docker"]["detail"].startswith("works, at unix://")
    assert found["auto"]["detail"] == "--engine auto takes docker"
    assert not found["podman"]["ok"]
    assert "podman.socket" in found["podman"]["remedy"]
    assert found["toolbox"]["ok"]
    assert "docker" in desk.corebox("doctor").output
    desk.stub.info["SecurityOptions"] = ["name=rootless", "name=userns", "name=selinux"]
    again = desk.corebox("doctor", "--json")
    del desk.stub.info["SecurityOptions"]
    (docker,) = (each for each in again.document["findings"] if each["what"] == "docker")
    assert "works, rootless, users remapped, SELinux" in docker["detail"]
