"""A core that is not moved: it is read out of its bundle or registry as gdb asks, and what gdb says is the same."""

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from corebox.unbundle.around import AroundReader
from tests.integration.test_reduced_cores import crash_redis
from tests.support.dense import (
    LOOK,
    MiB,
    crash_dense,
    frames_in,
    gather,
    mounts_in,
    nothing_is_left,
    servers_of,
    size_of,
)
from tests.support.lab import Lab
from tests.support.person import new_person
from tests.support.registry import BadNetwork, Registry, running
from tests.support.shared import locked
from tests.support.typist import PROMPT, sit_down

ON_DEMAND, WHOLE = ("--core", "on-demand"), ("--core", "whole")


@pytest.fixture(scope="module")
def dense(machine: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of a crash with four threads and 48 MiB that do not compress."""
    folder = tmp_path_factory.mktemp("dense")
    return gather(crash_dense(folder / "crash"), folder / "dense.corebox")


@pytest.fixture(scope="module")
def redis(machine: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of a redis."""
    folder = tmp_path_factory.mktemp("redis")
    crash_redis(folder)
    (core,) = folder.glob("core*")
    return gather(core, folder / "redis.corebox")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory, dense: Path, toolbox_alone: Path) -> Iterator[Registry]:
    """A registry that has the crash, as gzip, as zstd, and as another program has compressed it."""
    folder = tmp_path_factory.mktemp("registry")
    lab = Lab(shutil.copytree(toolbox_alone, folder / "home", symlinks=True))
    with running(Registry(folder / "registry")) as started:
        for compression in ("gzip", "zstd"):
            lab.done("push", dense, f"{started.host}/a/{compression}:1", "--compression", compression)
        # Without what skopeo remembers of the registry's blobs, it compresses by itself.
        copy = "skopeo copy -q --src-tls-verify=false --dest-tls-verify=false"
        steps = (
            "mkdir -p /var/lib/containers; mount -t tmpfs none /var/lib/containers",
            f"{copy} --dest-decompress docker://{started.host}/a/gzip:1 dir:{folder}/plain",
            "rm -rf /var/lib/containers/cache",
            f"{copy} --dest-compress dir:{folder}/plain docker://{started.host}/a/other:1",
        )
        subprocess.run(["unshare", "--mount", "sh", "-ec", "; ".join(steps)], check=True)
        yield started


def look(lab: Lab, subject: object, engine: str, *options: object) -> list[str]:
    """What gdb says of the crash."""
    return frames_in(lab.gdb(subject, engine, *LOOK, options=options).output)


def test_gdb_says_the_same(
    fresh_lab: Lab, any_engine: str, dense: Path, redis: Path, tmp_path: Path, toolbox_alone: Path
) -> None:
    other = Lab(shutil.copytree(toolbox_alone, tmp_path / "other", symlinks=True))
    for bundle in (dense, redis):
        said = look(fresh_lab, bundle, any_engine, *ON_DEMAND)
        assert len(said) > 10
        assert said == look(other, bundle, any_engine, *WHOLE)
    assert nothing_is_left(tmp_path)


def test_a_report_and_a_page_are_the_same(fresh_lab: Lab, bundle: Path, tmp_path: Path, toolbox_alone: Path) -> None:
    """The C++ program of both sites, which has symbols, threads and values."""
    other = Lab(shutil.copytree(toolbox_alone, tmp_path / "other", symlinks=True))
    for form in ("json", "html"):
        words = ("report", bundle, "--engine", "bubblewrap", "--format", form)
        assert fresh_lab.done(*words, *ON_DEMAND).output == other.done(*words, *WHOLE).output


def test_a_core_stays_in_its_bundle(fresh_lab: Lab, dense: Path) -> None:
    with AroundReader(dense) as reader:
        files = sum(entry.size for entry in reader.manifest.files)
    look(fresh_lab, dense, "bubblewrap")  # the toolbox is laid out, and is no part of this
    before = size_of(fresh_lab.home)
    shutil.rmtree(fresh_lab.home / "roots")
    (fresh_lab.home / "roots").mkdir()
    look(fresh_lab, dense, "bubblewrap")
    assert abs(size_of(fresh_lab.home) - before) < MiB
    roots = [size_of(each) for each in (fresh_lab.home / "roots").iterdir()]
    assert min(roots) < files + 2 * MiB, "the files of the bundle"
    assert fresh_lab.done("images", "--json").json["images"] == []
    assert "freed" in fresh_lab.done("prune").output
    assert len(list((fresh_lab.home / "roots").iterdir())) <= 1, "the bundle is there, so its files can go"
    assert nothing_is_left(fresh_lab.home)


