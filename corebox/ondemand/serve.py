"""The process that serves one core: it begins with a request on standard input, and ends when that ends."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from corebox.errors import CoreboxError
from corebox.files.magic import GZIP, ZSTD
from corebox.ondemand.cache import BlockCache
from corebox.ondemand.filesystem import show
from corebox.ondemand.framed import open_framed
from corebox.ondemand.layer import PlainCore
from corebox.ondemand.request import Request
from corebox.ondemand.source import BlockError, BlockSource
from corebox.ondemand.wanted import WantedCore
from corebox.printable import printable

#: Seconds after which the end does not wait for what is still being read.
_PATIENCE = 3.0
_MAX_WORDS = 1 << 12


def main() -> None:
    """Serve what is asked for, and answer on standard output: {"ready": true}, or {"error": why}."""
    request = Request.from_json(json.loads(sys.stdin.buffer.readline()))
    try:
        cache = BlockCache(_open(request), _tell)
    except (CoreboxError, BlockError, OSError) as error:
        _answer({"error": error.message if isinstance(error, CoreboxError) else str(error)})
        return
    threading.Thread(target=_end_with_input, args=(request.folder, cache), daemon=True).start()
    _unmount_after_us(request.folder)
    with _caught_words() as (words, release):

        def ready() -> None:
            release()
            _answer({"ready": True})

        try:
            show(cache, request.folder, _options(request), ready)
        except (RuntimeError, OSError) as error:
            _answer({"error": words() or str(error)})
    os._exit(0)  # what is still being read is not waited for


def _open(request: Request) -> BlockSource:
    wanted = WantedCore(request.place, request.digests)
    if request.file is not None:
        if request.identity is not None:
            from corebox.ondemand.sealed import open_sealed  # noqa: PLC0415  # its library takes long to import

            return open_framed(open_sealed(request.file, request.identity), wanted)
        file = request.file.open("rb")
        magic = file.read(4)
        return (open_framed if magic == ZSTD or magic[:2] == GZIP else PlainCore)(file, wanted)
    # What speaks to registries takes long to import.
    from corebox.ondemand.remote import open_remote  # noqa: PLC0415
    from corebox.registry.access import Access  # noqa: PLC0415
    from corebox.registry.ranges import RangesRefused  # noqa: PLC0415
    from corebox.registry.reference import parse_reference  # noqa: PLC0415

    assert request.blob  # it has the one or the other
    far = request.blob
    access = Access(far.ca_file, far.plain_http)
    try:
        return open_remote(parse_reference(far.reference), access, far.blob, far.kept, wanted)
    except RangesRefused as error:
        raise BlockError(str(error), lasting=True) from error


def _options(request: Request) -> dict[str, bool | str]:
    """Of the mount."""
    others = {"allow_other": True} if request.for_others else {}
    return {"subtype": "corebox", "fsname": "corebox", **others}


def _tell(text: str) -> None:
    with contextlib.suppress(OSError):
        os.write(2, f"note: {printable(text)}\n".encode())


def _answer(value: dict[str, object]) -> None:
    with contextlib.suppress(OSError):  # nobody listens any more
        os.write(1, json.dumps(value).encode() + b"\n")


def _end_with_input(folder: Path, cache: BlockCache) -> None:
    """End when whoever asked is gone, whatever it died of; nothing stays mounted."""
    while os.read(0, 1):
        pass
    cache.end()
    ending = threading.main_thread().ident
    assert ending
    for _ in range(int(_PATIENCE / 0.1)):
        with contextlib.suppress(OSError):
            signal.pthread_kill(ending, signal.SIGTERM)  # as libfuse wants to be ended
        time.sleep(0.1)
    unmount(folder)
    os._exit(1)


def _unmount_after_us(folder: Path) -> None:
    """Have a process wait for our end, whatever we die of, and take the mount away.

    libfuse's own, of the option auto_unmount, gives up if it looks while we are dying: opening the folder then fails
    with ECONNABORTED, and it expects ENOTCONN.
    """
    reading, _writing = os.pipe()  # that end is closed when we are gone
    subprocess.Popen(
        ["sh", "-c", 'read -r _; exec "$@"', "sh", *_unmounting(folder)],
        stdin=reading,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    os.close(reading)


def unmount(folder: Path) -> None:
    """Take the mount away at once, even if files in it are open."""
    subprocess.run(_unmounting(folder), check=False, capture_output=True)


def _unmounting(folder: Path) -> list[str]:
    """The command for it; only root can do without fusermount3."""
    program = shutil.which("fusermount3")
    return [*([program, "-u", "-z", "-q"] if program else ["umount", "-l"]), "--", str(folder)]


@contextlib.contextmanager
def _caught_words():  # type: ignore[no-untyped-def]
    """What libfuse writes to standard error, as a function that tells it, and one that gives standard error back."""
    ours, words = os.dup(2), os.memfd_create("words")
    os.dup2(words, 2)

    def release() -> None:
        os.dup2(ours, 2)

    def said() -> str:
        text = os.pread(words, _MAX_WORDS, 0).decode(errors="replace")
        return "; ".join(line.strip() for line in text.splitlines() if line.strip())

    try:
        yield said, release
    finally:
        release()
