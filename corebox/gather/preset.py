"""What a vendor fixes in the one-file program that he gives to his customers: options, and what is said at the end.

It is the member ``preset.json`` beside this module in the program; an installed corebox has none.
"""

import argparse
import contextlib
import os
from typing import Iterator, List, NamedTuple, Optional, Sequence, Tuple

from corebox.errors import UsageError
from corebox.gather.compatible import require_compatible, require_nothing_else
from corebox.gather.options import make_parser

MEMBER = "preset.json"
_ENCRYPT = "--encrypt-to"
#: What a customer decides, or what is no option of gathering.
_NOT_FIXED = (
    *("core", "pid", "coredumpctl", "known"),
    *("make_zipapp", "preset", "message", "install_handler", "handle", "crash", "pidfd"),
)
_MAX_KEY_LENGTH = 1 << 16


class Preset(NamedTuple):
    """Fixed options, the words at the end, and the text of the key file to encrypt for, if one was named."""

    options: Tuple[str, ...] = ()
    message: Optional[str] = None
    recipient: Optional[str] = None

    def to_bytes(self) -> bytes:
        """The member of the program."""
        import json  # noqa: PLC0415  # few programs have a preset, and each starts by looking for one

        return json.dumps(self._asdict(), sort_keys=True).encode("ascii")


def make_preset(options: Optional[str], message: Optional[str]) -> Preset:
    """The preset of the words that the vendor gave.

    Raises:
        UsageError: ``bad-preset``, ``wrong-usage``.
    """
    import shlex  # noqa: PLC0415

    try:
        words = shlex.split(options or "")
    except ValueError as error:
        raise _bad("{}: {}".format(options, error)) from error
    parser = make_parser()
    parsed = parser.parse_args(words)
    for name in _NOT_FIXED:
        if getattr(parsed, name) != parser.get_default(name):
            raise _bad("{} cannot be preset".format(name if name == "core" else "--" + name.replace("_", "-")))
    require_compatible(parser, parsed)
    recipient = None
    if parsed.encrypt_to and os.path.isfile(parsed.encrypt_to):
        with open(parsed.encrypt_to, "rb") as file:
            recipient = file.read(_MAX_KEY_LENGTH).decode("utf-8", "surrogateescape")
        words = _without_recipient(words)
    return Preset(tuple(words), message, recipient)


def _bad(message: str) -> UsageError:
    return UsageError(
        "bad-preset",
        "not a preset: " + message,
        "give options of gather as one quoted word: --preset '--slim --redact env'",
    )


def _without_recipient(words: Sequence[str]) -> List[str]:
    kept = []
    following = iter(words)
    for word in following:
        if word == _ENCRYPT:
            next(following)
        elif not word.startswith(_ENCRYPT + "="):
            kept.append(word)
    return kept


def load_preset() -> Preset:
    """The preset of the program that runs now."""
    try:
        data = __loader__.get_data(os.path.join(os.path.dirname(__file__), MEMBER))  # type: ignore[name-defined]
    except OSError:
        return Preset()
    import json  # noqa: PLC0415

    value = json.loads(data.decode("ascii"))
    return Preset(tuple(value["options"]), value["message"], value["recipient"])


@contextlib.contextmanager
def preset_arguments(preset: Preset, arguments: Sequence[str]) -> Iterator[List[str]]:
    """The arguments with the fixed ones behind them, so that these count; with a file for the key to encrypt for."""
    with contextlib.ExitStack() as stack:
        fixed = list(preset.options)
        if preset.recipient is not None:
            import tempfile  # noqa: PLC0415

            file = stack.enter_context(tempfile.NamedTemporaryFile(prefix="corebox-recipient-"))
            file.write(preset.recipient.encode("utf-8", "surrogateescape"))
            file.flush()
            fixed.append("{}={}".format(_ENCRYPT, file.name))
        words = list(arguments)
        end = words.index("--") if "--" in words else len(words)
        yield words[:end] + fixed + words[end:]


def parse_arguments(program: str, arguments: Sequence[str], preset: Preset) -> argparse.Namespace:
    """The options of one run; ``--help`` shows what is fixed.

    Raises:
        UsageError: ``wrong-usage``.
    """
    fixed = [*preset.options, *([_ENCRYPT + " (a key in this program)"] if preset.recipient else [])]
    parser = make_parser(program, " ".join(fixed))
    options = parser.parse_args(list(_joined(arguments)))
    require_compatible(parser, options)
    if preset == Preset():  # what is fixed holds for gathering, and the customer cannot leave it out
        require_nothing_else(parser, options)
    return options


def _joined(arguments: Sequence[str]) -> Iterator[str]:
    """``--preset --slim`` as ``--preset=--slim``: argparse takes no option for the value of another."""
    words = iter(arguments)
    for word in words:
        following = next(words, None) if word in ("--preset", "--message") else None
        yield word if following is None else "{}={}".format(word, following)
