"""The control group of a process, and what follows from it: the systemd unit, and the container with its image.

Engines name the group of a container by its ID. The image's name is taken from the files that they keep on the host;
no engine is asked, and nothing inside the container is opened.
"""

import json
import os
import re
from typing import Dict, Iterator, List, Optional

from corebox.bundle.runtime import Container

_CONTAINER = re.compile(r"[0-9a-f]{64}")
_UNIT = re.compile(r"/([^/]+\.(?:service|scope))(?=/|$)")
_MAX_SIZE = 4 << 20
_ENGINES = (
    ("docker", "docker"),
    ("libpod", "podman"),
    ("cri-containerd", "containerd"),
    ("containerd", "containerd"),
    ("crio", "cri-o"),
)
_DOCKER, _DOCKER_SETTINGS = "/var/lib/docker", "/etc/docker/daemon.json"
_CONTAINERD = "/run/containerd/io.containerd.runtime.v2.task"
_CRIO = "/run/containers/storage/overlay-containers"
_PODMAN = "/var/lib/containers/storage"
#: Annotations in which containerd, for Kubernetes, and CRI-O note the image.
_ANNOTATIONS = ("io.kubernetes.cri.image-name", "io.kubernetes.cri-o.ImageName", "io.kubernetes.cri-o.Image")


def control_group(text: str) -> Optional[str]:
    """The path in ``/proc/PID/cgroup`` (cgroups(7)) that tells most; None if all that there is is the root.

    With version 1 there is one for each controller, with version 2 one alone.
    """
    paths = [line.split(":", 2)[2] for line in text.split("\n") if line.count(":") >= 2]
    paths = [path for path in paths if path.startswith("/") and path != "/"]
    return next((path for path in paths if _CONTAINER.search(path)), paths[-1] if paths else None)


def unit_of(group: str) -> Optional[str]:
    """The innermost systemd unit that the group belongs to."""
    units = _UNIT.findall(group)
    return str(units[-1]) if units else None


def container_of(group: str) -> Optional[Container]:
    """The innermost container that the group belongs to."""
    found = _CONTAINER.findall(group)
    if not found:
        return None
    return Container(found[-1], _engine(group), next(_images(found[-1]), None))


def _engine(group: str) -> Optional[str]:
    return next((name for word, name in _ENGINES if word in group), None)


def _images(container: str) -> Iterator[str]:
    """Names of the container's image, from wherever an engine may have noted one."""
    docker = _value(_load(_DOCKER_SETTINGS), "data-root") or _DOCKER
    settings = _load("{}/containers/{}/config.v2.json".format(docker, container)).get("Config")
    if isinstance(settings, dict) and _value(settings, "Image"):
        yield str(settings["Image"])
    bundles = ["{}/{}/{}/config.json".format(_CONTAINERD, name, container) for name in _names(_CONTAINERD)]
    for path in [*bundles, "{}/{}/userdata/config.json".format(_CRIO, container)]:
        annotations = _load(path).get("annotations")
        if isinstance(annotations, dict):
            yield from (str(annotations[name]) for name in _ANNOTATIONS if _value(annotations, name))
    for driver in ("overlay", "vfs", "btrfs"):
        yield from _of_podman("{}/{}-containers/containers.json".format(_PODMAN, driver), container)


def _of_podman(path: str, container: str) -> Iterator[str]:
    for each in _load(path, "containers").get("containers", ()):  # type: ignore[attr-defined]
        if isinstance(each, dict) and each.get("id") == container and _value(each, "metadata"):
            name = _value(_parse(str(each["metadata"])), "image-name")
            if name:
                yield name


def _value(settings: Dict[str, object], name: str) -> Optional[str]:
    value = settings.get(name)
    return value if isinstance(value, str) and value else None


def _names(place: str) -> List[str]:
    try:
        return sorted(os.listdir(place))
    except OSError:
        return []


def _load(path: str, array: str = "") -> Dict[str, object]:
    """The JSON object in the file, an array as one named ``array``; an empty one if there is none to be read."""
    try:
        with open(path, "rb") as file:
            return _parse(file.read(_MAX_SIZE).decode("utf-8", "replace"), array)
    except OSError:
        return {}


def _parse(text: str, array: str = "") -> Dict[str, object]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if array and isinstance(value, list):
        return {array: value}
    return value if isinstance(value, dict) else {}
