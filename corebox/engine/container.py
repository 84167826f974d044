"""A sandbox in the words of the API of Docker Engine and Podman."""

import io
import os
import tarfile
from collections.abc import Sequence
from typing import Any, NamedTuple

from docker.types import LogConfig, Ulimit
from docker.types import Mount as BindMount

from corebox.engine.sandbox import OUTPUT, Mount, RootEntries, Sandbox, working_folder

#: Label of a container: the folder that tells whether who started it lives.
OWNER = "io.corebox.owner"
#: setrlimit(2). Podman's own may be more than it is allowed to set, if it runs in a container itself. A user's
#: processes outside count as well, so that their bound within is another (``pids_limit``).
_ULIMITS = {"core": 0, "nofile": 1024}
_THREADS = 16384
#: Podman hands the proxies of its own environment on, which may have passwords in them (containers.conf, http_proxy),
#: but for those that are given.
_PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy")
_NO_PROXIES = {name: "" for lower in _PROXIES for name in (lower, lower.upper())}


class Traits(NamedTuple):
    """What matters of how an engine is set up.

    Attributes:
        rootless: it is a user's own, who is root in its containers.
        remapped: root in its containers is another user outside (Docker's userns-remap).
        selinux: SELinux decides what its containers may read.
        bounds_memory: it can bound the memory of a container.
    """

    rootless: bool
    remapped: bool
    selinux: bool
    bounds_memory: bool


def create_options(sandbox: Sandbox, command: Sequence[str], *, hide_proxies: bool) -> dict[str, Any]:
    """What the API calls the configuration of a container."""
    uid, gid = sandbox.user
    return {
        "entrypoint": [],
        "command": list(command),
        "user": f"{uid}:{gid}",
        "environment": {**(_NO_PROXIES if hide_proxies else {}), **sandbox.environment},
        "use_config_proxy": False,  # what Docker's own configuration adds, passwords included
        "working_dir": working_folder(sandbox),
        "hostname": "corebox",
        "labels": {"io.corebox": "sandbox", **({OWNER: str(sandbox.owner)} if sandbox.owner else {})},
    }


def host_options(sandbox: Sandbox, entries: RootEntries, traits: Traits) -> dict[str, Any]:
    """The bounds of a container, and what is mounted into it."""
    # A rootless engine may set no higher limit than its user has.
    ulimits = {**_ULIMITS, "data": sandbox.limits.memory, **({} if traits.rootless else {"nproc": _THREADS})}
    mounts = [*entries.mounts, *sandbox.mounts]
    output = [] if sandbox.output is None else [_bound(Mount(sandbox.output, OUTPUT), read_only=False)]
    writable = [sandbox.scratch]
    if not os.path.lexists(sandbox.root / "tmp"):
        writable.append("/tmp")  # noqa: S108  # the container's own
    return {
        "network_mode": "none",
        "read_only": True,
        "cap_drop": ["ALL"],
        **(
            {"mem_limit": sandbox.limits.memory, "memswap_limit": sandbox.limits.memory} if traits.bounds_memory else {}
        ),
        "pids_limit": sandbox.limits.processes,
        "ulimits": [Ulimit(name=name, soft=most, hard=most) for name, most in ulimits.items()],
        "ipc_mode": "private",
        "init": False,
        # A hostile script could fill the engine's disk with what it prints; we read the streams as they come.
        "log_config": LogConfig(type="none"),
        "tmpfs": dict.fromkeys(writable, f"rw,nosuid,nodev,noexec,mode=1777,size={sandbox.limits.scratch}"),
        "mounts": [*(_bound(each, read_only=True) for each in mounts), *output],
    }


def _bound(mount: Mount, *, read_only: bool) -> BindMount:
    return BindMount(mount.target, str(mount.source), type="bind", read_only=read_only)


def symlinks_tar(entries: RootEntries) -> bytes:
    """The root file system of the image that a container starts from: folders and links."""
    buffer = io.BytesIO()
    # GNU's format has names as they are, also those that are not UTF-8.
    with tarfile.open(
        fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT, encoding="utf-8", errors="surrogateescape"
    ) as archive:
        # A tmpfs takes the mode of the folder beneath it, whatever its options say (runc).
        folders = {".corebox": 0o755, ".corebox/tmp": 0o1777, "etc": 0o755, "tmp": 0o1777}
        taken = {name for name, _ in entries.symlinks} | {mount.target[1:] for mount in entries.mounts}
        for name, mode in folders.items():
            if name in taken:
                continue
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, mode
            archive.addfile(folder)
        for name, target in entries.symlinks:
            link = tarfile.TarInfo(name)
            link.type, link.linkname, link.mode = tarfile.SYMTYPE, target, 0o777
            archive.addfile(link)
    return buffer.getvalue()
