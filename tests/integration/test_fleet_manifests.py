"""The files that start a fleet on many machines: those who read them accept them, and they start what corebox has."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from tests.support.programs import REPOSITORY
from tests.support.shared import CACHE, locked

FOLDER = REPOSITORY / "packaging" / "fleet"
COREBOX = Path(sys.executable).parent / "corebox"
VALIDATOR, COMPOSE = "kubernetes-validate==1.37.0", "podman-compose==1.6.0"


def tool(package: str, *words: object, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run the program of a package of PyPI."""
    folder = CACHE / package
    with locked(package):
        if not folder.exists():
            command = [sys.executable, "-m", "pip", "install", "-q", "--target", str(folder), package]
            subprocess.run(command, check=True)
    program = folder / "bin" / package.partition("=")[0]
    return subprocess.run(
        [sys.executable, program, *map(str, words)],
        env={**os.environ, "PYTHONPATH": str(folder), **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("name", ["work", "serve"])
def test_systemd_takes_the_units(name: str, tmp_path: Path) -> None:
    unit = f"corebox-fleet-{name}.service"
    text = (FOLDER / unit).read_text().replace("/usr/bin/corebox", str(COREBOX))

    def verify(text: str) -> str:
        (tmp_path / unit).write_text(text)
        command = ["systemd-analyze", "verify", str(tmp_path / unit)]
        return subprocess.run(command, capture_output=True, text=True, check=False).stderr

    assert verify(text) == ""
    assert "Unknown key" in verify(text.replace("Restart=", "Restrat="))
    require_command(shlex.split(re.findall("ExecStart=(.*)", text)[0])[1:])


def test_the_manifest_follows_the_schemas_of_kubernetes(tmp_path: Path) -> None:
    manifest = FOLDER / "kubernetes.yaml"
    said = tool(VALIDATOR, "--strict", manifest)
    assert (said.returncode, said.stderr.count("passed") + said.stdout.count("passed")) == (0, 5), said
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(manifest.read_text().replace("replicas: 3", "replicas: three"))
    assert tool(VALIDATOR, "--strict", wrong).returncode != 0
    jobs = [each for each in yaml.safe_load_all(manifest.read_text()) if "template" in each["spec"]]
    assert len(jobs) == 3
    for job in jobs:
        (container,) = job["spec"]["template"]["spec"]["containers"]
        require_command([each.replace("$(COREBOX_FLEET)", "sqlite://") for each in container["args"]])
        selector = job["spec"].get("selector", {}).get("matchLabels")
        assert selector == job["spec"]["template"].get("metadata", {}).get("labels")


def test_compose_takes_its_file() -> None:
    said = tool(COMPOSE, "-f", FOLDER / "compose.yaml", "config", PASSWORD="secret")
    assert said.returncode == 0, said.stderr
    services: dict[str, Any] = yaml.safe_load(said.stdout)["services"]
    assert services["work"]["deploy"]["replicas"] == 3
    assert services["serve"]["environment"]["COREBOX_FLEET"] == "postgresql://corebox:secret@database/fleet"
    for name in ("init", "serve", "work"):
        require_command(services[name]["command"])
    assert tool(COMPOSE, "-f", FOLDER / "compose.yaml", "config").returncode != 0  # no password


def require_command(words: list[str]) -> None:
    """Let corebox read the command and say its help, in place of doing it."""
    said = subprocess.run([COREBOX, *words, "--help"], capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    assert words[0] == "fleet"
    assert words[1] in said.stdout
