"""Runs inside gdb before the core is opened: greets the user of an interactive session.

gdb's own Python API only; the facts come from the image's manifest, which the gatherer wrote.
"""

import json
import pathlib

import gdb

MANIFEST = pathlib.Path("/.corebox/manifest.json")


def printable(text):
    """Escape what could move the cursor or hide text: the manifest's strings come from a customer's machine."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape", "replace").decode() for char in text)


def banner(manifest):
    """The lines that say what crashed and how far the files can be trusted."""
    process, modules = manifest["process"], manifest["modules"]
    what = process["executable"] or process["name"] or "a program"
    lines = ["{} died of {}".format(what, process["signal_name"] or "an unknown signal")]
    if process["fault_address"]:
        lines[0] += " at address {}".format(process["fault_address"])
    verified = sum(module["verdict"] == "verified" for module in modules)
    lines.append("{} threads; {} of {} modules verified".format(process["threads"], verified, len(modules)))
    doubtful = (module for module in modules if module["verdict"] != "verified")
    lines += ["  {}: {}".format(module["verdict"], module["path"]) for module in doubtful]
    if manifest["core"]["truncated"]:
        lines.append("the core is truncated: some memory cannot be read")
    return [printable(line) for line in lines]


def greet():
    """Print the banner once, at the first prompt, which a batch run never reaches."""
    gdb.events.before_prompt.disconnect(greet)
    print("\n".join(banner(json.loads(MANIFEST.read_bytes()))))
    gdb.execute("set pagination on")  # last: gdb has counted the lines so far


gdb.events.before_prompt.connect(greet)
