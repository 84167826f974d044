"""Docker Engine and Podman, through the docker SDK. Only this module and `container` import it.

A container starts from an image of some hundred bytes that holds only the symbolic links of the root's top level;
everything else is bind-mounted, so that neither libraries nor the core are ever copied into the engine.
"""

import grp
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import docker
import docker.errors
import requests.exceptions

from corebox.engine.batch import MAX_OUTPUT, run_batch
from corebox.engine.container import OWNER, Traits, create_options, host_options, symlinks_tar
from corebox.engine.pipe import piped
from corebox.engine.procfs import masked_in_containers
from corebox.engine.sandbox import Finished, RootEntries, Sandbox, read_root_entries
from corebox.engine.seccomp import container_filter
from corebox.engine.terminal import attach, die_with_parent
from corebox.errors import HostError, InputError, system_message
from corebox.files.temporary import is_abandoned

PING_TIMEOUT = 10  # seconds; a Podman that has just been started looks through its storage first
REQUEST_TIMEOUT = 600
#: How the names of the images begin that containers start from.
_MOUNT_POINTS = "corebox-mount-points-"


class DockerEngine:
    """Engine on a Docker-compatible daemon that shares our file system.

    Attributes:
        name: ``docker`` or ``podman``.
        address: the socket that it listens on.
    """

    def __init__(self, name: str, address: str, client: docker.DockerClient, *, is_podman: bool) -> None:
        self.name, self.address = name, address
        self._client = client
        self._is_podman = is_podman  # it may be called docker

    @classmethod
    def connect(cls, name: str, address: str) -> "DockerEngine":
        """Connect to the daemon at ``address``.

        Raises:
            HostError: ``no-engine`` if none answers, ``remote-engine`` if it runs on another machine.
        """
        if not address.startswith("unix://"):
            message = f"the {name} engine at {address} is on another machine and cannot mount local files"
            raise HostError("remote-engine", message, "unset DOCKER_HOST, or use --engine bubblewrap")
        try:
            client = docker.DockerClient(base_url=address, timeout=PING_TIMEOUT)
            answer = client.api.get(f"{client.api.base_url}/_ping")
            answer.raise_for_status()
        except (docker.errors.DockerException, requests.exceptions.RequestException, OSError) as error:
            words = system_message(error) or _last_words(error)
            hint = f"{_way_to(name, address, words)}, or use --engine bubblewrap; see corebox doctor"
            raise HostError("no-engine", f"no {name} engine answers at {address}: {words}", hint) from error
        client.api.timeout = REQUEST_TIMEOUT
        return cls(name, address, client, is_podman="Libpod-API-Version" in answer.headers)

    @cached_property
    def traits(self) -> Traits:
        """What the engine says about itself.

        Raises:
            HostError: ``engine-failed``.
        """
        with _translated(self.name):
            info = self._client.info()
        options = {str(each).partition(",")[0].removeprefix("name=") for each in info.get("SecurityOptions") or ()}
        rootless = "rootless" in options or bool(info.get("Rootless"))
        # With version 1 of control groups Podman says that it can, and then says in its log that it cannot.
        bounds_memory = bool(info.get("MemoryLimit")) and not (rootless and info.get("CgroupVersion") != "2")
        return Traits(rootless, "userns" in options, "selinux" in options, bounds_memory)

    @property
    def bounds_memory(self) -> bool:
        """Whether the engine bounds a container's memory."""
        return self.traits.bounds_memory

    def attach(self, sandbox: Sandbox, command: Sequence[str], tty: bool) -> int:
        """Run ``command`` on our standard streams; the engine's own program handles the terminal."""
        with self._container(sandbox, command, tty=tty, stdin_open=True) as container:
            return attach(self._start(container, "--interactive"), prepare=die_with_parent)

    def run(
        self, sandbox: Sandbox, command: Sequence[str], time_limit: float, max_output: int = MAX_OUTPUT
    ) -> Finished:
        """Run ``command`` without input and return what it wrote."""
        with self._container(sandbox, command) as container:
            return run_batch(self._start(container), time_limit, prepare=die_with_parent, max_output=max_output)

    @contextmanager
    def pipe(self, sandbox: Sandbox, command: Sequence[str]) -> "Iterator[subprocess.Popen[bytes]]":
        """Run ``command`` with pipes as its standard input and output."""
        with (
            self._container(sandbox, command, stdin_open=True) as container,
            piped(self._start(container, "--interactive"), prepare=die_with_parent) as child,
        ):
            yield child

    def interrupt(self, child: "subprocess.Popen[bytes]") -> None:
        """Give the command that ``pipe`` runs as ``child`` what Ctrl-C gives a program, if it still runs."""
        assert isinstance(child.args, list)
        api: Any = self._client.api
        with suppress(docker.errors.APIError, requests.exceptions.RequestException):
            api.kill(child.args[-1], "SIGINT")

    def _start(self, container: str, *options: str) -> list[str]:
        """The engine's own command, which hands streams and status on better than the SDK does."""
        program = shutil.which(self.name)
        if program is None:
            raise HostError(
                "no-engine",
                f"the {self.name} program is not installed, only its daemon is running",
                f"install it, or use --engine bubblewrap: apt-get install {self.name}",
            )
        address = ["--host" if self.name == "docker" else "--url", self.address]
        return [program, *address, "start", "--attach", *options, container]

    def build(self, context: Iterable[bytes], tags: Sequence[str]) -> str:
        """Build an image from a stream of a tar with a Dockerfile, and return its ID.

        Raises:
            HostError: ``engine-failed`` with the engine's own words.
        """
        # The SDK hands the context on as the body of the request, which may be any iterable.
        stream: Any = context
        with _translated(self.name):
            image, _ = self._client.images.build(
                fileobj=stream, custom_context=True, tag=tags[0], rm=True, forcerm=True, network_mode="none"
            )
            for tag in tags[1:]:
                image.tag(tag)
            return str(image.id)

    def load(self, archive: Iterable[bytes]) -> None:
        """Stream an image archive into the engine.

        Raises:
            HostError: ``engine-failed`` with the engine's own words.
        """
        api: Any = self._client.api  # its stubs leave this call untyped
        with _translated(self.name):
            for answer in api.load_image(archive):
                if "error" in answer:
                    raise _failed(self.name, answer["error"])

    def image_id(self, name: str) -> str:
        """The ID of the image called ``name``.

        Raises:
            InputError: ``no-such-image``.
        """
        with _translated(self.name):
            try:
                return str(self._client.images.get(name).id)
            except docker.errors.ImageNotFound as error:
                message, hint = f"the {self.name} engine has no image {name}", f"list its images: {self.name} images"
                raise InputError("no-such-image", message, hint) from error

    def save(self, name: str, out: Path) -> None:
        """Write the image into an archive, as ``docker save`` does.

        Raises:
            HostError: ``engine-failed`` with the engine's own words.
        """
        api: Any = self._client.api
        with _translated(self.name), out.open("xb") as file:
            for piece in api.get_image(name):
                file.write(piece)

    @property
    def has_containerd_store(self) -> bool:
        """Whether its images are in containerd's store, where an image's ID is the digest of its manifest."""
        with _translated(self.name):
            status = self._client.info().get("DriverStatus") or ()
        return ["driver-type", "io.containerd.snapshotter.v1"] in status

    def image_ids(self) -> set[str]:
        """The IDs of every image in the engine."""
        api: Any = self._client.api
        with _translated(self.name):
            return {each["Id"] for each in api.images(all=True)}

    def layer_chains(self) -> set[tuple[str, ...]]:
        """The layers of every image in the engine, as tuples of diff IDs from the bottom."""
        api: Any = self._client.api
        chains = set()
        for image in self.image_ids():
            with _translated(self.name), suppress(docker.errors.ImageNotFound):  # removed meanwhile
                root = api.inspect_image(image).get("RootFS") or {}
                chains.add(tuple(root.get("Layers") or ()))
        return chains

    @contextmanager
    def _container(self, sandbox: Sandbox, command: Sequence[str], **options: Any) -> Iterator[str]:
        """The ID of a container that is made for ``command``, and removed at the end."""
        entries = read_root_entries(sandbox.root, container=True)
        api: Any = self._client.api
        traits = self.traits
        with _translated(self.name), self._security(sandbox.processes and traits.bounds_memory) as security:
            if sandbox.owner:
                self._remove_orphans(sandbox.owner.parent)
            host = api.create_host_config(security_opt=security, **host_options(sandbox, entries, traits))
            # By the API alone: the SDK has no name for it, and Podman another (``_security``).
            host["MaskedPaths"] = masked_in_containers()
            host["UsernsMode"] = self._user_namespace()
            options |= create_options(sandbox, command, hide_proxies=self._is_podman)
            # Who is root in a rootless Docker is we ourselves outside, and without capabilities no more than that.
            options |= {"user": "0:0"} if traits.rootless and not self._is_podman else {}
            container = self._create(entries, {**options, "host_config": host})
            try:
                yield container
            finally:
                api.remove_container(container, force=True, v=True)

    def _create(self, entries: RootEntries, options: Mapping[str, Any]) -> str:
        api: Any = self._client.api
        try:
            return str(api.create_container(self._empty_image(entries), **options)["Id"])
        except docker.errors.ImageNotFound:  # another process has pruned it in between
            return str(api.create_container(self._empty_image(entries), **options)["Id"])

    def _user_namespace(self) -> str:
        """The one in which the sandbox's user is ours outside, who may read our files."""
        if self._is_podman:
            return "keep-id" if self.traits.rootless else ""
        return "host" if self.traits.remapped else ""

    def _remove_orphans(self, place: Path) -> None:
        """Remove containers whose owners had their folders in ``place``, as we have, and were killed."""
        api: Any = self._client.api
        for each in api.containers(all=True, filters={"label": OWNER}):
            owner = Path(each["Labels"][OWNER])
            if owner.parent == place and is_abandoned(str(owner)):
                with suppress(docker.errors.APIError):  # another process has the same in mind
                    api.remove_container(each["Id"], force=True, v=True)

    @contextmanager
    def _security(self, processes: bool) -> Iterator[list[str]]:
        text = json.dumps(container_filter(processes))
        # SELinux lets containers read only what has a label of theirs; to give our files that would change them.
        always = ["no-new-privileges", *(["label=disable"] if self.traits.selinux else [])]
        if not self._is_podman:
            yield [*always, f"seccomp={text}"]
            return
        # Docker takes the filter itself, Podman a path alone (its issue 27710).
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            file.write(text)
            file.flush()
            yield [*always, f"seccomp={file.name}", "mask=" + ":".join(masked_in_containers())]

    def _empty_image(self, entries: RootEntries) -> str:
        """The image with nothing but the root's top-level symbolic links, made when it is not there yet."""
        data = symlinks_tar(entries)
        # Not as a tag: Podman 4.3 gives what it imports no other tag than latest.
        name = f"{_MOUNT_POINTS}{hashlib.sha256(data).hexdigest()[:12]}"
        try:
            self._client.images.get(name)
        except docker.errors.ImageNotFound:
            self._client.api.import_image_from_data(data, repository=name)
        return name

    def remove_leftovers(self, *, dry_run: bool = False) -> list[str]:
        """Remove the images that containers of sessions start from, unless one does now; return their names.

        Raises:
            HostError: ``engine-failed``.
        """
        api: Any = self._client.api
        with _translated(self.name):
            used = {each["ImageID"] for each in api.containers(all=True)}
            found = {
                name: each["Id"]
                for each in api.images()
                for name in each.get("RepoTags") or ()
                if _MOUNT_POINTS in name and each["Id"] not in used
            }
            for name in () if dry_run else found:
                with suppress(docker.errors.APIError):  # a session has begun with it, or another process was faster
                    api.remove_image(name)
        return sorted(found)


