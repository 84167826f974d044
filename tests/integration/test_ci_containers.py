"""corebox in the container of a CI job: what works there, and what is said where nothing does."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.crashes import build_program
from tests.support.lab import Lab, Result
from tests.support.programs import FOLDER, REPOSITORY

IMAGE = f"corebox-test-job-{os.getpid()}"
SOCKET = "/var/run/docker.sock"
UNFILTERED = ("--security-opt", "seccomp=unconfined")


@pytest.fixture(scope="module")
def job(docker: None) -> Iterator[Path]:
    """The folder of a job, and an image for it: the programs of this machine are mounted into it."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as empty:
        Path(folder).chmod(0o755)
        subprocess.run(["tar", "--create", "--files-from", os.devnull], stdout=empty, check=True)
        empty.seek(0)
        subprocess.run(["docker", "import", "--message", "x", "-", IMAGE], stdin=empty, check=True, capture_output=True)
        core = build_program(Path(folder) / "app").crash()
        Lab(Path(folder) / "store").done("gather", core, "-o", Path(folder) / "x.corebox", "--no-nice")
        yield Path(folder)
        subprocess.run(["docker", "rmi", "--force", IMAGE], check=True, capture_output=True)


COREBOX = ("-m", "corebox")


def in_job(job: Path, options: tuple[str, ...], *words: str, home: str, program: tuple[str, ...] = COREBOX) -> Result:
    """A command of corebox in the job's container; only the job's folder is where it is outside, too."""
    python = Path(sys.executable)
    folders = {"/usr", "/lib", "/lib64", "/bin", "/sbin", "/etc"}
    # /tmp is the container's own, so that of a checkout in it only its folder is there.
    folders |= {
        str(Path(*path.parts[: 3 if path.parts[1] == "tmp" else 2])) for path in (python.resolve(), python, REPOSITORY)
    }
    mounts = [word for each in sorted(folders) if Path(each).exists() for word in ("--volume", f"{each}:{each}:ro")]
    job_mount = f"{job}:{job}"
    command = ["docker", "run", "--rm", "--network=none", "--tmpfs=/tmp:exec", *mounts, "--volume", job_mount, *options]
    command += ["--env", f"COREBOX_HOME={home}", "--env", "HOME=/tmp", IMAGE, sys.executable, *program, *words]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=300)
    return Result(done.returncode, done.stdout, done.stderr)


def backtrace(job: Path, *options: str, home: str = "/tmp/store", engine: str = "auto") -> Result:
    words = ("shell", str(job / "x.corebox"), "--engine", engine, "--", "-batch", "-ex", "bt")
    return in_job(job, options, *words, home=home)


def test_the_usual_filter_is_named(job: Path) -> None:
    done = backtrace(job)
    assert done.status == 4
    assert "--security-opt seccomp=unconfined" in done.errors
    assert "sysctl" not in done.errors


def test_without_that_filter_it_works(job: Path) -> None:
    """The container hides parts of its /proc, so that the sandbox has none."""
    done = backtrace(job, *UNFILTERED)
    assert (done.status, "fail ()" in done.output) == (0, True), done.errors
    found = in_job(job, UNFILTERED, "doctor", home="/tmp/store")
    assert "ok  bubblewrap" in found.output
    assert "/proc is empty" in found.output
    report = in_job(job, UNFILTERED, "report", str(job / "x.corebox"), "--format", "json", home="/tmp/store")
    assert report.json["threads"][0]["frames"][0]["function"] == "fail", report.errors


def test_cores_of_a_failed_step_become_bundles_and_a_summary(job: Path) -> None:
    """What the GitHub Action and the GitLab template start; the second time the crash is known."""
    script, out = str(REPOSITORY / "packaging/ci/crashes"), job / "crashes"
    options = (
        *UNFILTERED,
        "--volume=/var/lib/dpkg:/var/lib/dpkg:ro",
        "--env",
        f"COREBOX={sys.executable} -m corebox",
        "--env",
        f"GITHUB_OUTPUT={job}/outputs",
    )
    words = (str(job / "app"), "--output", str(out), "--summary", str(job / "summary.md"))
    first = in_job(job, options, *words, home="/tmp/store", program=(script,))
    assert (first.status, "fail in libfail.so" in first.output) == (0, True), first.output + first.errors
    (bundle,) = out.glob("*.corebox")
    assert bundle.stat().st_size < 5_000_000
    second = in_job(job, options, *words, "--baseline", str(out), home="/tmp/store", program=(script,))
    assert "**The same crash as**" in second.output, second.output + second.errors
    assert (job / "summary.md").read_text().count("## Crash of") == 2
    assert (job / "outputs").read_text() == "count=1\ncount=1\n"
    broken = in_job(job, ("--env", "COREBOX=/nowhere"), *words, home="/tmp/store", program=(script,))
    assert (broken.status, "No such file" in broken.output) == (0, True)