def test_an_image_that_is_built_is_used(fresh_lab: Lab, dense: Path) -> None:
    fresh_lab.build(dense)
    said = fresh_lab.corebox("shell", dense, "--engine", "bubblewrap", "--", "-batch", "-ex", "info files")
    assert "served" not in said.output
    assert len(fresh_lab.done("images", "--json").json["images"]) == 1


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_of_a_registry_what_gdb_asks_for_is_fetched(
    fresh_lab: Lab, registry: Registry, dense: Path, compression: str
) -> None:
    name = f"{registry.host}/a/{compression}:1"
    with BadNetwork(registry.port, []) as network:
        said = look(fresh_lab, name.replace(registry.host, f"127.0.0.1:{network.port}"), "bubblewrap")
        first = network.passed
        assert first < 16 * MiB, "the core has 48 MiB that do not compress"
        assert look(fresh_lab, name.replace(registry.host, f"127.0.0.1:{network.port}"), "bubblewrap") == said
        assert network.passed - first < 300_000, "what was fetched is kept; only the image is looked up again"
        (listed,) = fresh_lab.done("images", "--json").json["images"]
        assert listed["partial"]
        assert 0 < listed["layers"][-1]["size"] < first
        fresh_lab.done("prune")
        assert look(fresh_lab, name.replace(registry.host, f"127.0.0.1:{network.port}"), "bubblewrap") == said
        assert network.passed - first < 600_000, "what is needed for it is not pruned"
        pulled = fresh_lab.done("pull", name.replace(registry.host, f"127.0.0.1:{network.port}"))
    assert "core" in pulled.output
    assert ["partial" in each for each in fresh_lab.done("images", "--json").json["images"]] == [False]
    assert not list((fresh_lab.home / "cache/partial").iterdir()), "the core is there as a whole"
    assert said == look(fresh_lab, name.replace(registry.host, f"127.0.0.1:{network.port}"), "bubblewrap")
    assert said == look(fresh_lab, dense, "bubblewrap", *WHOLE)


def test_what_others_compressed_is_pulled_whole_with_a_word(fresh_lab: Lab, registry: Registry) -> None:
    words = ("shell", f"{registry.host}/a/other:1", "--engine", "bubblewrap", "--", "-batch", "-ex", "bt")
    done = fresh_lab.done(*words)
    assert "no table of its frames" in done.errors
    assert "the whole core is fetched" in done.errors
    assert "main (" in done.output
    assert len(fresh_lab.done("images", "--json").json["images"]) == 1


def test_a_registry_without_ranges_is_pulled_from_with_a_word(fresh_lab: Lab, registry: Registry) -> None:
    def without_ranges(request: bytes) -> bytes:
        return request.replace(b"\r\nRange:", b"\r\nX-Range:")

    with BadNetwork(registry.port, [], without_ranges) as network:
        words = ("shell", f"127.0.0.1:{network.port}/a/zstd:1", "--engine", "bubblewrap", "--", "-batch", "-ex", "bt")
        done = fresh_lab.done(*words)
    assert "does not send parts of a blob" in done.errors
    assert "main (" in done.output


def test_a_network_that_cuts_is_borne(fresh_lab: Lab, registry: Registry, dense: Path) -> None:
    with BadNetwork(registry.port, [2 * MiB, 3 * MiB, 300_000, 100_000, 100_000]) as network:
        said = look(fresh_lab, f"127.0.0.1:{network.port}/a/gzip:1", "bubblewrap", *ON_DEMAND)
        assert network.cuts >= 2
    assert said == look(fresh_lab, dense, "bubblewrap", *ON_DEMAND)


@contextmanager
def talking(lab: Lab, *words: object) -> Iterator["subprocess.Popen[str]"]:
    """gdb on a crash, whose commands are typed; it says ``done`` after each ``say``."""
    command = [*lab.command, "shell", *map(str, words), "--engine", "bubblewrap", "--", "-q", "-nx"]
    environment = {**os.environ, "COREBOX_HOME": str(lab.home)}
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as child:
        try:
            yield child
        finally:
            child.kill()


def say(child: "subprocess.Popen[str]", command: str) -> str:
    """What gdb answers."""
    assert child.stdin
    assert child.stdout
    child.stdin.write(f"{command}\necho \\nDONE\\n\n")
    child.stdin.flush()
    lines = []
    for line in child.stdout:
        if line.strip().endswith("DONE"):
            break
        lines.append(line)
    return "".join(lines)


def test_gdb_survives_the_end_of_the_server(fresh_lab: Lab, dense: Path) -> None:
    with talking(fresh_lab, dense) as child:
        assert "main (" in say(child, "bt")
        (server,) = servers_of(fresh_lab.home)
        os.kill(server, signal.SIGKILL)
        assert "Cannot access memory" in say(child, "x/gx words + 4000000")
        assert "42" in say(child, "print 6 * 7")
        say(child, "quit")
        assert child.wait(60) == 0
    assert nothing_is_left(fresh_lab.home)


