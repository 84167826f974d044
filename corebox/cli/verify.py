"""``corebox verify``."""

from collections import Counter
from pathlib import Path

import click

from corebox.actions.subject import resolve
from corebox.actions.verify import verification_json, verify
from corebox.cli import options, output
from corebox.store.store import Store


@click.command("verify")
@options.subject
@options.root
@options.identity
@options.as_json
def command(subject: str, root: str, identity: Path | None, as_json: bool) -> int:
    """Prove that each module is the file that was mapped.

    Every digest is checked and every build ID is read again, from the core's memory and from the file. Exit status 1 if
    anything is not proved.
    """
    store = Store.default()
    result = verify(store, resolve(store, subject, identity=identity), root)
    if as_json:
        output.say_json(verification_json(result))
        return 0 if result.ok else 1
    for proof in result.modules:
        detail = f" ({proof.detail})" if proof.detail else ""
        output.say(f"{proof.verdict:14} {proof.path}{detail}")
        if proof.verdict == "mismatch":
            output.say(f"{'':14} in the core {proof.memory}, in the file {proof.file}")
    for problem in result.problems:
        output.say(f"problem: {problem}")
    counts = Counter(proof.verdict for proof in result.modules)
    output.say(", ".join(f"{count} {verdict}" for verdict, count in counts.items()) or "no modules")
    if result.identity:
        output.say(f"identity {result.identity}")
    return 0 if result.ok else 1
