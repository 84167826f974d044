"""Why this machine, or this container, makes no user namespaces, and what changes that."""

import os
from pathlib import Path

_HOW_TO = "see docs/how-to/in-ci-and-kubernetes.md"
_FILES = Path("/")
#: What of a container's security options lifts the rules of a security module.
_LIFTED = {"AppArmor": "apparmor=unconfined", "SELinux": "label=disable"}


def way_to_namespaces(files: Path = _FILES) -> str:
    """What to do, as a hint: for the first reason that is found below ``files``, the root of the machine.

    The order is that of who decides: the kernel's settings bind containers too.
    """
    settings = {
        "user.max_user_namespaces=15000": _number(files / "proc/sys/user/max_user_namespaces") == 0,
        "kernel.unprivileged_userns_clone=1": _number(files / "proc/sys/kernel/unprivileged_userns_clone") == 0,
    }
    for setting, wanted in settings.items():
        if wanted:
            where = "on the machine that runs this container: " if _container(files) else ""
            return f"allow user namespaces, {where}sudo sysctl {setting}; or use --engine docker"
    if _container(files):
        return _in_container(files)
    if _number(files / "proc/sys/kernel/apparmor_restrict_unprivileged_userns") == 1:
        profile = "/usr/share/apparmor/extra-profiles/bwrap-userns-restrict"
        return (
            "AppArmor permits user namespaces only for programs with a profile; add one for bwrap: "
            f"sudo apt-get install apparmor-profiles && sudo apparmor_parser -a {profile}; or use --engine docker"
        )
    return f"permit users to create user namespaces (man 7 user_namespaces), or use --engine docker; {_HOW_TO}"


def _in_container(files: Path) -> str:
    options = []
    if "\nSeccomp:\t2" in _text(files / "proc/self/status"):
        options.append("seccomp=unconfined")
    confined_by = _security_module(files)
    options += [_LIFTED[confined_by]] if confined_by else []
    if "KUBERNETES_SERVICE_HOST" in os.environ:
        profiles = "seccompProfile and appArmorProfile: {type: Unconfined}"
        return f"this pod is not permitted to create user namespaces; in its securityContext set {profiles}; {_HOW_TO}"
    started = " ".join(f"--security-opt {option}" for option in options) or "--security-opt seccomp=unconfined"
    return f"this container is not permitted to create user namespaces; start it with {started}; {_HOW_TO}"


def _security_module(files: Path) -> str | None:
    """Which one confines us: AppArmor names a profile and its mode, SELinux a context with a type of its own."""
    label = _text(files / "proc/self/attr/current").strip("\0\n")
    if label.endswith(("(enforce)", "(kill)")):
        return "AppArmor"
    return "SELinux" if label.count(":") >= 3 and ":unconfined_t:" not in label else None


def _container(files: Path) -> bool:
    """Whether we are in one (Docker, Podman, Kubernetes)."""
    marks = (files / ".dockerenv", files / "run/.containerenv", files / "var/run/secrets/kubernetes.io")
    return "KUBERNETES_SERVICE_HOST" in os.environ or any(mark.exists() for mark in marks)


def _number(file: Path) -> int | None:
    text = _text(file).strip()
    return int(text) if text.isdigit() else None


def _text(file: Path) -> str:
    try:
        return file.read_text(errors="replace")
    except OSError:
        return ""
