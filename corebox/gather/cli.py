"""The gatherer as a program: arguments in, a bundle and a summary out, an exit status for scripts."""

import argparse
import json
import signal
import sys
import time
from typing import Optional, Sequence, TextIO

from corebox.errors import as_ours, came_of_interruption
from corebox.gather.handler import handle_crash, parse_crash, running_program
from corebox.gather.install import install_handler
from corebox.gather.job import Gathered, gather, input_size
from corebox.gather.output import require_harmless
from corebox.gather.preset import Preset, load_preset, make_preset, parse_arguments, preset_arguments
from corebox.gather.progress import ProgressLine, format_size
from corebox.gather.summary import (
    is_exact,
    list_lines,
    memory_warning,
    next_lines,
    summary_json,
    summary_lines,
)
from corebox.gather.zipapp import is_zipapp, make_zipapp
from corebox.printable import printable

_INSTALLED = """\
installed; now tell the kernel, as root:
  echo '{}' > /proc/sys/kernel/core_pattern
  echo 0 > /proc/sys/kernel/core_pipe_limit
The second line lets the handler see every crash, also of many at once; it has limits of its own."""
_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


def main(arguments: Optional[Sequence[str]] = None, program: str = "corebox-gather.pyz") -> int:
    """Run the gatherer and return its exit status; argparse itself exits for ``--help``.

    ``program`` is what the user calls it.
    """
    words = sys.argv[1:] if arguments is None else arguments
    as_json = "--json" in words
    before = {number: signal.signal(number, _interrupt) for number in _SIGNALS}
    try:
        preset = load_preset()
        with preset_arguments(preset, words) as all_words:
            return run(parse_arguments(program, all_words, preset), preset)
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
    for line in ours.context.get("advice", ()):  # type: ignore[attr-defined]
        _complain("  " + printable(line))
    _complain("hint: " + printable(ours.hint))
    if as_json:
        _say(json.dumps(ours.to_json(), sort_keys=True, indent=1))
    return ours.exit_status


def _interrupt(*_: object) -> None:
    """A session that breaks off must leave as little behind as Ctrl-C does."""
    raise KeyboardInterrupt


def run(options: argparse.Namespace, preset: Preset) -> int:
    """Do what the options say."""
    if options.make_zipapp:
        return _make_zipapp(options)
    if options.install_handler:
        _say(_INSTALLED.format(install_handler(options, running_program())))
        return 0
    if options.handle:
        return handle_crash(options.handle, sys.stdin.buffer, parse_crash(options.crash), options)
    began = time.monotonic()
    progress = ProgressLine(sys.stderr)
    try:
        gathered = gather(options, progress)
    finally:
        progress.clear()
    warning = memory_warning(gathered.manifest, bool(options.encrypt_to))
    _say(_text(options, gathered, time.monotonic() - began, warning))
    if gathered.written and not options.json:
        for line in next_lines(gathered.written.path, preset.message):
            _say(line)
    if warning:
        _complain("warning: " + warning)
    return 0 if is_exact(gathered.manifest) and not gathered.lacking else 1


def _make_zipapp(options: argparse.Namespace) -> int:
    out = options.make_zipapp
    require_harmless(out, [], options.force, is_zipapp, "a program of corebox")
    size = make_zipapp(out, make_preset(options.preset, options.message))
    _say("wrote {}, {}".format(printable(out), format_size(size)))
    return 0


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
