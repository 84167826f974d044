"""The root of a Docker or Podman container, whether it still runs or has gone down with its crash."""

import contextlib
import shutil
import subprocess
from typing import Iterator, Optional, Tuple

from corebox.errors import HostError, InputError
from corebox.gather.live import root_of
from corebox.gather.tree import unpacked_output

_ENGINES = ("docker", "podman")


@contextlib.contextmanager
def container_root(name: str, directory: str) -> Iterator[str]:
    """A directory that is the root of the container: that of its process, or a temporary copy if it has none.

    Raises:
        HostError: ``no-container-engine``, ``engine-failed``.
        InputError: ``no-such-container``, ``no-such-process``.
    """
    engines = [engine for engine in _ENGINES if shutil.which(engine)]
    if not engines:
        raise HostError(
            "no-container-engine",
            "there is neither docker nor podman on this machine",
            "give the root of the container instead: --root /proc/PID/root",
        )
    answers = []
    for engine in engines:
        pid, answer = _process_of(engine, name)
        answers.append(answer)
        if pid:
            yield root_of(pid)
            return
        if pid == 0:
            with unpacked_output([engine, "export", name], directory) as root:
                yield root
            return
    raise InputError(
        "no-such-container",
        "no container {} is known to {}: {}".format(name, " or ".join(engines), "; ".join(answers)),
        "list them: {} ps --all; for an image, create a container first: docker create IMAGE".format(engines[0]),
    )


def _process_of(engine: str, name: str) -> Tuple[Optional[int], str]:
    """Process ID of the container's first process, 0 if it has stopped; None, and why, if the engine knows of none."""
    command = [engine, "container", "inspect", "--format", "{{.State.Pid}}", name]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False
    )
    text = done.stdout.strip()
    words = done.stderr.decode("utf-8", "replace").strip().splitlines() or [""]
    return int(text) if done.returncode == 0 and text.isdigit() else None, words[-1]
