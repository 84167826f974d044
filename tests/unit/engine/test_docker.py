"""What is asked of Docker and Podman through the docker SDK, and what becomes of their answers."""

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from corebox.engine.batch import run_batch
from corebox.engine.choose import choose_engine, connect, daemons, find_daemon, try_daemon
from corebox.engine.container import OWNER
from corebox.engine.docker import DockerEngine
from corebox.engine.sandbox import OUTPUT, Finished, Mount, Sandbox
from corebox.errors import CoreboxError, HostError, InputError
from corebox.store.store import Store
from tests.support.stubengine import StubEngine

pytestmark = [pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"), pytest.mark.usefixtures("sdk")]


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    root = tmp_path / "root"
    for folder in ("usr/lib", "etc", "opt/app"):
        (root / folder).mkdir(parents=True)
    (root / "lib").symlink_to("usr/lib")
    (root / "etc/os-release").write_text("ID=debian\n")
    (root / "etc/hosts").write_text("the engine has its own\n")
    return Sandbox(root, (Mount(tmp_path, "/.corebox/x"),), {"A": "1"}, owner=tmp_path)


def docker() -> DockerEngine:
    return connect("docker")


def test_a_command_runs_in_a_container_that_is_bounded_and_goes(stub: StubEngine, sandbox: Sandbox) -> None:
    stub.program = lambda command, _: Finished(3, " ".join(command).encode(), b"complaints")
    done = docker().run(sandbox, ["/bin/gdb", "-batch"], 30.0)
    assert done == Finished(3, b"/bin/gdb -batch", b"complaints")
    (asked,) = stub.created
    assert not stub.containers
    assert (asked["Entrypoint"], asked["Cmd"], asked["User"]) == ([], ["/bin/gdb", "-batch"], "1000:1000")
    assert asked["Env"] == ["A=1"]
    assert asked["Labels"] == {"io.corebox": "sandbox", OWNER: str(sandbox.owner)}
    host = asked["HostConfig"]
    assert (host["NetworkMode"], host["ReadonlyRootfs"], host["CapDrop"]) == ("none", True, ["ALL"])
    assert host["Memory"] == host["MemorySwap"] == sandbox.limits.memory
    assert host["PidsLimit"] == sandbox.limits.processes
    assert host["LogConfig"] == {"Type": "none", "Config": {}}
    assert "no-new-privileges" in host["SecurityOpt"]
    (profile,) = (each for each in host["SecurityOpt"] if each.startswith("seccomp="))
    assert json.loads(profile.removeprefix("seccomp="))["defaultAction"] == "SCMP_ACT_ALLOW"
    assert set(host["Tmpfs"]) == {sandbox.scratch, "/tmp"}


def test_the_root_is_mounted_read_only_and_its_links_are_in_the_image(stub: StubEngine, sandbox: Sandbox) -> None:
    docker().run(sandbox, ["/x"], 30.0)
    (asked,) = stub.created
    mounts = {each["Target"]: each for each in asked["HostConfig"]["Mounts"]}
    assert set(mounts) == {"/usr", "/opt", "/etc/os-release", "/.corebox/x"}
    assert all(each["ReadOnly"] and each["Type"] == "bind" for each in mounts.values())
    assert asked["Image"].startswith("corebox-mount-points-")
    assert len(stub.images) == 1
    docker().run(sandbox, ["/x"], 30.0)
    assert len(stub.images) == 1, "made once"


def test_what_a_session_writes_goes_to_a_folder(stub: StubEngine, sandbox: Sandbox, tmp_path: Path) -> None:
    docker().run(sandbox._replace(output=tmp_path / "out"), ["/x"], 30.0)
    (asked,) = stub.created
    (mount,) = (each for each in asked["HostConfig"]["Mounts"] if each["Target"] == OUTPUT)
    assert (mount["Source"], mount["ReadOnly"]) == (str(tmp_path / "out"), False)
    assert asked["WorkingDir"] == OUTPUT


TRAITS: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "rootless": ({"SecurityOptions": ["name=rootless"]}, {"User": "0:0"}, {"Ulimits": {"core", "nofile", "data"}}),
    "remapped": ({"SecurityOptions": ["name=userns"]}, {}, {"UsernsMode": "host"}),
    "SELinux": ({"SecurityOptions": ["name=selinux,profile=default"]}, {}, {"SecurityOpt": "label=disable"}),
    "no memory limit": ({"MemoryLimit": False}, {}, {"Memory": None}),
    "version 1 of control groups, rootless": (
        {"SecurityOptions": ["name=rootless"], "CgroupVersion": "1"}, {}, {"Memory": None},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TRAITS)
def test_how_the_engine_is_set_up_decides_what_it_is_asked(stub: StubEngine, sandbox: Sandbox, name: str) -> None:
    info, expected, host = TRAITS[name]
    stub.info |= info
    docker().run(sandbox, ["/x"], 30.0)
    (asked,) = stub.created
    assert expected.items() <= asked.items()
    for key, value in host.items():
        found = asked["HostConfig"].get(key)
        if key == "Ulimits":
            assert {each["Name"] for each in found} == value
        elif key == "SecurityOpt":
            assert value in found
        else:
            assert found == value


def test_podman_gets_its_filter_as_a_file_and_no_proxies(
    stub: StubEngine, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub.podman = True
    stub.info |= {"Rootless": True}
    for name, value in stub.environment("podman").items():
        monkeypatch.setenv(name, value)
    engine = connect("podman")
    assert engine.traits.rootless
    engine.run(sandbox, ["/x"], 30.0)
    (asked,) = stub.created
    assert "HTTP_PROXY=" in asked["Env"]
    assert asked["HostConfig"]["UsernsMode"] == "keep-id"
    (profile,) = (each for each in asked["HostConfig"]["SecurityOpt"] if each.startswith("seccomp="))
    assert profile.endswith(".json")
    assert any(each.startswith("mask=/") for each in asked["HostConfig"]["SecurityOpt"])


def test_containers_of_killed_sessions_go(stub: StubEngine, sandbox: Sandbox, tmp_path: Path) -> None:
    """Those whose folder lay beside ours and is gone; a living one's, and others' containers, stay."""
    store = Store(tmp_path / "home")
    with store.workplace() as ours, store.workplace() as living:
        owners = {"a": ours.parent / "gone", "b": Path("/elsewhere/gone"), "c": living}
        for name, owner in owners.items():
            stub.containers[name * 64] = {"Image": "x", "Labels": {OWNER: str(owner)}, "Cmd": []}
        stub.containers["f" * 64] = {"Image": "x", "Labels": {}, "Cmd": []}
        docker().run(sandbox._replace(owner=ours), ["/x"], 30.0)
    assert {name[0] for name in stub.containers} == {"b", "c", "f"}


def test_a_time_limit_ends_the_command(stub: StubEngine, sandbox: Sandbox, tmp_path: Path) -> None:
    (stub.folder / "docker").write_text("#!/bin/sh\nexec sleep 60\n")
    with pytest.raises(HostError) as raised:
        docker().run(sandbox, ["/x"], 0.2)
    assert raised.value.code == "time-limit"
    assert not stub.containers


def test_a_command_that_writes_too_much_is_stopped() -> None:
    done = run_batch(["sh", "-c", "echo errors >&2; exec cat /dev/zero"], 30.0, max_output=1 << 16)
    assert (done.status, len(done.output), done.errors) == (128 + 25, 1 << 16, b"errors\n")


def test_a_pipe_to_a_command(stub: StubEngine, sandbox: Sandbox) -> None:
    stub.program = lambda _, data: Finished(0, data.upper(), b"")
    with docker().pipe(sandbox, ["/x"]) as child:
        assert child.communicate(b"hello")[0] == b"HELLO"
    assert not stub.containers


def test_our_own_streams_are_the_commands(
    stub: StubEngine, sandbox: Sandbox, capfd: pytest.CaptureFixture[str]
) -> None:
    stub.write_client(reads=False)
    stub.program = lambda *_: Finished(7, b"seen\n", b"")
    assert docker().attach(sandbox, ["/x"], False) == 7
    assert capfd.readouterr().out == "seen\n"
    assert stub.created[0]["OpenStdin"]


def test_without_the_engines_own_program_it_is_of_no_use(
    stub: StubEngine, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(HostError) as raised:
        docker().run(sandbox, ["/x"], 30.0)
    assert raised.value.code == "no-engine"
    assert not stub.containers


def test_the_image_of_links_may_be_removed_in_between(stub: StubEngine, sandbox: Sandbox) -> None:
    engine = docker()
    engine.run(sandbox, ["/x"], 30.0)
    (name,) = stub.names.keys() - {name for name in stub.names if name.endswith(":latest")}
    broken = stub.names[name]
    del stub.images[broken]
    stub.images["sha256:stale"] = {"Id": "sha256:stale"}
    engine.run(sandbox, ["/x"], 30.0)
    assert len(stub.created) == 2


def test_leftovers_go_unless_they_are_used(stub: StubEngine, sandbox: Sandbox) -> None:
    engine = docker()
    engine.run(sandbox, ["/x"], 30.0)
    stub.put_image("customer:1")
    assert len(engine.remove_leftovers(dry_run=True)) == 1
    (found,) = engine.remove_leftovers()
    assert found.startswith("corebox-mount-points-")
    assert stub.names == {"customer:1": stub.names["customer:1"]}
    assert engine.remove_leftovers() == []


def test_images_of_an_engine(stub: StubEngine, tmp_path: Path) -> None:
    engine = docker()
    first = stub.put_image("a:1", ["sha256:1", "sha256:2"])
    second = stub.put_image("b:1")
    assert engine.image_id("a:1") == first
    assert engine.image_ids() == {first, second}
    assert engine.layer_chains() == {("sha256:1", "sha256:2"), ()}
    assert not engine.has_containerd_store
    stub.saved["a:1"] = b"an archive"
    engine.save("a:1", tmp_path / "saved")
    assert (tmp_path / "saved").read_bytes() == b"an archive"
    with pytest.raises(InputError) as raised:
        engine.image_id("c:1")
    assert raised.value.code == "no-such-image"


def test_a_context_is_built_and_named(stub: StubEngine) -> None:
    image = docker().build(iter([archive("Dockerfile")]), ["a:1", "b:2"])
    assert stub.built == [["Dockerfile"]]
    assert {stub.names["a:1"], stub.names["b:2"]} == {image}


def archive(*names: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in names:
            tar.addfile(tarfile.TarInfo(name))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("path", "act"),
    [
        ("/info", lambda engine: engine.traits),
        ("/info", lambda engine: engine.has_containerd_store),
        ("/images/load", lambda engine: engine.load(iter([archive("x")]))),
        ("/build", lambda engine: engine.build(iter([archive("Dockerfile")]), ["a:1"])),
        ("/images/json", lambda engine: engine.image_ids()),
        ("/containers/json", lambda engine: engine.remove_leftovers()),
    ],
    ids=["traits", "store", "load", "build", "images", "leftovers"],
)
def test_a_refusal_is_told_in_the_engines_words(
    stub: StubEngine, path: str, act: Callable[[DockerEngine], object]
) -> None:
    stub.refuses[path] = "no space left\n on device"
    with pytest.raises(HostError) as raised:
        act(docker())
    assert raised.value.code == "engine-failed"
    assert raised.value.message.startswith("the docker engine refused: ")
    assert "no space left on device" in raised.value.message


def test_an_error_amid_a_load_is_one(stub: StubEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = docker()
    api = engine._client.api  # what the SDK yields for a line that the engine sends
    monkeypatch.setattr(api, "load_image", lambda _: iter([{"stream": "x"}, {"error": "unexpected EOF"}]))
    with pytest.raises(HostError, match="unexpected EOF"):
        engine.load([b""])


# Which one


def test_the_engine_that_answers_is_taken_and_tried_once(stub: StubEngine, tmp_path: Path) -> None:
    store = Store(tmp_path / "home")
    assert choose_engine("auto", store).name == "docker"
    assert [each["Cmd"] for each in stub.created] == [["/.corebox/trial"]]
    choose_engine("docker", store)
    assert len(stub.created) == 1, "remembered"
    assert [each.name for each in daemons()] == ["docker"]
    found = find_daemon()
    assert found
    assert found.address == stub.address


def test_an_engine_that_cannot_run_anything_is_told_why_and_not_tried_again(
    stub: StubEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "home")
    stub.refuses["/containers/create"] = "invalid mount config: bind source path does not exist: /x"
    for _ in range(2):
        with pytest.raises(HostError) as raised:
            choose_engine("docker", store)
        assert raised.value.code == "engine-unusable"
        assert "COREBOX_HOME" in raised.value.hint
    assert [path for _, path in stub.asked].count("/containers/create") == 1
    stub.refuses.clear()
    assert try_daemon("docker", store).name == "docker"
    assert choose_engine("docker", store).name == "docker"


def test_another_status_than_the_trials_is_no_success(
    stub: StubEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.support.stubengine.TRIAL", Finished(1, b"", b"cannot  open\nshared object"))
    with pytest.raises(HostError, match=r"status 1 .cannot open shared object") as raised:
        choose_engine("docker", Store(tmp_path / "home"))
    assert "doctor" in raised.value.hint


def test_without_any_engine_each_says_what_it_lacks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none")
    monkeypatch.setenv("CONTAINER_HOST", f"unix://{tmp_path}/none")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HostError) as raised:
        choose_engine("auto")
    assert raised.value.code == "no-engine"
    for name in ("docker", "podman"):
        with pytest.raises(HostError) as raised:
            choose_engine(name)
        assert raised.value.code == "no-engine"
        assert "start" in raised.value.hint
    assert find_daemon() is None


def test_an_engine_on_another_machine_cannot_mount_our_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://10.0.0.1:2375")
    monkeypatch.setenv("CONTAINER_HOST", f"unix://{tmp_path}/none")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HostError) as raised:
        choose_engine("docker")
    assert raised.value.code == "remote-engine"
    with pytest.raises(HostError) as raised:
        choose_engine("auto")
    assert "10.0.0.1" in raised.value.message
    assert "DOCKER_HOST" in raised.value.hint


def test_a_socket_that_is_not_for_us_names_the_group(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("docker.DockerClient", refuse)
    with pytest.raises(CoreboxError) as raised:
        DockerEngine.connect("docker", f"unix://{tmp_path}")
    assert "usermod -aG root" in raised.value.hint
