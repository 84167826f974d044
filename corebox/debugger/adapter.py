"""Between a client of the Debug Adapter Protocol and gdb in the sandbox: what each says is put in the other's terms."""

import contextlib
import subprocess
import threading
from typing import BinaryIO, NamedTuple

from corebox.debugger.messages import Message, read_message, write_message
from corebox.debugger.session import CORE, inside
from corebox.debugger.sources import SourceFolder, local_source
from corebox.errors import CoreboxError, HostError

#: gdb's interpreter that speaks the protocol (gdb manual, "Debugger Adapter Protocol").
SPEAK = ("-i=dap", "-ex", inside("session.commands", "for_editors()"))

_GRACE = 5  # seconds for gdb to end by itself

#: gdb says "success" to these without a process, and no event follows: clients wait for one, and show "running".
_RUNNING = (
    *("continue", "next", "stepIn", "stepOut", "pause", "goto", "restart", "restartFrame", "terminateThreads"),
    *("reverseContinue", "stepBack"),
)
_REFUSAL = (
    "This is a crashed process, not a running one: {} is not possible. "
    "Look at its threads, stack, variables and memory; to start the program: corebox rerun SUBJECT"
)


def refusal(command: str) -> str:
    """Why a command that lets a process run, or stops one, is not possible."""
    return _REFUSAL.format(command)


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

    def refuse(self, message: Message) -> Message | None:
        """The answer to a client's message that wants a process to run or to stop; None for all other messages."""
        command = message.get("command")
        if command not in _RUNNING:
            return None
        said = refusal(str(command))
        # Without showUser VS Code writes it to a log (DAP specification, "ErrorResponse" and "Message").
        error = {"id": 1, "format": said, "showUser": True}
        answer = {"type": "response", "request_seq": message.get("seq"), "command": command, "success": False}
        return {**answer, "message": said, "body": {"error": error}}

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
    answers = _Answers(client.writing)
    questions = _Questions(client, gdb, adapter, answers)
    questions.start()
    while (message := read_message(gdb.stdout, adapter.place_sources)) is not None:
        answers.write(adapter.to_client(message))
    if questions.failure:
        raise questions.failure
    if not questions.ended:
        hint = "see what gdb says: corebox shell SUBJECT"
        raise HostError("session-ended", "gdb ended unexpectedly", hint)


class _Answers:
    """What the client is told by gdb and by us, one message after the other, numbered as it gets them."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._lock, self._number = stream, threading.Lock(), 0

    def write(self, message: Message) -> None:
        """Write it."""
        with self._lock:
            self._number += 1
            write_message(self._stream, {**message, "seq": self._number})


class _Questions(threading.Thread):
    """Carries what the client says to gdb, and ends gdb when the client is gone.

    Attributes:
        ended: the client has said its last word: that it disconnects, or the end of its stream.
        failure: what was wrong with a message of the client's.
    """

    def __init__(self, client: Client, gdb: "subprocess.Popen[bytes]", adapter: Adapter, answers: _Answers) -> None:
        super().__init__(daemon=True)
        self._client, self._gdb, self._adapter, self._answers = client, gdb, adapter, answers
        self.ended = False
        self.failure: CoreboxError | None = None

    def run(self) -> None:
        """Carry; see the class."""
        assert self._gdb.stdin
        try:
            while (message := read_message(self._client.reading)) is not None:
                self.ended = self.ended or message.get("command") in ("disconnect", "terminate")
                refusal = self._adapter.refuse(message)
                if refusal:
                    self._answers.write(refusal)
                else:
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
