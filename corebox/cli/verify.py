"""``corebox verify``."""

from collections import Counter
from pathlib import Path

import click

from corebox.actions.places import opened_places
from corebox.actions.subject import Pulling, resolve
from corebox.actions.verify import verification_json, verify
from corebox.cli import options, output
from corebox.cli.places import places as places_options
from corebox.cli.pulling import pulling as with_pulling
from corebox.locate.places import SymbolOptions
from corebox.store.store import Store

#: Colours of verdicts; those that prove nothing are doubtful.
_ROLES = {"verified": "good", "mismatch": "bad", "missing": "bad"}


@click.command("verify")
@options.subject
@options.root
@options.identity
@places_options
@with_pulling
@options.as_json
def command(
    *, subject: str, root: str, identity: Path | None, places: tuple[str, ...], pulling: Pulling, as_json: bool
) -> int:
    """Prove that each module is the file that was mapped.

    Every digest is checked and every build ID is read again, from the core's memory and from the file. Exit status 1 if
    anything is not proved. With --from, files found in those places count too.
    """
    store = Store.default()
    wanted = SymbolOptions(places, ca_file=pulling.ca_file, plain_http=pulling.plain_http)
    opened = opened_places(store, wanted, output.progress())
    result = verify(store, resolve(store, subject, pulling, identity), root, opened.places)
    if as_json:
        output.say_json(verification_json(result))
        return 0 if result.ok else 1
    for proof in result.modules:
        detail = f" ({proof.detail})" if proof.detail else ""
        output.say_as(_ROLES.get(proof.verdict, "doubtful"), f"{proof.verdict:14}", f" {proof.path}{detail}")
        if proof.verdict == "mismatch":
            output.say(f"{'':14} in the core {proof.memory}, in the file {proof.file}")
    for problem in result.problems:
        output.say(f"problem: {problem}")
    counts = Counter(proof.verdict for proof in result.modules)
    output.say(", ".join(f"{count} {verdict}" for verdict, count in counts.items()) or "no modules")
    if result.identity:
        output.say(f"identity {result.identity}")
    return 0 if result.ok else 1
