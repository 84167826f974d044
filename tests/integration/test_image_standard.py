"""The images are what the rest of the world takes: skopeo, podman, Docker, plain builders."""

import contextlib
import json
import os
import pty
import select
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker as docker_sdk
import pytest

from tests.integration.test_builders import engine_tree, native_tree
from tests.support.lab import Lab

BACKTRACE = ("-batch", "-ex", "bt")


@pytest.fixture
def client(docker: None) -> Iterator[docker_sdk.DockerClient]:
    """The SDK's client, closed in the end."""
    found = docker_sdk.from_env()
    yield found
    found.close()


def run(*command: object) -> str:
    result = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def type_at_prompt(command: list[str], *lines: str) -> str:
    """Start a gdb session in a terminal, type each line when gdb asks for it, and return all that was shown."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown, waiting = b"", list(lines)
    with contextlib.suppress(OSError):  # EIO: the other end was closed
        while select.select([ours], [], [], 60)[0] and (piece := os.read(ours, 4096)):
            shown += piece
            if shown.endswith(b"without paging--"):
                os.write(ours, b"c\n")
            elif waiting and shown.endswith(b"(gdb) "):
                os.write(ours, waiting.pop(0).encode())
    os.close(ours)
    process.terminate()  # if it did not come to its end, of which it dies now
    assert process.wait(60) == 0, shown
    return shown.decode(errors="replace")


@pytest.fixture(scope="module")
def image(lab: Lab, bundle: Path) -> Any:
    return lab.build(bundle, "-t", "corebox-test:standard")


@pytest.fixture
def layout(lab: Lab, image: Any) -> str:
    """The image in the store as containers-transports(5) names it."""
    return f"oci:{lab.home}/oci:{image['tags'][0]}"


def test_skopeo_reads_the_store(layout: str, image: Any) -> None:
    seen = json.loads(run("skopeo", "inspect", layout))
    assert seen["Layers"] == [layer["digest"] for layer in image["layers"]]
    assert seen["Labels"]["io.corebox.bundle"] == image["identity"]
    assert seen["Labels"]["io.corebox.signal"] == "SIGSEGV"


def test_skopeo_copies_it_and_the_digests_agree(layout: str, image: Any, tmp_path: Path) -> None:
    run("skopeo", "copy", layout, f"dir:{tmp_path}/copy")
    manifest = json.loads((tmp_path / "copy" / "manifest.json").read_bytes())
    assert manifest["config"]["digest"] == image["image_id"]


def test_nothing_private_is_in_the_configuration(lab: Lab, image: Any) -> None:
    config = (lab.home / "oci" / "blobs" / "sha256" / image["image_id"][7:]).read_text()
    for private in ("hostname", "arguments", str(Path.home())):
        assert private not in config


@pytest.fixture
def podman() -> Iterator[tuple[str, ...]]:
    """Podman with a storage of its own, in a folder with a short name: it takes no other."""
    with tempfile.TemporaryDirectory() as folder:
        command = ("podman", "--storage-driver=vfs", f"--root={folder}/root", f"--runroot={folder}/run")
        yield command
        run(*command, "rmi", "--all", "--force")


def test_podman_pulls_and_runs_it(podman: tuple[str, ...], layout: str, image: Any) -> None:
    assert "sha256:" + run(*podman, "pull", "-q", layout).strip() == image["image_id"]
    # Podman's own limits may be higher than a test machine that is a container itself may set.
    limits = ("--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024")
    safe = ("--network=none", "--read-only", "--cap-drop=all", "--user=4321", *limits)
    shown = run(*podman, "run", "--rm", *safe, image["image_id"], *BACKTRACE)
    assert "compare (left=" in shown


@pytest.mark.usefixtures("docker")
def test_docker_runs_it_as_an_unprivileged_user_from_a_terminal(lab: Lab, image: Any, bundle: Path) -> None:
    lab.done("build", bundle, "--load", "-t", "corebox-test:standard")
    safe = ("--rm", "--network=none", "--read-only", "--user=4321:4321")
    try:
        shown = type_at_prompt(["docker", "run", "-it", *safe, "corebox-test:standard"], "bt 1\n", "quit\n")
    finally:
        run("docker", "rmi", "-f", "corebox-test:standard")
    assert "/opt/acme/bin/pipeline died of SIGSEGV" in shown
    assert "(More stack frames follow...)" in shown


def test_a_context_is_built_by_plain_docker_to_the_same_root(
    lab: Lab, bundle: Path, image: Any, tmp_path: Path, client: docker_sdk.DockerClient
) -> None:
    context = tmp_path / "context"
    lab.done("build", bundle, "--no-load", "--context", context)
    run("docker", "build", "-q", "-t", "corebox-test:context", context)
    try:
        theirs = engine_tree(client, "corebox-test:context", tmp_path)
    finally:
        run("docker", "rmi", "-f", "corebox-test:context")
    assert theirs == native_tree(lab, image["image_id"])


@pytest.fixture
def template(tmp_path: Path) -> Path:
    """A company's own template."""
    folder = tmp_path / "acme"
    folder.mkdir()
    shipped = Path(__file__).parents[2] / "Dockerfile.template"
    own = 'LABEL com.acme.team="core team"\nCOPY --chmod=644 acme.gdb /etc/acme/\n'
    (folder / "Dockerfile.template").write_text(shipped.read_text() + own)
    (folder / "acme.gdb").write_text("echo acme\\n\n")
    return folder / "Dockerfile.template"


