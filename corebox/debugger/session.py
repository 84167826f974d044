"""What to tell gdb: its command line and the commands it runs before it opens the core.

Names that come from a core are never part of a gdb command: they go as arguments, or are left out when gdb's command
language could read them as more than a name.
"""

import platform
import posixpath
import re
from collections.abc import Iterable, Sequence

from corebox.coredump.splitdwarf import SPLIT_BELOW

TOOLBOX = "/.corebox/toolbox"
INSIDE = TOOLBOX + "/share/corebox"
CORE = "/.corebox/core"
GDBINIT = "/.corebox/gdbinit"
REPLACED_EXECUTABLE = "/.corebox/executable"
SCRIPT = "/.corebox/script"
DEBUG = "/.corebox/symbols"
FORCED = "/.corebox/forced"
SPLIT = "/.corebox/split"
SYMBOL_STATUS = "/.corebox/symbols.json"
SOURCES = "/.corebox/source"
FETCHED = SOURCES + "/fetched"
SCRATCH = "/.corebox/tmp"
USER_GDBINIT = "/.corebox/user.gdbinit"
PYTHON_PATH = "/.corebox/python"
HISTORY, HISTORY_PIPE = "/.corebox/history", "/.corebox/history.pipe"


def inside(module: str, call: str) -> str:
    """The gdb command that calls a function of ``corebox.gdbside``, whatever the user's own Python has in that name."""
    name = f"corebox.gdbside.{module}"
    return f"python import {name}; {name}.{call}"


#: What makes gdb a Python prompt, after the banner; leaving it ends gdb (gdb manual, "Python Commands").
PYTHON_PROMPT = (
    *("-ex", inside("session.commands", "greet()")),
    *("-ex", "set pagination off", "-ex", "python-interactive", "-ex", "quit"),
)
#: What makes gdb name the sources that it does not find.
ASK_SOURCES = ("-batch", "-ex", inside("answers.sources", "answer()"))
#: Commands of the user's own, read when ours have been and before the core is opened.
READ_USER_GDBINIT = (
    *("-iex", inside("session.commands", "before_user()")),
    *("-ix", USER_GDBINIT),
    *("-iex", inside("session.commands", "after_user()")),
)

# gdb(1): the environment is all that gdb and its Python see.
ENVIRONMENT = {
    "HOME": SCRATCH,
    "TMPDIR": SCRATCH,
    "LC_ALL": "C.UTF-8",
    "LOCPATH": TOOLBOX + "/lib/locale",
    "GCONV_PATH": TOOLBOX + "/lib/gconv",
    "PYTHONHOME": TOOLBOX + "/python",
    "PYTHONNOUSERSITE": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "TERMINFO": TOOLBOX + "/share/terminfo",
}

#: What is set besides if the core is fetched as it is read (``gdbside/memory/reach.py``).
FAR = {"COREBOX_CORE_IS_FAR": "1"}

_DEBUG_FOLDERS = f"/.corebox/debug:/.corebox/debug/{SPLIT_BELOW}:/usr/lib/debug"
_PLAIN_PATH = re.compile(r"[A-Za-z0-9/._+@%~-]+")


# gdb manual, "Auto-loading": off for scripts beside modules and in the auto-load directory, and for libthread_db.
_WITHOUT_CUSTOMER_CODE = ("-iex", "set auto-load off", "-iex", "set auto-load safe-path /.corebox/none")


def is_foreign(machine: str) -> bool:
    """Whether a core of ``machine`` (as uname(2) calls it) is of another processor than gdb, which runs on ours."""
    return machine != platform.machine()


