"""The hint where no user namespaces can be made is the right one for that machine."""

from pathlib import Path

import pytest

from corebox.engine.userns import way_to_namespaces


def machine(folder: Path, files: dict[str, str]) -> Path:
    """A root in which these files say how the machine is set up."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


NONE = {"proc/sys/user/max_user_namespaces": "0\n"}
OLD_DEBIAN = {"proc/sys/kernel/unprivileged_userns_clone": "0\n", "proc/sys/user/max_user_namespaces": "9000\n"}
UBUNTU = {"proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1\n", "proc/sys/user/max_user_namespaces": "9000\n"}
FILTERED = {".dockerenv": "", "proc/self/status": "Name:\tbwrap\nSeccomp:\t2\nSeccomp_filters:\t1\n"}
SELINUX = {".dockerenv": "", "proc/self/attr/current": "system_u:system_r:container_t:s0:c57,c489\0"}
FEDORA = {"proc/self/attr/current": "unconfined_u:unconfined_r:unconfined_t:s0-s0:c0.c1023\0"}
APPARMOR = {**FILTERED, "proc/self/attr/current": "docker-default (enforce)\n"}


@pytest.mark.parametrize(
    ("files", "hint", "others"),
    [
        (NONE, "sudo sysctl user.max_user_namespaces=15000", "container"),
        ({**FILTERED, **NONE}, "on the machine that runs this container: sudo sysctl user.max", "seccomp"),
        (OLD_DEBIAN, "sudo sysctl kernel.unprivileged_userns_clone=1", "AppArmor"),
        (UBUNTU, "bwrap-userns-restrict", "sysctl"),
        (FILTERED, "--security-opt seccomp=unconfined;", "apparmor"),
        (APPARMOR, "--security-opt seccomp=unconfined --security-opt apparmor=unconfined", "sysctl"),
        (SELINUX, "start it with --security-opt label=disable;", "apparmor"),
        ({**FILTERED, **FEDORA}, "start it with --security-opt seccomp=unconfined;", "label"),
        ({**APPARMOR, **UBUNTU}, "start it with --security-opt", "apparmor-profiles"),
        ({}, "--engine docker", "sysctl"),
    ],
)
def test_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], hint: str, others: str
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    said = way_to_namespaces(machine(tmp_path, files))
    assert hint in said
    assert others not in said


def test_a_pod_is_told_in_the_words_of_kubernetes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    said = way_to_namespaces(machine(tmp_path, FILTERED))
    assert "securityContext" in said
    assert "--security-opt" not in said
