"""Our commands, and what greets the user of an interactive session.

gdb's own Python API only; the facts come from the core, and from the image's manifest, which the gatherer wrote.
"""

import json
import pathlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import gdb

from corebox.gdbside import selection
from corebox.gdbside.editors import protocol
from corebox.gdbside.frames import callers, trampoline, unwinder
from corebox.gdbside.runtimes import gocore, managed, pystacks
from corebox.gdbside.session import bounds, history, opened, packages, programs
from corebox.gdbside.values import cxxprinters
from corebox.gdbside.why import explain

_Json = dict[str, Any]

MANIFEST = pathlib.Path("/.corebox/manifest.json")
SYMBOLS = pathlib.Path("/.corebox/symbols.json")
REPLACED_EXECUTABLE = "/.corebox/executable"
MAX_DOUBTFUL, MAX_FRAMES = 10, 64


def printable(text: str) -> str:
    """Escape what could move the cursor or hide text: the manifest's strings come from a customer's machine."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape", "replace").decode() for char in text)


def manifest() -> _Json:
    """The manifest of the crash."""
    found: _Json = json.loads(MANIFEST.read_bytes())
    return found


def banner(facts: _Json) -> list[str]:
    """The lines that say what crashed, where, how far the files can be trusted, and what to do next."""
    process, modules = facts["process"], facts["modules"]
    what = noted().get("program") or process["executable"] or process["name"] or "a program"
    signal, address = process["signal_name"], process["fault_address"]
    how = f"was killed by {signal}" if signal else "was running when the core was taken"
    lines = [f"{what} {how}" + (f" at address {address}" if signal and address else "")]
    lines += why_lines()[:1] + where_lines(modules)
    verified = sum(module["verdict"] == "verified" for module in modules)
    lines.append(f"{verified} of {len(modules)} modules verified")
    doubtful = [module for module in modules if module["verdict"] != "verified"]
    lines += ["  {}: {}".format(module["verdict"], module["path"]) for module in doubtful[:MAX_DOUBTFUL]]
    if len(doubtful) > MAX_DOUBTFUL:
        lines.append(f"  and {len(doubtful) - MAX_DOUBTFUL} more")
    if doubtful:
        lines.append("  frames in these may be wrong: ask the customer for the file with the build ID in the core")
    lines += symbol_lines(facts)
    if facts["core"]["truncated"]:
        lines.append("the core is truncated: some memory cannot be read")
    if pystacks.is_python():
        lines.append('it runs Python: "py-bt" shows the Python stack')
    lines.append('more: "corebox why" for the evidence, "corebox modules" for files and symbols')
    return lines


def in_crashed_thread(tell: Callable[[], list[str]]) -> list[str]:
    """The lines of ``tell`` about the innermost frame of the thread that crashed; nothing if no core is open."""
    if gdb.selected_thread() is None:
        return []
    with selection.kept():
        min(gdb.selected_inferior().threads(), key=lambda each: each.num).switch()
        try:
            gdb.newest_frame().select()
            return tell()
        except gdb.error as error:
            return [f"not available: {error}"]


def where_lines(modules: list[_Json]) -> list[str]:
    """The thread that crashed and its innermost frame."""

    def tell() -> list[str]:
        thread, frame = selection.thread(), gdb.newest_frame()
        place, counter = frame.find_sal(), frame.pc()
        source = f" at {place.symtab.filename}:{place.line}" if place.symtab else ""
        name = managed.names(frame)[0] or "??"
        inside = (each["path"] for each in modules if int(each["start"], 16) <= counter < int(each["end"], 16))
        threads = len(gdb.selected_inferior().threads())
        where = f"thread {thread.num} of {threads} (LWP {thread.ptid[1]})"
        return [f"in {where}: {name}{source}, {next(inside, 'in no module')}"]

    return in_crashed_thread(tell)


def names(module: _Json) -> list[str]:
    """The paths that gdb may know a module by."""
    return [*module["opened_as"], module["path"], *([REPLACED_EXECUTABLE] if module["executable"] else [])]


def build_id(module: _Json) -> str:
    """Its build ID in words: the one in the core if that has one."""
    return module["build_id"]["memory"] or module["build_id"]["file"] or "none"


def noted() -> _Json:
    """What corebox notes beside the image for this session; nothing without corebox."""
    return json.loads(SYMBOLS.read_bytes()) if SYMBOLS.exists() else {}


def symbols_of_modules(facts: _Json) -> list[tuple[_Json, str, str | None]]:
    """Each module with what is known of its symbols, in a word, and the package that it is of, or None."""
    # Without corebox, in the image alone, what the gatherer has noted has to do.
    known = noted().get("modules") or facts["modules"]
    pairs = zip(facts["modules"], known, strict=True)
    return [(module, given.get("symbols") or "not known", given.get("package")) for module, given in pairs]


def symbol_lines(facts: _Json) -> list[str]:
    """How many modules have symbols, and which lack them in the stack of the thread that crashed."""
    known = symbols_of_modules(facts)
    lines = [f"{sum(symbols == 'full' for _, symbols, _ in known)} of {len(known)} modules with full symbols"]
    used = set(in_crashed_thread(files_of_stack))
    lacking = [each for each in known if each[1] != "full" and used.intersection(names(each[0]))]
    if lacking:
        lines.append("  no full symbols for these modules of the stack; add them: corebox shell --symbols PLACE")
    for module, symbols, package in lacking:
        origin = f"build ID {build_id(module)}" + (f", package {package}" if package else "")
        lines.append(f"  {symbols}: {module['path']} ({origin})")
    return lines


def files_of_stack() -> list[str]:
    """The files that the frames of the selected thread are in."""
    space, found = gdb.current_progspace(), list[str]()
    frame: gdb.Frame | None = gdb.newest_frame()
    while frame is not None and len(found) < MAX_FRAMES:
        found.append(space.solib_name(frame.pc()) or space.filename or "")
        frame = frame.older()
    return found


def why_lines() -> list[str]:
    """What kind of fault it is, then the evidence."""

    def tell() -> list[str]:
        found = explain.explain()
        return [found["sentence"], *("  " + line for line in found["evidence"])]

    return in_crashed_thread(tell)


def stack_lines() -> Iterator[str]:
    """The selected thread's stack, each frame with how it was found, and why it ends."""
    frames = callers.Callers()
    for frame, unwind in frames:
        number = f"#{frame.level()}"
        for name in managed.names(frame):
            yield f"{number:<5} {unwind:13}  {frame.pc():#018x}  {name or '??'}"
            number = ""
    yield f"the stack ends here: {frames.end}"


