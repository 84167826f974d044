"""Puts the crash handler into its folder, which must be one that only root can change: the kernel runs it as root."""

import argparse
import contextlib
import os
import shutil
import stat
import sys
from typing import Iterator, List

from corebox.errors import HostError, UsageError
from corebox.gather.handlerscript import NO_BUNDLE, TEXT
from corebox.gather.light import read_known
from corebox.gather.request import quote
from corebox.gather.retention import HOURS, QUEUE, kept_files
from corebox.gather.zipapp import make_zipapp

PROGRAM = "corebox-gather.pyz"
SCRIPT = "corebox-handler"
#: %P process ID, %t time, %u user ID, %F a descriptor of the process, which kernels before 6.16 leave out without a
#: word, %E path of the program, which may have blanks and so comes last (core(5)).
_PATTERN = "|{} %P %t %u %F %E"
_MAX_PATTERN_LENGTH = 127  # CORENAME_MAX_SIZE of the kernel, without the NUL
_MAX_WAITING, _MAX_WAITING_FIRST = 16, 64
_RECIPIENT = "recipient"
_OTHERS = stat.S_IWGRP | stat.S_IWOTH


def install_handler(options: argparse.Namespace, program: str) -> str:
    """Put the program and its script into the directory and return the line for core_pattern.

    ``program`` is the one-file program that runs now, or "" to make one of the installed corebox.

    Raises:
        UsageError: ``bad-handler-directory`` for a path that the kernel would not take, that others could change, or
            with files that the handler would take for its own.
        HostError: ``cannot-write``, ``no-flock``.
    """
    directory = os.path.realpath(options.install_handler)
    pattern = _PATTERN.format(os.path.join(directory, SCRIPT))
    if len(os.fsencode(pattern)) > _MAX_PATTERN_LENGTH or any(char.isspace() or char in "%'\\" for char in directory):
        raise _bad_directory(
            "the kernel could not call a handler in {}".format(directory), "a short path without spaces"
        )
    for needed, package in (("flock", "util-linux"), ("timeout", "coreutils")):
        if shutil.which(needed) is None:
            message = "{} is not installed".format(needed)
            raise HostError("no-flock", message, "install {}".format(package))
    _require_private(directory)
    _require_no_foreign_files(directory)
    for name in ("", HOURS, QUEUE):
        os.makedirs(os.path.join(directory, name), mode=0o700, exist_ok=True)
    _require_private(directory)
    _put_program(os.path.join(directory, PROGRAM), program)
    script = os.path.join(directory, SCRIPT)
    with open(script, "w") as file:
        file.write(_script(directory, pattern, options))
    os.chmod(script, 0o700)
    return pattern


def _bad_directory(message: str, hint: str) -> UsageError:
    return UsageError("bad-handler-directory", message, "choose {}: --install-handler /var/crash/corebox".format(hint))


def _require_private(directory: str) -> None:
    """Refuse a directory that another user could change or replace, at whatever place above it."""
    for path in _with_parents(directory):
        try:
            status = os.lstat(path)
        except FileNotFoundError:
            continue
        if not stat.S_ISDIR(status.st_mode):
            raise _bad_directory("{} is not a directory".format(path), "another place")
        if status.st_uid not in (0, os.geteuid()):
            who = "user {}, who owns {},".format(status.st_uid, path)
            raise _bad_directory(
                "{} could replace what the kernel runs as root".format(who), "a directory that root owns"
            )
        # In a directory with the sticky bit, like /tmp, others cannot rename or remove what is not theirs.
        if status.st_mode & _OTHERS and (path == directory or not status.st_mode & stat.S_ISVTX):
            raise _bad_directory(
                "others may write into {}, and could replace what the kernel runs as root".format(path),
                "a directory that only root may write to, also above",
            )


def _require_no_foreign_files(directory: str) -> None:
    """Refuse a directory where something else has named files as the handler does, which removes its old ones.

    ``%e-%p-%t.core`` is a usual core_pattern.
    """
    if os.path.isdir(directory) and not os.path.exists(os.path.join(directory, SCRIPT)):
        for file in kept_files(directory)[:1]:
            raise _bad_directory(
                "the handler would take {} for one of its own files, and eventually remove it".format(file.path),
                "an empty directory",
            )


def _with_parents(path: str) -> Iterator[str]:
    """The path and all above it, the root first."""
    if path != "/":
        yield from _with_parents(os.path.dirname(path))
    yield path


def _put_program(target: str, program: str) -> None:
    if not program:
        make_zipapp(target)
    elif not os.path.exists(target) or not os.path.samefile(program, target):
        shutil.copyfile(program, target + ".new")
        os.replace(target + ".new", target)


def _script(directory: str, pattern: str, options: argparse.Namespace) -> str:
    limits = ["--max-bundles", str(options.max_bundles), "--max-bytes", str(options.max_bytes)]
    limits += ["--keep-free", str(options.keep_free), "--max-seconds", str(options.max_seconds)]
    limits += ["--jobs", str(options.jobs)]
    values = {
        "DIR": quote(directory),
        "PATTERN": pattern,
        "PYTHON": quote(_python()),
        "NO_BUNDLE": str(NO_BUNDLE),
        "PER_HOUR": str(options.per_hour),
        "AT_ONCE": str(options.at_once),
        "AT_ONCE_OF_USER": str(max(1, options.at_once - 1)),
        "MAX_SECONDS": str(options.max_seconds),
        "PLACES_OF_FIRST": str(options.at_once + _MAX_WAITING_FIRST),
        "PLACES": str(options.at_once + _MAX_WAITING),
        "MAX_BYTES": str(options.max_bytes),
        "KEEP_FREE": str(options.keep_free),
        "OPTIONS": " ".join(quote(word) for word in limits + _content(directory, options)),
    }
    text = TEXT
    for name, value in values.items():
        text = text.replace("@{}@".format(name), value)
    return text


def _python() -> str:
    """The Python that runs this, if nobody else can replace it; else the system's own."""
    try:
        _require_private(os.path.dirname(os.path.realpath(sys.executable)))
        _require_private(os.path.dirname(os.path.abspath(sys.executable)))
    except UsageError:
        return "python3"
    return os.path.abspath(sys.executable)


def _copied(path: str, directory: str, number: int) -> str:
    """The list of known build IDs, where only root can change it."""
    read_known(path)
    copy = os.path.join(directory, "known-{}.txt".format(number))
    with contextlib.suppress(shutil.SameFileError):
        shutil.copyfile(path, copy)
    return copy


def _content(directory: str, options: argparse.Namespace) -> List[str]:
    """The options that say what is taken, which hold for each crash."""
    flags = {
        "--slim": options.slim,
        "--light": options.light,
        "--no-core": options.no_core,
        "--no-exe": options.no_exe,
        "--consent-hostname": options.consent_hostname,
        "--no-nice": options.no_nice,
    }
    words = [name for name, given in flags.items() if given]
    words += ["--redact={}".format(what) for what in options.redact]
    words += ["--with={}".format(os.path.abspath(name)) for name in options.extra]
    words += ["--known={}".format(_copied(name, directory, number)) for number, name in enumerate(options.known)]
    if options.encrypt_to:
        recipient = options.encrypt_to
        if os.path.isfile(recipient):
            recipient = os.path.join(directory, _RECIPIENT)
            with contextlib.suppress(shutil.SameFileError):  # the key of the handler that was there before
                shutil.copyfile(options.encrypt_to, recipient)
        words.append("--encrypt-to={}".format(recipient))
    return words
