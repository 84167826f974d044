"""Running a command that we talk with: pipes on its standard streams."""

import contextlib
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager


@contextmanager
def piped(
    command: Sequence[str],
    pass_fds: Sequence[int] = (),
    prepare: Callable[[], None] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run ``command`` for as long as the block lasts; ``prepare`` runs in the child before it.

    It has a session of its own: Ctrl-C at our terminal is for us. Its errors go nowhere: they are of unknown length,
    and may hold escape sequences.
    """
    child = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        pass_fds=pass_fds,
        env=environment,
        preexec_fn=prepare,  # noqa: PLW1509  # no thread of ours runs by then
        start_new_session=True,
    )
    try:
        yield child
    finally:
        child.kill()
        with contextlib.suppress(BrokenPipeError), child:  # what was not sent yet is not wanted any more
            pass
