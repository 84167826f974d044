"""Between a client of the Debug Adapter Protocol and gdb in the sandbox: what each says is put in the other's terms."""

import contextlib
import subprocess
import threading
from typing import BinaryIO, NamedTuple

from corebox.debugger.messages import Message, read_message, write_message
from corebox.debugger.session import CORE, inside
from corebox.debugger.sources import SourceFolder, Sources
from corebox.errors import CoreboxError, HostError
from corebox.printable import printable

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
        notices: what the user should know, for the client's console.
    """

    def __init__(
        self, executable: str | None, folders: tuple[SourceFolder, ...], notices: tuple[str, ...] = ()
    ) -> None:
        program = {"program": executable} if executable else {}
        self._opening = {**program, "coreFile": CORE}
        self._sources, self._notices = Sources(folders), notices
        self._launch: object = None
        self._opened, self._early = False, list[Message]()
        self._stopped: Message = {}
        self._forgets = False

    def to_gdb(self, message: Message) -> list[Message]:
        """What gdb is told for a client's message: what it wants to launch or attach to becomes the crash."""
        arguments = message.get("arguments")
        if arguments == []:  # Lua's empty object
            message = {**message, "arguments": {}}
        if message.get("command") == "initialize":
            # nvim-dap takes the thread to run as soon as it asks for a step, and goes on so when that is refused.
            self._forgets = isinstance(arguments, dict) and arguments.get("clientID") == "neovim"
        if message.get("command") == "configurationDone" and not self._opened:
            # Helix says this first, which gdb refuses, and waits for ever for the answer to what it says next.
            self._early.append(message)
            return []
        if message.get("command") not in ("launch", "attach"):
            return [message]
        self._opened = True
        if message["command"] == "launch":
            self._launch = message.get("seq")
        return [{**message, "command": "attach", "arguments": self._opening}, *self._early]

    def refuse(self, message: Message) -> list[Message]:
        """What a client is told whose message wants a process to run or to stop; nothing for all other messages."""
        command, arguments = message.get("command"), message.get("arguments")
        if command not in _RUNNING:
            return []
        said = refusal(str(command))
        # Without showUser VS Code writes it to a log (DAP specification, "ErrorResponse" and "Message").
        error = {"id": 1, "format": said, "showUser": True}
        answer = {"type": "response", "request_seq": message.get("seq"), "command": command, "success": False}
        refused = {**answer, "message": said, "body": {"error": error}}
        if not (self._forgets and self._stopped and isinstance(arguments, dict) and "threadId" in arguments):
            return [refused]
        body = {**self._stopped, "threadId": arguments["threadId"], "preserveFocusHint": True}
        return [refused, {"type": "event", "event": "stopped", "body": body}]

    def to_client(self, message: Message) -> list[Message]:
        """What the client is told for a message of gdb's: an answer has the command's name of the question."""
        if message.get("event") == "stopped" and isinstance(message.get("body"), dict):
            self._stopped = message["body"]
        if message.get("type") != "response":
            return [message]
        if message.get("command") == "initialize":
            said = [{"category": "console", "output": f"note: {printable(each)}\n"} for each in self._notices]
            return [message, *({"type": "event", "event": "output", "body": body} for body in said)]
        launched = self._launch is not None and message.get("request_seq") == self._launch
        return [{**message, "command": "launch"} if launched else message]

    def place_sources(self, value: Message) -> Message:
        """An object in a message of gdb's, in which files that the client has are named as it has them."""
        for key in ("source", "location"):
            if key in value:
                value[key] = self._place(value[key])
        if isinstance(value.get("sources"), list):
            value["sources"] = [self._place(each) for each in value["sources"]]
        return value

    def _place(self, source: object) -> object:
        path = source.get("path") if isinstance(source, dict) else None
        local = self._sources.find(path) if isinstance(path, str) else None
        if local is None or not isinstance(source, dict):
            return source
        # A client with a reference would ask gdb for the text (DAP specification, "Source").
        return {**{name: each for name, each in source.items() if name != "sourceReference"}, "path": local}


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
        for each in adapter.to_client(message):
            answers.write(each)
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
                refused = self._adapter.refuse(message)
                for each in refused:
                    self._answers.write(each)
                for each in [] if refused else self._adapter.to_gdb(message):
                    write_message(self._gdb.stdin, each)
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
