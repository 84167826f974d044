"""``corebox doctor``."""

import click

from corebox.actions.doctor import doctor
from corebox.cli import options, output
from corebox.errors import HostError


@click.command("doctor", short_help="Check what this machine supports, and how to fix the rest.")
@options.as_json
def command(as_json: bool) -> int:
    """Check what this machine supports, and show how to fix the rest."""
    diagnosis = doctor()
    if as_json:
        output.say_json(diagnosis.to_json())
        return 0 if diagnosis.ok else 4
    for finding in diagnosis.findings:
        mark, role = ("ok", "good") if finding.ok else ("no", "bad")
        output.say_as(role, f"{mark:3}", f" {finding.what:11} {finding.detail}")
        if finding.remedy:
            output.say(f"{'':15} {finding.remedy}")
    if not diagnosis.ok:
        raise HostError(
            "cannot-do", "this machine cannot open crashes", 'fix the lines marked "no"; one working engine is enough'
        )
    return 0