def test_a_company_s_template_adds_labels_and_gdb_scripts(fresh_lab: Lab, bundle: Path, template: Path) -> None:
    built = fresh_lab.build(bundle, "--template", template, "-t", "acme:1")
    assert built["tags"] == ["acme:1"]
    (image,) = fresh_lab.done("images", "--json").json["images"]
    assert image["labels"]["com.acme.team"] == "core team"
    assert "acme" in fresh_lab.gdb("acme:1", "bubblewrap", "source /etc/acme/acme.gdb").output
    (template.parent / "acme.gdb").write_text("echo changed\\n\n")
    fresh_lab.build(bundle, "--template", template, "-t", "acme:1")
    assert "changed" in fresh_lab.gdb("acme:1", "bubblewrap", "source /etc/acme/acme.gdb").output


def test_a_template_in_the_configuration_is_used(fresh_lab: Lab, bundle: Path, template: Path, tmp_path: Path) -> None:
    folder = tmp_path / "config" / "corebox"
    folder.parent.mkdir()
    template.parent.rename(folder)
    result = fresh_lab.corebox("build", bundle, "--no-load", env={"XDG_CONFIG_HOME": str(folder.parent)})
    assert result.status == 0, result.errors
    (image,) = fresh_lab.done("images", "--json").json["images"]
    assert image["labels"]["com.acme.team"] == "core team"


RUN = 'RUN ["/.corebox/toolbox/lib/ld.so", "--version"]\n'


def test_run_needs_the_docker_builder(fresh_lab: Lab, bundle: Path, template: Path) -> None:
    with template.open("a") as file:
        file.write(RUN)
    result = fresh_lab.corebox("build", bundle, "--no-load", "--template", template)
    assert result.status == 2
    assert "RUN must be run" in result.errors
    assert "--builder docker" in result.errors
    assert fresh_lab.done("images", "--json").json["images"] == []


def test_the_docker_builder_runs_it(
    fresh_lab: Lab, bundle: Path, template: Path, client: docker_sdk.DockerClient
) -> None:
    # --chmod wants BuildKit, which the SDK has not.
    text = template.read_text().replace("--chmod=644 ", "")
    template.write_text(text + "USER 0\n" + RUN + "USER 1000:1000\n")
    built = fresh_lab.build(bundle, "--builder", "docker", "--template", template, "-t", "corebox-test:run")
    try:
        assert client.images.get("corebox-test:run").id == built["image_id"]
        assert client.images.get("corebox-test:run").labels["com.acme.team"] == "core team"
    finally:
        run("docker", "rmi", "-f", "corebox-test:run")