def test_a_crash_costs_a_job_at_most_five_megabytes(machine: None, tmp_path: Path) -> None:
    """A C++ program with threads and a plugin."""
    subprocess.run([FOLDER / "pipeline/build.sh", tmp_path / "acme"], check=True)
    subprocess.run([tmp_path / "acme/bin/pipeline"], cwd=tmp_path, check=False)
    script = str(REPOSITORY / "packaging/ci/crashes")
    command = [sys.executable, script, "core", "-o", "out", "--summary", "summary.md"]
    environment = {**os.environ, "COREBOX": f"{sys.executable} -m corebox", "COREBOX_HOME": str(tmp_path / "store")}
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True)
    assert (tmp_path / "out/core.corebox").stat().st_size < 5_000_000
    assert "libstages.so" in (tmp_path / "summary.md").read_text()


def test_with_a_pod_that_has_no_filter(job: Path) -> None:
    """As Kubernetes starts containers unless it is told otherwise: no filter, the usual capabilities."""
    done = backtrace(job, *UNFILTERED, "--env", "KUBERNETES_SERVICE_HOST=10.0.0.1", "--security-opt=no-new-privileges")
    assert (done.status, "fail ()" in done.output) == (0, True), done.errors


def test_a_pod_with_a_filter_is_told_what_to_set(job: Path) -> None:
    done = backtrace(job, "--env", "KUBERNETES_SERVICE_HOST=10.0.0.1")
    assert done.status == 4
    assert "securityContext" in done.errors


def test_the_machines_docker_by_its_socket_and_one_path(job: Path) -> None:
    done = backtrace(job, "--volume", f"{SOCKET}:{SOCKET}", home=str(job / "shared"))
    assert (done.status, "fail ()" in done.output) == (0, True), done.errors
    assert "note:" not in done.errors
    shutil.rmtree(job / "shared")


def test_the_machines_docker_by_its_socket_alone(job: Path) -> None:
    """Its paths are not the job's."""
    socket = ("--volume", f"{SOCKET}:{SOCKET}")
    done = backtrace(job, *socket, engine="docker")
    assert done.status == 4
    assert "make the store available to both under one path" in done.errors
    done = backtrace(job, *socket, *UNFILTERED)
    assert (done.status, "fail ()" in done.output) == (0, True), done.errors
    assert "bubblewrap is used instead" in done.errors
    done = backtrace(job, *socket)
    assert done.status == 4
    for part in ("docker engine answers but cannot", "seccomp=unconfined", "COREBOX_HOME"):
        assert part in done.errors


def test_a_kernel_that_makes_no_user_namespaces(job: Path) -> None:
    """The setting is that of a namespace and of those within; so the machine's own stays."""
    none = "echo 0 > /proc/sys/user/max_user_namespaces && exec " + '"$@"'
    command = ["unshare", "--user", "--map-root-user", "sh", "-c", none, "sh", sys.executable, "-m", "corebox", "shell"]
    environment = {**os.environ, "COREBOX_HOME": str(job / "none")}
    done = subprocess.run(
        [*command, job / "x.corebox", "--engine", "bubblewrap"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 4
    assert "sysctl user.max_user_namespaces=" in done.stderr


def test_a_docker_on_another_machine(job: Path) -> None:
    """As a job of GitLab has it with the service docker:dind."""
    done = backtrace(job, *UNFILTERED, "--env", "DOCKER_HOST=tcp://docker:2375")
    assert (done.status, "fail ()" in done.output) == (0, True), done.errors
    assert "on another machine" in done.errors
    assert "bubblewrap is used instead" in done.errors
