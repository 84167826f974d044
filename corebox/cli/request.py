"""``corebox request``."""

import os
import shlex
import sys
from pathlib import Path

import click

from corebox.actions.recover import core_of
from corebox.actions.subject import BareCore, resolve
from corebox.cli import options, output
from corebox.gather.output import require_harmless
from corebox.gather.request import request_script
from corebox.store.store import Store


@click.command("request", short_help="Write a script that packs the files a core needs.")
@options.subject
@options.output_file
@options.identity
def command(subject: str, out: Path | None, identity: Path | None) -> int:
    """Write a shell script that packs the files that SUBJECT needs, for a customer without Python who sent only a core.

    The customer runs it (sh request.sh) and sends back the archive that it makes; then: corebox build CORE libs.tar.gz,
    or, for a bundle that lacks files: corebox recover BUNDLE --from libs.tar.gz -o complete.corebox.
    """
    if out is not None:
        require_harmless(str(out), [subject], force=True)
    store = Store.default()
    found = resolve(store, subject, identity=identity)
    with core_of(store, found) as core:
        script = request_script(core)
    data = os.fsencode(script)  # names may be no UTF-8
    if out is None:
        sys.stdout.buffer.write(data)
    else:
        out.write_bytes(data)
    script_name, name = out.name if out else "request.sh", shlex.quote(subject)
    then = (
        f"build {name} libs.tar.gz"
        if isinstance(found, BareCore)
        else f"recover {name} --from libs.tar.gz -o complete.corebox"
    )
    output.note(f"the customer runs it (sh {script_name}) and sends back libs.tar.gz; then: corebox {then}")
    return 0
