"""What the kernel tells of a living process, and what follows from its control group."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from corebox.bundle.runtime import RUNNING, Container
from corebox.describe.crash import runtime_facts
from corebox.gather import cgroup
from corebox.gather.cgroup import container_of, control_group, unit_of
from corebox.gather.proc import owner_of, place_of, read_runtime
from tests.unit.bundle.samples import RUNTIME

ID = "0123456789abcdef" * 4
NAMED = """
import ctypes, resource, socket, sys, threading
libc = ctypes.CDLL(None)
resource.setrlimit(resource.RLIMIT_NOFILE, (100, 200))
pair, server, file = socket.socketpair(), socket.socket(), open("/etc/passwd")
event = libc.epoll_create1(0)
def run(name):
    libc.prctl(15, name, 0, 0, 0)
    ready.wait()
    if name == b"last\\n\\x0bUid:1": print("up", flush=True)
    threading.Event().wait()
ready = threading.Barrier(3)
for name in (b"worker", b"worker", b"last\\n\\x0bUid:1"):
    threading.Thread(target=run, args=(name,), daemon=True).start()
sys.stdin.read()
"""


def test_a_living_process_is_described() -> None:
    with subprocess.Popen([sys.executable, "-c", NAMED], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout
        assert child.stdout.readline() == b"up\n"
        runtime = read_runtime(place_of(child.pid), RUNNING)
        owner = owner_of(place_of(child.pid))
        assert child.stdin
        child.stdin.close()
    assert runtime
    assert runtime.kernel.startswith(os.uname().release)
    names = [thread.name for thread in runtime.threads]
    assert names[1:] == ["worker", "worker", "last\n\x0bUid:1"]
    assert runtime.threads[0].tid == child.pid
    kinds = {files.kind: files.number for files in runtime.open_files}
    assert kinds["UNIX-STREAM socket"] == 2
    assert (kinds["TCP socket"], kinds["eventpoll"], kinds["file"]) == (1, 1, 1)
    assert kinds["pipe"] >= 2
    (limit,) = [limit for limit in runtime.limits if limit.name == "Max open files"]
    assert (limit.soft, limit.hard, limit.unit) == (100, 200, "files")
    assert owner == (os.geteuid(), os.getegid(), tuple(sorted(os.getgroups())))


def test_a_process_that_is_gone_tells_nothing() -> None:
    assert read_runtime(place_of(999999999), RUNNING) is None
    assert owner_of(place_of(999999999)) is None


@pytest.mark.parametrize(
    ("text", "group", "unit"),
    [
        ("0::/system.slice/nginx.service\n", "/system.slice/nginx.service", "nginx.service"),
        ("0::/user.slice/user-1.slice/user@1.service/app.slice/app-x.scope\n", None, "app-x.scope"),
        ("9:name=systemd:/\n4:memory:/pods/x\n0::/\n", "/pods/x", None),
        (f"4:memory:/a\n3:pids:/docker/{ID}\n1:cpu:/b\n", f"/docker/{ID}", None),
        ("0::/system.slice/odd\u2028.service/below:1\n", None, "odd\u2028.service"),
        ("0::/\n", None, None),
        ("", None, None),
    ],
)
def test_control_group_and_unit(text: str, group: str | None, unit: str | None) -> None:
    found = control_group(text)
    if group or text in ("", "0::/\n"):
        assert found == group
    assert (unit_of(found) if found else None) == unit


@pytest.mark.parametrize(
    ("group", "engine"),
    [
        (f"/docker/{ID}", "docker"),
        (f"/system.slice/docker-{ID}.scope", "docker"),
        (f"/machine.slice/libpod-{ID}.scope/container", "podman"),
        (f"/kubepods.slice/kubepods-pod{'1' * 32}.slice/cri-containerd-{ID}.scope", "containerd"),
        (f"/kubepods/burstable/pod7/crio-{ID}", "cri-o"),
        (f"/kubepods/besteffort/pod7/{ID}", None),
        (f"/docker/{'f' * 64}/docker/{ID}", "docker"),
    ],
)
def test_container_by_the_name_of_its_group(group: str, engine: str | None) -> None:
    assert container_of(group) == Container(ID, engine, None)


def test_no_container() -> None:
    assert container_of("/system.slice/nginx.service") is None


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True)
    path.write_text(text)


def test_image_by_the_files_of_each_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_DOCKER", "_CONTAINERD", "_CRIO", "_PODMAN"):
        monkeypatch.setattr(cgroup, name, str(tmp_path / name))
    ids = [f"{number:064x}" for number in range(5)]
    put(tmp_path / "_DOCKER/containers" / ids[0] / "config.v2.json", '{"Config": {"Image": "debian:12"}}')
    containerd = '{"annotations": {"io.kubernetes.cri.image-name": "reg/app:1"}}'
    put(tmp_path / "_CONTAINERD/k8s.io" / ids[1] / "config.json", containerd)
    crio = '{"annotations": {"io.kubernetes.cri-o.ImageName": "reg/app:2"}}'
    put(tmp_path / "_CRIO" / ids[2] / "userdata/config.json", crio)
    podman = f'[1, {{"id": "{ids[3]}", "metadata": "{{\\"image-name\\": \\"reg/app:3\\"}}"}}]'
    put(tmp_path / "_PODMAN/overlay-containers/containers.json", podman)
    put(tmp_path / "_DOCKER/containers" / ids[4] / "config.v2.json", "[" * 100000)
    found = [container_of("/x/" + each) for each in ids]
    assert [each.image if each else None for each in found] == [
        "debian:12",
        "reg/app:1",
        "reg/app:2",
        "reg/app:3",
        None,
    ]


def test_it_is_told_in_words() -> None:
    facts = dict(runtime_facts(RUNTIME))
    assert facts["Container"] == "abababababab, docker, image debian:12"
    assert facts["Thread names"] == "app, worker"
    assert facts["Open files"] == "5 (3 file, 2 TCP socket)"
    assert facts["Limits"] == "open files 1024"
    assert not list(runtime_facts(None))


def test_sockets_are_counted_by_protocol() -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM):
        runtime = read_runtime(place_of(os.getpid()), RUNNING)
    assert runtime
    assert any(files.kind == "UDPv6 socket" for files in runtime.open_files)