def test_a_registry_that_is_gone_is_an_error_and_back_again_it_is_read(
    fresh_lab: Lab, registry: Registry, dense: Path
) -> None:
    with talking(fresh_lab, f"{registry.host}/a/zstd:1") as child:
        assert "main (" in say(child, "bt")
        registry.kill()
        try:
            said = say(child, "x/gx words + 4000000")
            assert "Cannot access memory" in said
            assert said.count("cannot be read: cannot reach") == 1
            assert "Cannot access memory" in say(child, "x/gx words + 4000000"), "at once: it has just failed"
        finally:
            registry.start()
        time.sleep(6)  # so long it is not asked again
        assert "5749577968002720296" in say(child, "output words[4000000]")
    assert nothing_is_left(fresh_lab.home)


def test_ctrl_c_ends_the_wait_for_a_registry_that_is_silent(fresh_lab: Lab, registry: Registry, dense: Path) -> None:
    answers = threading.Event()
    answers.set()

    def held(request: bytes) -> bytes:
        answers.wait()
        return request

    with BadNetwork(registry.port, [], held) as network:
        typist = sit_down(fresh_lab, f"127.0.0.1:{network.port}/a/zstd:1", "--engine", "bubblewrap")
        try:
            typist.wait_for(PROMPT)
            answers.clear()
            typist.type(b"output words[4000000]\n")
            time.sleep(2)
            typist.type(b"\x03")
            began = time.monotonic()
            typist.wait_for(PROMPT)
            assert time.monotonic() - began < 10, "it would wait a minute"
        finally:
            answers.set()
        typist.type(b"output words[4000000]\n")
        typist.wait_for(b"5749577968002720296")
        assert typist.leave() == 0
    assert nothing_is_left(fresh_lab.home)


def test_nothing_is_left_of_what_is_killed(fresh_lab: Lab, dense: Path) -> None:
    with talking(fresh_lab, dense) as child:
        say(child, "bt")
        assert mounts_in(fresh_lab.home)
        child.kill()
        child.wait()
        assert nothing_is_left(fresh_lab.home)
    with talking(fresh_lab, dense) as child:
        say(child, "bt")
        for pid in (*servers_of(fresh_lab.home), child.pid):
            os.kill(pid, signal.SIGKILL)
        child.wait()
        assert nothing_is_left(fresh_lab.home)
    with talking(fresh_lab, dense) as child:
        say(child, "bt")
        child.send_signal(signal.SIGTERM)
        child.wait()
        assert nothing_is_left(fresh_lab.home)
    look(fresh_lab, dense, "bubblewrap")
    assert not list((fresh_lab.home / "tmp").glob("*/.corebox-tmp-*")), "the next one has cleaned up"


def test_a_full_disk_keeps_nothing_and_reads_on(
    fresh_lab: Lab, registry: Registry, dense: Path, tmp_path: Path
) -> None:
    look(fresh_lab, f"{registry.host}/a/zstd:1", "bubblewrap")
    shutil.rmtree(fresh_lab.home / "cache/partial")
    (fresh_lab.home / "cache/partial").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", fresh_lab.home / "cache/partial"], check=True)
    try:
        said = look(fresh_lab, f"{registry.host}/a/zstd:1", "bubblewrap")
    finally:
        subprocess.run(["umount", fresh_lab.home / "cache/partial"], check=True)
    assert said == look(fresh_lab, dense, "bubblewrap", *WHOLE)


def test_an_ordinary_user_reads_on_demand_or_is_told_why_not(dense: Path, tmp_path: Path) -> None:
    device = Path("/dev/fuse")
    mode = device.stat().st_mode & 0o777
    with new_person("corebox-reader") as person, locked("dev-fuse"):
        moved = Path(shutil.copy(dense, person.home / "dense.corebox"))
        shutil.chown(moved, person.name)
        words = ("shell", moved, "--engine", "bubblewrap", "--", "-batch", *(w for c in LOOK for w in ("-ex", c)))
        try:
            device.chmod(0o600)
            refused = person.corebox("shell", moved, "--engine", "bubblewrap", *ON_DEMAND, "--", "-batch")
            assert refused.status == 4
            assert "hint: let corebox choose: --core auto" in refused.errors
            whole = person.corebox(*words)
            assert "/dev/fuse cannot be opened by this user; so the whole core is fetched" in whole.errors
            assert "no  on-demand" in person.corebox("doctor").output
            device.chmod(0o666)
            said = person.corebox(*words, env={"COREBOX_HOME": str(person.home / "other")})
            assert said.errors.count("note:") == 0
            assert frames_in(said.output) == frames_in(whole.output)
            assert "ok  on-demand" in person.corebox("doctor").output
            assert not mounts_in(person.home)
        finally:
            device.chmod(mode)


def test_options_and_settings(fresh_lab: Lab, dense: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text('core = "whole"\n')
    env = {"COREBOX_CONFIG": str(config)}
    fresh_lab.gdb(dense, "bubblewrap", "bt", env=env)
    assert len(fresh_lab.done("images", "--json").json["images"]) == 1
    fresh_lab.done("export", dense, "--core", tmp_path / "core", env=env)
    wrong = fresh_lab.corebox("shell", dense, "--core", "partly")
    assert wrong.status == 2