def module_lines() -> Iterator[str]:
    """Each module with verdict, build ID, how far its symbols are known, and the debug file that gives them."""
    files: dict[str | None, str | None] = {each.filename: None for each in gdb.objfiles()}
    files.update((each.owner.filename, each.filename) for each in gdb.objfiles() if each.owner is not None)
    for module, symbols, _ in symbols_of_modules(manifest()):
        opened = next((name for name in names(module) if name in files), None)
        what = "not opened" if opened is None else f"symbols: {symbols}"
        if files.get(opened):
            what += f", in {files[opened]}"
        yield "{:13}  {:40}  {}  ({})".format(module["verdict"], build_id(module), module["path"], what)


class Corebox(gdb.Command):
    """What corebox knows about this crash: "corebox why", "corebox stack", "corebox modules", "corebox python"."""

    def __init__(self) -> None:
        super().__init__("corebox", gdb.COMMAND_STATUS, prefix=True)


class Lines(gdb.Command):
    """A command that prints lines."""

    def __init__(self, name: str, lines: Callable[[], Iterable[str]], text: str) -> None:
        self.__doc__, self.lines = text, lines
        super().__init__(name, gdb.COMMAND_STATUS)

    def invoke(self, _argument: str, _from_tty: bool) -> None:
        """Print them, through gdb's pager."""
        for line in self.lines():
            gdb.write(printable(line) + "\n")


def shown() -> list[str]:
    """The banner, to be printed."""
    return [printable(line) for line in banner(manifest())]


#: Settings that we change while gdb starts, and what they are at the prompt: as gdb has them, or as the user wants.
_kept = {"print symbol-loading": "full", "pagination": "on"}


def before_user() -> None:
    """Before the user's own commands are read: they begin with what gdb has by itself."""
    for name, value in _kept.items():
        gdb.execute(f"set {name} {value}")


def after_user() -> None:
    """When they have been read: what the user wants is for the prompt."""
    for name in _kept:
        value = gdb.parameter(name)
        _kept[name] = value if isinstance(value, str) else "on" if value else "off"
    hush()


def hush() -> None:
    """Let gdb open the core without pages, and without two lines for each module."""
    for name in _kept:
        gdb.execute(f"set {name} off")


def greet() -> None:
    """Print the banner once, at the first prompt, which a batch run never reaches."""
    gdb.events.before_prompt.disconnect(greet)
    for line in shown():
        print(line)
    names = gocore.thread_names()
    for thread in gdb.selected_inferior().threads():
        thread.name = thread.name or names.get(thread.num)
    for name, value in _kept.items():  # pagination last: gdb has counted the lines so far
        gdb.execute(f"set {name} {value}")


def for_editors() -> None:
    """Change gdb's Debug Adapter Protocol for cores, when gdb has loaded it: after the init files."""
    protocol.prepare(manifest()["process"], why_lines)


def begin() -> None:
    """Add our commands and change what needs to be changed, before the core is opened."""
    bounds.bound_memory()
    Corebox()
    Lines("corebox why", why_lines, "What kind of fault it is, with the evidence.")
    Lines("corebox modules", module_lines, "Each module: verdict, build ID and the file that gives its symbols.")
    Lines("corebox stack", stack_lines, "The selected thread's stack: how each frame was found, and why it ends.")
    Lines("corebox python", pystacks.lines, "The Python stack of the selected thread, which needs no debug files.")
    Lines("corebox goroutines", gocore.lines, "All goroutines: state, what they wait for, stack; equal ones once.")
    # The customer's Python may have a command of this name, which then takes the place of ours.
    Lines("py-bt", pystacks.lines, "The Python stack of the selected thread: the same as corebox python.")
    hush()
    cxxprinters.register()
    unwinder.register()
    programs.refuse()
    history.begin()
    trampoline.register()
    managed.register()
    gocore.register()
    opened.prepare(shown)
    packages.load()  # last: the user's printers are asked before ours
    gdb.events.before_prompt.connect(greet)
