"""What the gatherer was called for: a gathering most often, or one of the programs that are written instead.

Whoever only asks for the help or the version does not wait until all this is read.
"""

import argparse
import sys
import time
from typing import Optional

from corebox.bundle.layout import STREAM
from corebox.bundle.manifest import Manifest
from corebox.files.ahead import Ahead
from corebox.gather.job import Gathered, gather, input_size
from corebox.gather.preset import Preset
from corebox.gather.progress import ProgressLine
from corebox.gather.summary import is_exact, list_lines, memory_warning, next_lines, summary_json, summary_lines
from corebox.gather.terminal import complain, say
from corebox.printable import format_size, printable

_INSTALLED = """\
installed; now tell the kernel, as root:
  echo '{}' > /proc/sys/kernel/core_pattern
  echo 0 > /proc/sys/kernel/core_pipe_limit
The second line lets the handler see every crash, even many at once; it has limits of its own."""


def run(options: argparse.Namespace, preset: Preset, ahead: Optional[Ahead] = None) -> int:
    """Do what the options say; ``ahead`` is what is known of the core already."""
    if options.make_zipapp:
        return _make_zipapp(options)
    if options.install_handler:
        return _install(options)
    if options.handle:
        from corebox.gather.handler import handle_crash, parse_crash  # noqa: PLC0415  # what few calls need is below

        return handle_crash(options.handle, sys.stdin.buffer, parse_crash(options.crash), options)
    began = time.monotonic()
    progress = ProgressLine(sys.stderr)
    try:
        gathered = gather(options, progress, ahead)
    finally:
        progress.clear()
    warning = memory_warning(gathered.manifest, bool(options.encrypt_to))
    tell = complain if gathered.written and gathered.written.path == STREAM else say
    tell(_text(options, gathered, time.monotonic() - began, warning))
    if gathered.written and not options.json:
        for line in next_lines(gathered.written.path, preset.message, _where_the_rest_is(gathered.manifest)):
            tell(line)
    if warning:
        complain("warning: " + warning)
    return 0 if is_exact(gathered.manifest) and not gathered.lacking else 1


def _install(options: argparse.Namespace) -> int:
    from corebox.gather.handler import running_program  # noqa: PLC0415
    from corebox.gather.install import install_handler  # noqa: PLC0415

    say(_INSTALLED.format(install_handler(options, running_program())))
    return 0


def _make_zipapp(options: argparse.Namespace) -> int:
    from corebox.gather.output import require_harmless  # noqa: PLC0415
    from corebox.gather.preset import make_preset  # noqa: PLC0415
    from corebox.gather.zipapp import is_zipapp, make_zipapp  # noqa: PLC0415

    out = options.make_zipapp
    require_harmless(out, [], options.force, is_zipapp, "a program of corebox")
    size = make_zipapp(out, make_preset(options.preset, options.message))
    say("wrote {}, {}".format(printable(out), format_size(size)))
    return 0


def _where_the_rest_is(manifest: Manifest) -> str:
    """Of a light bundle, the options that name places with what was left out."""
    if not manifest.left_out:
        return ""
    from corebox.describe.lacking import options_for  # noqa: PLC0415

    return options_for(manifest)


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
