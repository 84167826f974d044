"""Between a client of the Debug Adapter Protocol and gdb in the sandbox: what each says is put in the other's terms."""

import contextlib
import subprocess
import threading
from typing import BinaryIO, NamedTuple

from corebox.debugger.messages import Message, read_message, write_message
from corebox.debugger.session import CORE
from corebox.debugger.sources import SourceFolder, local_source
from corebox.errors import CoreboxError, HostError

#: gdb's interpreter that speaks the protocol (gdb manual, "Debugger Adapter Protocol").
SPEAK = ("-i=dap",)

_GRACE = 5  # seconds for gdb to end by itself


class Client(NamedTuple):
    """The streams of who debugs: an editor or IDE."""

    reading: BinaryIO
    writing: BinaryIO


class Adapter:
    """Opens the crash, whatever the client asks to be opened, and finds the client's own source files.

    Args:
        executable: its path in the sandbox, None lets gdb find it.
        folders: where the client has sources.
    """

    def __init__(self, executable: str | None, folders: tuple[SourceFolder, ...]) -> None:
        program = {"program": executable} if executable else {}
        self._opening = {**program, "coreFile": CORE}
        self._folders = folders
        self._launch: object = None

    def to_gdb(self, message: Message) -> Message:
        """A client's message: what it wants to launch or attach to becomes the crash."""
        if message.get("command") not in ("launch", "attach"):
            return message
        if message["command"] == "launch":
            self._launch = message.get("seq")
        return {**message, "command": "attach", "arguments": self._opening}

    def to_client(self, message: Message) -> Message:
        """A message of gdb's: an answer has the command's name of the question."""
        if self._launch is None or message.get("type") != "response" or message.get("request_seq") != self._launch:
            return message
        return {**message, "command": "launch"}

    def place_sources(self, value: Message) -> Message:
        """An object in a message of gdb's, in which files that the client has are named as it has them."""
        for key in ("source", "location"):
            source = value.get(key)
            if isinstance(source, dict) and isinstance(source.get("path"), str):
                path = local_source(source["path"], self._folders)
                if path:
                    # A client with a reference would ask gdb for the text (DAP specification, "Source").
                    kept = {name: each for name, each in source.items() if name != "sourceReference"}
                    value[key] = {**kept, "path": path}
        return value


def relay(client: Client, gdb: "subprocess.Popen[bytes]", adapter: Adapter) -> None:
    """Carry messages both ways until either end has no more.

    Raises:
        InputError: ``bad-message`` of either end.
        HostError: ``session-ended`` if gdb ended before the client did.
        ConnectionError: the client does not listen any more.
    """
    assert gdb.stdout
    questions = _Questions(client, gdb, adapter)
    questions.start()
    while (message := read_message(gdb.stdout, adapter.place_sources)) is not None:
        write_message(client.writing, adapter.to_client(message))
    if questions.failure:
        raise questions.failure
    if not questions.ended:
        hint = "see what gdb says: corebox shell SUBJECT"
        raise HostError("session-ended", "gdb ended unexpectedly", hint)


class _Questions(threading.Thread):
    """Carries what the client says to gdb, and ends gdb when the client is gone.

    Attributes:
        ended: the client has said its last word: that it disconnects, or the end of its stream.
        failure: what was wrong with a message of the client's.
    """

    def __init__(self, client: Client, gdb: "subprocess.Popen[bytes]", adapter: Adapter) -> None:
        super().__init__(daemon=True)
        self._client, self._gdb, self._adapter = client, gdb, adapter
        self.ended = False
        self.failure: CoreboxError | None = None

    def run(self) -> None:
        """Carry; see the class."""
        assert self._gdb.stdin
        try:
            while (message := read_message(self._client.reading)) is not None:
                self.ended = self.ended or message.get("command") in ("disconnect", "terminate")
                write_message(self._gdb.stdin, self._adapter.to_gdb(message))
            self.ended = True
        except CoreboxError as error:
            self.failure = error
        except (OSError, ValueError):  # gdb is gone, or the streams were closed meanwhile
            return
        with contextlib.suppress(OSError, ValueError):
            self._gdb.stdin.close()
        try:
            self._gdb.wait(_GRACE)
        except subprocess.TimeoutExpired:
            self._gdb.kill()
