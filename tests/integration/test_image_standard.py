"""The images are what the rest of the world takes: skopeo, podman, Docker, plain builders."""

import contextlib
import gzip
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

from tests.integration.test_builders import Tree, engine_tree, native_tree, read_tree
from tests.support.crashes import build_program
from tests.support.lab import Lab
from tests.support.podman import LIMITS, podman_storage

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


WRITE = "open('/new', 'w')"
INSIDE = ("bt 1\n", "python import os; print('user', os.getuid())\n", f"python {WRITE}\n", "quit\n")


def check_session(shown: str) -> None:
    """The lines of INSIDE have told that the crash is there, and that gdb is an ordinary user on a read-only root."""
    assert "/opt/acme/bin/pipeline was killed by SIGSEGV" in shown
    assert "(More stack frames follow...)" in shown
    assert "user 1000\r" in shown
    assert "Read-only file system: '/new'" in shown


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


LABELS = ("bundle", "executable", "fault", "program", "signal", "time", "toolbox", "version")


def test_labels_tell_what_crashed_and_what_is_private_when_asked_alone(
    fresh_lab: Lab, open_folder: Path, tmp_path: Path
) -> None:
    program = build_program(open_folder / "app")  # a core has 80 characters of its arguments, and pytest long folders
    core, crash = program.crash(), tmp_path / "x.corebox"
    fresh_lab.done("gather", core, "-o", crash, "--consent-hostname")
    seen = [labels_of(fresh_lab, crash, *more) for more in ((), ("--disclose=arguments", "--disclose=hostname"), ())]
    assert set(seen[0]) == {*(f"io.corebox.{name}" for name in LABELS), "org.opencontainers.image.title"}
    assert seen[0]["io.corebox.fault"].startswith("SIGSEGV libfail.so+0x")
    assert all(seen[0].values())
    private = {"io.corebox.arguments", "io.corebox.hostname"}
    assert {name: seen[1][name] for name in seen[1].keys() - private} == seen[0] == seen[2]
    assert seen[1]["io.corebox.arguments"].startswith(f"{program.executable} ")
    assert seen[1]["io.corebox.hostname"] == os.uname().nodename
    report = fresh_lab.done("report", crash, "--engine", "bubblewrap", "--format", "json").json
    innermost = report["threads"][0]["frames"][0]
    place = f"SIGSEGV {Path(innermost['module']).name}+{innermost['offset']}"
    assert seen[0]["io.corebox.fault"] == report["fault"] == place
    assert seen[0]["io.corebox.signal"] == report["signature_parts"]["signal"]


def labels_of(lab: Lab, bundle: Path, *options: str) -> dict[str, str]:
    """The labels, which are the manifest's annotations too."""
    image = lab.build(bundle, "-t", "labels:1", *options)
    labels: dict[str, str] = config_of(lab, image)["config"]["Labels"]
    raw = json.loads(run("skopeo", "inspect", "--raw", f"oci:{lab.home}/oci:labels:1"))
    assert raw["annotations"] == labels
    return labels


@pytest.fixture(scope="module")
def podman_command() -> Iterator[tuple[str, ...]]:
    """Podman's command."""
    with podman_storage() as command:
        yield command


def test_podman_pulls_and_runs_it(podman_command: tuple[str, ...], layout: str, image: Any) -> None:
    assert "sha256:" + run(*podman_command, "pull", "-q", layout).strip() == image["image_id"]
    safe = ("--network=none", "--read-only", "--cap-drop=all", "--user=4321", *LIMITS)
    shown = run(*podman_command, "run", "--rm", *safe, image["image_id"], *BACKTRACE)
    assert "compare (left=" in shown


def test_podman_runs_it_as_an_unprivileged_user_from_a_terminal(
    podman_command: tuple[str, ...], layout: str, image: Any
) -> None:
    run(*podman_command, "pull", "-q", layout)
    safe = ("--rm", "--network=none", "--read-only", *LIMITS)
    shown = type_at_prompt([*podman_command, "run", "-it", *safe, image["image_id"]], *INSIDE)
    check_session(shown)


