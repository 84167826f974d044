"""gdb's prompt for a program: commands in, what gdb prints out, over its machine interface."""

import re
import subprocess
import threading

from corebox.debugger.mi import quote, read_line, unescape
from corebox.errors import HostError, InputError

#: What gdb is started with for it. Colours would be in what it prints, and a pager would wait for a key.
CONSOLE_ARGUMENTS = ("--interpreter=mi3", "-iex", "set style enabled off", "-iex", "set pagination off")
MAX_LENGTH = 1 << 20  # characters of the answer to one command
_SHOWN = re.compile(rb'[~@]"(.*)"', re.DOTALL)
_RESULT = re.compile(rb'(\d*)\^(\w+)(?:,msg="((?:[^"\\]|\\.)*)")?.*', re.DOTALL)


class Console:
    """Commands for the ``gdb`` that was started with ``CONSOLE_ARGUMENTS``; one at a time."""

    def __init__(self, gdb: "subprocess.Popen[bytes]") -> None:
        self._gdb = gdb
        self._number = 0

    def execute(self, command: str, time_limit: float = 60.0) -> str:
        """What gdb prints for one command, cut at ``MAX_LENGTH`` characters.

        Args:
            command: one line, as it is typed at gdb's prompt.
            time_limit: seconds; gdb is stopped when they are over.

        Raises:
            InputError: ``gdb-refused``, with what gdb says; the session goes on.
            HostError: ``time-limit``, ``session-ended``; the session is over.
        """
        if "\n" in command or "\0" in command:
            raise InputError("gdb-refused", "a command is one line", "execute the lines one by one")
        self._number += 1
        timer = threading.Timer(time_limit, self._gdb.kill)
        timer.start()
        try:
            return self._ask(command)
        except EOFError as error:
            if timer.is_alive():
                raise HostError("session-ended", "gdb ended unexpectedly", "open a new session") from error
            message = f"gdb did not answer within {time_limit:g} s and was stopped"
            raise HostError("time-limit", message, "open a new session, and give it more time") from error
        finally:
            timer.cancel()

    def _ask(self, command: str) -> str:
        assert self._gdb.stdin
        words = quote(command.encode("utf-8", "surrogateescape"))
        try:
            self._gdb.stdin.write(b"%d-interpreter-exec console %s\n" % (self._number, words))
            self._gdb.stdin.flush()
        except OSError as error:
            raise EOFError from error
        shown, size = [], 0
        while True:
            line = read_line(self._gdb.stdout) if self._gdb.stdout else None  # type: ignore[arg-type]  # as in relay
            if line is None:
                raise EOFError
            text, result = _SHOWN.fullmatch(line.text), _RESULT.fullmatch(line.text)
            if text and size <= MAX_LENGTH:
                shown.append(unescape(text[1].decode("utf-8", "replace")))
                size += len(shown[-1])
            elif result and result[1] == b"%d" % self._number:
                if result[2] == b"error":
                    said = unescape((result[3] or b"").decode("utf-8", "replace"))
                    raise InputError("gdb-refused", f"gdb refused {command!r:.200}: {said}", "see: help, apropos")
                return _cut("".join(shown))


def _cut(text: str) -> str:
    return text if len(text) <= MAX_LENGTH else text[:MAX_LENGTH] + "…\n"
