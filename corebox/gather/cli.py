"""The gatherer as a program: arguments in, a bundle and a summary out, an exit status for scripts."""

import argparse
import json
import signal
import sys
import time
from typing import Optional, Sequence, TextIO

from corebox.errors import as_ours, came_of_interruption
from corebox.gather import handler
from corebox.gather.job import Gathered, gather, input_size
from corebox.gather.options import make_parser
from corebox.gather.progress import ProgressLine, format_size
from corebox.gather.summary import is_exact, list_lines, memory_warning, summary_json, summary_lines
from corebox.gather.zipapp import make_zipapp
from corebox.printable import printable

_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


def main(arguments: Optional[Sequence[str]] = None, program: str = "corebox-gather.pyz") -> int:
    """Run the gatherer and return its exit status; argparse itself exits for ``--help``.

    ``program`` is what the user calls it.
    """
    as_json = "--json" in (sys.argv if arguments is None else arguments)
    before = {number: signal.signal(number, _interrupt) for number in _SIGNALS}
    try:
        return run(make_parser(program).parse_args(arguments))
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  # the one place for what nobody else caught
        return _explain(error, as_json)
    finally:
        for number, action in before.items():
            signal.signal(number, action)


def _explain(error: BaseException, as_json: bool) -> int:
    """Say what went wrong, with ``as_json`` also as a document, and return the exit status."""
    if came_of_interruption(error):
        _complain("interrupted; nothing was written")
        return 130
    ours = as_ours(error)
    _complain("error: " + printable(ours.message))
    _complain("hint: " + printable(ours.hint))
    if as_json:
        _say(json.dumps(ours.to_json(), sort_keys=True, indent=1))
    return ours.exit_status


def _interrupt(*_: object) -> None:
    """A session that breaks off must leave as little behind as Ctrl-C does."""
    raise KeyboardInterrupt


def run(options: argparse.Namespace) -> int:
    """Do what the options say."""
    limits = handler.Limits(options.max_bundles, options.max_bytes)
    if options.make_zipapp:
        size = make_zipapp(options.make_zipapp)
        _say("wrote {}, {}".format(printable(options.make_zipapp), format_size(size)))
        return 0
    if options.install_handler:
        line = handler.install_handler(options.install_handler, handler.running_program(), limits)
        _say("installed; now tell the kernel, as root:\n  echo '{}' > /proc/sys/kernel/core_pattern".format(line))
        return 0
    if options.handle:
        return handler.handle_crash(options.handle, sys.stdin.buffer, tuple(options.crash), limits, options.jobs)
    began = time.monotonic()
    progress = ProgressLine(sys.stderr)
    try:
        gathered = gather(options, progress)
    finally:
        progress.clear()
    warning = memory_warning(gathered.manifest, bool(options.encrypt_to))
    _say(_text(options, gathered, time.monotonic() - began, warning))
    if warning:
        _complain("warning: " + warning)
    return 0 if is_exact(gathered.manifest) and not gathered.lacking else 1


def _text(options: argparse.Namespace, gathered: Gathered, seconds: float, warning: Optional[str]) -> str:
    manifest = gathered.manifest
    if options.list:
        return "\n".join(list_lines(manifest))
    if options.json:
        return summary_json(manifest, gathered.written, warning, gathered.lacking)
    lines = list(summary_lines(manifest, gathered.written, seconds, gathered.lacking))
    if options.dry_run:
        lines.append("dry run:   {} would be read, nothing was written".format(format_size(input_size(manifest))))
    return "\n".join(lines)


def _say(text: str) -> None:
    _print(text, sys.stdout)


def _complain(text: str) -> None:
    _print(text, sys.stderr)


def _print(text: str, stream: TextIO) -> None:
    """Any path can be printed, whatever the locale."""
    encoding = stream.encoding or "ascii"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
    stream.flush()