def test_podman_is_loaded_where_there_is_no_docker(
    podman: str, fresh_lab: Lab, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second time it has the layers, and the image gets one more name."""
    monkeypatch.setenv("CONTAINER_HOST", podman)
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent")
    for tag in ("loaded:1", "another/loaded:2"):
        built = fresh_lab.done("build", bundle, "-t", tag, "--json").json
        assert built["loaded"] == "podman"
        asked = run("podman", "--url", podman, "inspect", "--type=image", "--format={{.Id}}", tag)
        assert f"sha256:{asked.strip()}" == built["image_id"]


@pytest.mark.usefixtures("docker")
def test_docker_runs_it_as_an_unprivileged_user_from_a_terminal(lab: Lab, image: Any, bundle: Path) -> None:
    lab.done("build", bundle, "--load", "-t", "corebox-test:standard")
    safe = ("--rm", "--network=none", "--read-only")
    try:
        shown = type_at_prompt(["docker", "run", "-it", *safe, "corebox-test:standard"], *INSIDE)
    finally:
        run("docker", "rmi", "-f", "corebox-test:standard")
    check_session(shown)


@pytest.fixture
def template(tmp_path: Path) -> Path:
    """A company's own template."""
    folder = tmp_path / "acme"
    folder.mkdir()
    shipped = Path(__file__).parents[2] / "Dockerfile.template"
    own = 'LABEL com.acme.team="core team"\nCOPY --chmod=644 acme.gdb /etc/acme/\nCOPY scripts /opt/acme/scripts\n'
    (folder / "Dockerfile.template").write_text(shipped.read_text() + own)
    (folder / "scripts" / "more").mkdir(parents=True)
    (folder / "scripts" / "more" / "print.py").write_text("print('more')\n")
    (folder / "acme.gdb").write_text("echo acme\\n\n")
    return folder / "Dockerfile.template"


@pytest.fixture
def context(lab: Lab, bundle: Path, template: Path, tmp_path: Path) -> tuple[Path, Any]:
    """A folder for other builders, of the company's template, and what native makes of the same."""
    built = lab.build(bundle, "--template", template, "-t", "acme:1", "--context", tmp_path / "context")
    return tmp_path / "context", built


def test_plain_docker_builds_the_same_root_from_a_context(
    lab: Lab, context: tuple[Path, Any], tmp_path: Path, client: docker_sdk.DockerClient
) -> None:
    folder, built = context
    run("docker", "build", "-q", "-t", "corebox-test:context", folder)
    try:
        theirs = engine_tree(client, "corebox-test:context", tmp_path)
    finally:
        run("docker", "rmi", "-f", "corebox-test:context")
    native = native_tree(lab, built["image_id"])
    assert {".corebox/core", "etc/acme/acme.gdb"} <= native.keys()
    assert theirs == native


def test_buildah_builds_the_same_root_from_a_context(lab: Lab, context: tuple[Path, Any], tmp_path: Path) -> None:
    """As in a CI job: without a daemon, in a chroot."""
    folder, built = context
    with tempfile.TemporaryDirectory() as storage:
        buildah = ("buildah", "--storage-driver=overlay", f"--root={storage}/root", f"--runroot={storage}/run")
        run(*buildah, "bud", "--isolation=chroot", "-q", "-t", "acme", folder)
        run(*buildah, "push", "-q", "acme", f"oci:{tmp_path}/oci:acme")
        subprocess.run(["umount", f"{storage}/root/overlay"], check=False)  # which buildah mounts on itself
    config, theirs = layout_tree(tmp_path / "oci")
    assert theirs == native_tree(lab, built["image_id"])
    assert config["config"]["Entrypoint"] == config_of(lab, built)["config"]["Entrypoint"]
    assert config["config"]["Labels"].items() >= config_of(lab, built)["config"]["Labels"].items()


def config_of(lab: Lab, built: Any) -> Any:
    """The configuration of an image in the store."""
    return json.loads((lab.home / "oci" / "blobs" / "sha256" / built["image_id"][7:]).read_bytes())


def layout_tree(layout: Path) -> tuple[Any, Tree]:
    """Configuration and tree of the only image in an OCI layout, whose layers are gzip."""

    def blob(described: Any) -> Path:
        return layout / "blobs" / "sha256" / str(described["digest"])[7:]

    (entry,) = json.loads((layout / "index.json").read_bytes())["manifests"]
    manifest = json.loads(blob(entry).read_bytes())
    with contextlib.ExitStack() as stack:
        layers = [stack.enter_context(gzip.open(blob(layer))) for layer in manifest["layers"]]
        return json.loads(blob(manifest["config"]).read_bytes()), read_tree(layers)


def test_a_company_s_template_adds_labels_and_gdb_scripts(fresh_lab: Lab, bundle: Path, template: Path) -> None:
    built = fresh_lab.build(bundle, "--template", template, "-t", "acme:1")
    assert built["tags"] == ["acme:1"]
    (image,) = fresh_lab.done("images", "--json").json["images"]
    assert image["labels"]["com.acme.team"] == "core team"
    assert "acme" in fresh_lab.gdb("acme:1", "bubblewrap", "source /etc/acme/acme.gdb").output
    (template.parent / "acme.gdb").write_text("echo changed\\n\n")
    fresh_lab.build(bundle, "--template", template, "-t", "acme:1")
    assert "changed" in fresh_lab.gdb("acme:1", "bubblewrap", "source /etc/acme/acme.gdb").output


def test_an_image_without_gdb_is_told_so_by_us_not_by_the_engine(lab: Lab, bundle: Path, template: Path) -> None:
    text = template.read_text()
    template.write_text(text.replace("for layer in layers %}", "for layer in layers if layer.kind != 'toolbox' %}"))
    lab.build(bundle, "--template", template, "-t", "nogdb:1")
    for command, status in (("shell", 3), ("report", 3), ("similar", 3)):
        told = lab.corebox(command, "nogdb:1")
        assert told.status == status
        assert "contains no gdb: it was built without the toolbox\nhint: " in told.errors
    lab.done("info", "nogdb:1")


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
    with template.open("a") as file:
        file.write("USER 0\n" + RUN + "USER 1000:1000\n")
    built = fresh_lab.build(bundle, "--builder", "docker", "--template", template, "-t", "corebox-test:run")
    try:
        assert client.images.get("corebox-test:run").id == built["image_id"]
        assert client.images.get("corebox-test:run").labels["com.acme.team"] == "core team"
    finally:
        run("docker", "rmi", "-f", "corebox-test:run")
