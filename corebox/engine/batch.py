"""Running a command without a terminal: with bounds on its time and on what it writes."""

import resource
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import IO

from corebox.engine.sandbox import Finished
from corebox.engine.terminal import exit_status
from corebox.errors import HostError

MAX_OUTPUT = 256 << 20  # bytes on each stream


def run_batch(
    command: Sequence[str],
    time_limit: float,
    pass_fds: Sequence[int] = (),
    prepare: Callable[[], None] = lambda: None,
    environment: Mapping[str, str] | None = None,
    max_output: int = MAX_OUTPUT,
) -> Finished:
    """Run ``command`` without input and return what it wrote; ``prepare`` runs in the child before it.

    The kernel stops who writes more than ``max_output`` bytes on a stream (RLIMIT_FSIZE).

    Raises:
        HostError: ``time-limit`` after ``time_limit`` seconds.
    """

    def bounded() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (max_output, max_output))
        prepare()

    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        try:
            status = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                timeout=time_limit,
                check=False,
                pass_fds=pass_fds,
                env=environment,
                preexec_fn=bounded,
            ).returncode
        except subprocess.TimeoutExpired as error:
            message = f"the command did not end within {time_limit:g} s and was stopped"
            raise HostError("time-limit", message, "give it more time: --time-limit SECONDS") from error
        return Finished(exit_status(status), _content(output, max_output), _content(errors, max_output))


def _content(stream: IO[bytes], most: int) -> bytes:
    stream.seek(0)
    return stream.read(most)