def _way_to(name: str, address: str, words: str) -> str:
    """What makes an engine answer."""
    if "Permission denied" in words:
        group = "docker" if name == "docker" else "root"
        with suppress(OSError, KeyError):
            group = grp.getgrgid(Path(address.removeprefix("unix://")).stat().st_gid).gr_name
        return f"you are not permitted to use it; join its group and log in again (sudo usermod -aG {group} $USER)"
    if name == "podman":
        return f"start it (systemctl {'' if os.getuid() == 0 else '--user '}start podman.socket)"
    return f"start it (systemctl start {name})"


@contextmanager
def _translated(name: str) -> Iterator[None]:
    try:
        yield
    except docker.errors.BuildError as error:
        hint = "correct the template; the image has no shell, and only the programs copied into it"
        raise HostError("engine-failed", f"the {name} engine refused: {_last_words(error)}", hint) from error
    except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
        raise _failed(name, _last_words(error)) from error


def _failed(name: str, words: str) -> HostError:
    return HostError(
        "engine-failed", f"the {name} engine refused: {words}", f"check it: {name} info; df -h; corebox doctor"
    )


def _last_words(error: Exception) -> str:
    explanation = getattr(error, "explanation", None) or getattr(error, "msg", None)
    return " ".join(str(explanation or error).split())
