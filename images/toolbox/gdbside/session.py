"""Runs inside gdb before the core is opened: our commands, and what greets the user of an interactive session.

gdb's own Python API only; the facts come from the core, and from the image's manifest, which the gatherer wrote.
"""

import json
import pathlib
import sys

import gdb

HERE = "/.corebox/toolbox/share/corebox"
MANIFEST = pathlib.Path("/.corebox/manifest.json")


def printable(text):
    """Escape what could move the cursor or hide text: the manifest's strings come from a customer's machine."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape", "replace").decode() for char in text)


def manifest():
    """The manifest of the crash."""
    return json.loads(MANIFEST.read_bytes())


def banner(facts):
    """The lines that say what crashed and how far the files can be trusted."""
    process, modules = facts["process"], facts["modules"]
    what = process["executable"] or process["name"] or "a program"
    lines = ["{} died of {}".format(what, process["signal_name"] or "an unknown signal")]
    if process["fault_address"]:
        lines[0] += " at address {}".format(process["fault_address"])
    lines += why_lines()[:1]
    verified = sum(module["verdict"] == "verified" for module in modules)
    lines.append("{} threads; {} of {} modules verified".format(process["threads"], verified, len(modules)))
    doubtful = (module for module in modules if module["verdict"] != "verified")
    lines += ["  {}: {}".format(module["verdict"], module["path"]) for module in doubtful]
    if facts["core"]["truncated"]:
        lines.append("the core is truncated: some memory cannot be read")
    lines.append('more: "corebox why" for the evidence, "corebox modules" for files and symbols')
    return lines


def why_lines():
    """What kind of fault it is, then the evidence; nothing if no core is open."""
    import why  # noqa: PLC0415 - the path to it is not set before

    thread = gdb.selected_thread()
    if thread is None:
        return []
    frame = gdb.selected_frame()
    min(gdb.selected_inferior().threads(), key=lambda each: each.num).switch()
    found = why.explain()
    thread.switch()
    frame.select()
    return [found["sentence"], *("  " + line for line in found["evidence"])]


def module_lines():
    """Each module with verdict, build ID and the file that gives its symbols."""
    debug = {each.owner.filename: each.filename for each in gdb.objfiles() if each.owner is not None}
    own = {each.filename for each in gdb.objfiles() if each.owner is None}
    for module in manifest()["modules"]:
        path = module["path"]
        symbols = debug.get(path) or ("its own symbols" if path in own else "not opened")
        build_id = module["build_id"]["memory"] or "no build ID"
        yield "{:13}  {:40}  {}  ({})".format(module["verdict"], build_id, path, symbols)


class Corebox(gdb.Command):
    """What corebox knows about this crash: "corebox why", "corebox modules"."""

    def __init__(self):
        super().__init__("corebox", gdb.COMMAND_STATUS, prefix=True)


class Lines(gdb.Command):
    """A command that prints lines."""

    def __init__(self, name, lines, text):
        self.__doc__, self.lines = text, lines
        super().__init__("corebox " + name, gdb.COMMAND_STATUS)

    def invoke(self, _argument, _from_tty):
        """Print them, through gdb's pager."""
        for line in self.lines():
            gdb.write(printable(line) + "\n")


def greet():
    """Print the banner once, at the first prompt, which a batch run never reaches."""
    gdb.events.before_prompt.disconnect(greet)
    for line in banner(manifest()):
        print(printable(line))
    gdb.execute("set pagination on")  # last: gdb has counted the lines so far


sys.path.insert(0, HERE)
Corebox()
Lines("why", why_lines, "What kind of fault it is, with the evidence.")
Lines("modules", module_lines, "Each module with its verdict, build ID and the file that gives its symbols.")
gdb.events.before_prompt.connect(greet)
