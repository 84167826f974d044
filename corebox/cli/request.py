"""``corebox request``."""

import os
import sys
import tempfile
from pathlib import Path

import click

from corebox.cli import options, output
from corebox.cli.complete import PLACE
from corebox.coredump.core import open_core
from corebox.gather.compressed import decompressed_core
from corebox.gather.output import require_harmless
from corebox.gather.request import request_script


@click.command("request", short_help="Write a script that packs the files a core needs.")
@click.argument("core", type=PLACE)
@options.output_file
def command(core: str, out: Path | None) -> int:
    """Write a shell script that packs the files that CORE needs, for a customer without Python who sent only a core.

    The customer runs it (sh request.sh) and sends back the archive that it makes; then: corebox build CORE libs.tar.gz.
    """
    if out is not None:
        require_harmless(str(out), [core], force=True)
    with decompressed_core(core, tempfile.gettempdir()) as path, open_core(path) as opened:
        script = request_script(opened)
    data = os.fsencode(script)  # names may be no UTF-8
    if out is None:
        sys.stdout.buffer.write(data)
    else:
        out.write_bytes(data)
    script_name = out.name if out else "request.sh"
    output.note(
        f"the customer runs it (sh {script_name}) and sends back libs.tar.gz; then: corebox build {core} libs.tar.gz"
    )
    return 0
