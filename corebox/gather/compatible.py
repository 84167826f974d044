"""Options that do not go together: none is ignored without a word, since whoever gives it believes that it holds."""

import argparse

from corebox.errors import UsageError

#: One of two would be ignored; and what to do instead.
_EXCLUSIVE = (
    ("root", "container", "files are taken from one place: give only one of these options"),
    ("container", "pid", "leave --container out: the files of a process are taken from its own container"),
    ("upload", "output", "the bundle goes to one place: give only one of these options"),
    ("upload", "force", "leave --force out: an upload replaces nothing"),
    ("list", "json", "for JSON about what would be taken: --dry-run --json"),
)
_FOR_EACH_CRASH = (
    *("slim", "light", "known", "no_core", "no_exe", "consent_hostname", "no_nice", "redact", "extra", "encrypt_to"),
    *("jobs", "max_bundles", "max_bytes", "keep_free", "per_hour", "at_once", "max_seconds"),
)
#: What writes a program and stops, the options that it takes, and what to do about another one.
_STOPPING = (
    ("make_zipapp", ("preset", "message", "force", "json"), "for options that the file always has: --preset 'OPTIONS'"),
    ("install_handler", (*_FOR_EACH_CRASH, "json"), "leave it out; --help lists the options that apply to each crash"),
)


def require_compatible(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Refuse options of which one would be ignored beside, or without, the other.

    Raises:
        UsageError: ``wrong-usage``.
    """
    for name, other, hint in _EXCLUSIVE:
        if _is_given(parser, options, name) and _is_given(parser, options, other):
            raise _wrong("{} and {} cannot be given together".format(_spelled(name), _spelled(other)), hint)
    if options.output == "-" and options.json:
        raise _wrong("-o - and --json cannot be given together", "leave --json out: corebox info --json tells the same")
    for name in ("preset", "message"):
        if _is_given(parser, options, name) and not options.make_zipapp:
            hint = "add --make-zipapp FILE, or give the options themselves"
            raise _wrong("{} has no effect without --make-zipapp".format(_spelled(name)), hint)


def require_nothing_else(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Refuse options of gathering beside those that write a program and stop.

    Raises:
        UsageError: ``wrong-usage``.
    """
    for program, taken, hint in _STOPPING:
        for name in sorted(vars(options)) if _is_given(parser, options, program) else ():
            if name not in (program, *taken) and _is_given(parser, options, name):
                raise _wrong("{} has no effect with {}".format(_spelled(name), _spelled(program)), hint)


def _is_given(parser: argparse.ArgumentParser, options: argparse.Namespace, name: str) -> bool:
    return bool(getattr(options, name) != parser.get_default(name))


def _spelled(name: str) -> str:
    return {"core": "CORE", "extra": "--with"}.get(name, "--" + name.replace("_", "-"))


def _wrong(message: str, hint: str) -> UsageError:
    return UsageError("wrong-usage", message, hint)