def gdb_command(
    executable: str | None,
    arguments: Sequence[str] = (),
    core: str | None = CORE,
    customer_code: bool = True,
    symbol_folders: Sequence[str] = (),
    foreign: bool = False,
) -> list[str]:
    """The command that opens ``core`` with gdb inside the image.

    gdb runs on the toolbox's own loader and C library, so that it uses nothing of the customer's to run. No init file
    is read but ours, and that one before the core is opened (gdb manual, "Startup": -ix).

    Args:
        executable: path in the image; None lets gdb find it through NT_FILE.
        arguments: further gdb arguments, e.g. ``["-batch", "-ex", "bt"]``.
        core: path in the image; None leaves opening it, and the executable, to whom gdb will listen to.
        customer_code: load the customer's auto-load scripts and libthread_db.
        symbol_folders: debug-file-directories to look into first.
        foreign: the core is of another processor than gdb: ``gdbside/session/opened.py`` says why that matters.
            Not for an image's own command: its toolbox may be older.
    """
    loader = [f"{TOOLBOX}/lib/ld.so", "--library-path", f"{TOOLBOX}/lib", f"{TOOLBOX}/bin/gdb"]
    options = ["--data-directory", f"{TOOLBOX}/share/gdb", "-nh", "-nx", "-q", "-ix", GDBINIT]
    options += () if customer_code else _WITHOUT_CUSTOMER_CODE
    if symbol_folders:
        options += ["-iex", "set debug-file-directory " + ":".join((*symbol_folders, _DEBUG_FOLDERS))]
    program = ["-se", executable] if executable and core else []
    opening = ["-ex", inside("session.opened", f"open_core({core!r})")] if foreign else ["-c", str(core)]
    return [*loader, *options, *program, *(opening if core else []), *arguments]


def ask(first: int) -> tuple[str, ...]:
    """The arguments that make gdb answer (``answer.py``), beginning with a step of gdbside/answers/report.py."""
    return ("-batch", "-ex", inside("answers.report", f"answer({first})"))


def add_symbols(file: str, bias: int) -> tuple[str, ...]:
    """The arguments that make gdb read the symbols of a file whatever its build ID, when the core is open.

    Args:
        file: a path of ours in the sandbox, which gdb's command language reads as it is.
        bias: how far the module lies from where it was linked (gdb manual, "Commands to Specify Files").
    """
    return ("-ex", f"add-symbol-file {file} -o {bias:#x}")


def source_arguments(folders: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """The arguments that make gdb look for sources in folders of the sandbox.

    Args:
        folders: path in the sandbox, and what stands for it in the names that the program has (gdb manual, "Source
            Path": where the rule does not fit, the folder is searched by the whole path, then by the file's name).
    """
    words: list[str] = []
    for folder, prefix in folders:
        words += ["-iex", f"set substitute-path {_quoted(prefix)} {folder}", "-d", folder]
    return tuple(words)


def _quoted(word: str) -> str:
    """The word as one argument of a gdb command, which splits its line as libiberty's buildargv does."""
    return re.sub(r"[^A-Za-z0-9/._+@%~-]", r"\\\g<0>", word)


def gdbinit(libthread_db: Iterable[str], scripts: Iterable[str]) -> str:
    """The commands that gdb runs before it opens anything.

    Args:
        libthread_db: paths in the image of the customer's libthread_db.so.1.
        scripts: paths in the image of the customer's auto-load scripts.
    """
    thread_folders = _plain(posixpath.dirname(path) for path in libthread_db)
    trusted = _plain([*thread_folders, *scripts, *(posixpath.dirname(path) for path in scripts)])
    lines = [
        "# Written by corebox. Runs before the core is opened.",
        "set debuginfod enabled off",
        "set confirm off",
        # On again at the first prompt: nobody wants to page through what gdb says while it opens the core.
        "set pagination off",
        "set history save off",
        f"set debug-file-directory {_DEBUG_FOLDERS}",
        # The sandbox is what makes running the customer's code acceptable; the path is narrow all the same.
        "set auto-load safe-path " + ":".join(trusted),
        # The directory for scripts of the customer's gdb; ours looks below its own data directory.
        "set auto-load scripts-directory /usr/share/gdb/auto-load:/usr/lib/debug",
        "set libthread-db-search-path " + ":".join(thread_folders or ["$sdir"]),
        # The image's root is the customer's root: names from the link map are right as they are.
        "set sysroot /",
        f"source {INSIDE}/session.py",
    ]
    return "\n".join(lines) + "\n"


def _plain(paths: Iterable[str]) -> list[str]:
    """The paths that gdb's list settings can hold, each once."""
    return [path for path in dict.fromkeys(paths) if _PLAIN_PATH.fullmatch(path)]
