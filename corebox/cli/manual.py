"""Manual pages, made of what ``--help`` says (man(7), groff_man(7))."""

import re
from collections.abc import Iterator

import click

import corebox
from corebox.cli.topics import TOPICS
from corebox.gather.options import make_parser


def page_of(command: click.Command, context: click.Context, name: str) -> str:
    """The page of a command, whose full name is ``name``: ``corebox shell``."""
    title = name.replace(" ", "-")
    summary = command.get_short_help_str(200).rstrip(".")
    lines = [
        f'.TH {_plain(title.upper())} 1 "" "corebox {corebox.__version__}" "User Commands"',
        ".SH NAME",
        f"{_plain(title)} \\- {_plain(summary)}",
        ".SH SYNOPSIS",
        f".B {_plain(name)}",
        _plain(" ".join(command.collect_usage_pieces(context))),
        ".SH DESCRIPTION",
        *_paragraphs(command.help or ""),
        *_options(command, context, name),
        *_below(command, context, name),
    ]
    return "\n".join(lines) + "\n"


def _options(command: click.Command, context: click.Context, name: str) -> Iterator[str]:
    if name == "corebox gather":
        records = list(_of_gather())
    else:
        given = (each for each in command.get_params(context) if isinstance(each, click.Option))
        found = (option.get_help_record(context) for option in given)
        records = [record for record in found if record]
    if records:
        yield ".SH OPTIONS"
    for names, meaning in records:
        yield from (".TP", f".B {_plain(names)}", _plain(meaning))


def _of_gather() -> Iterator[tuple[str, str]]:
    """The gatherer's options, which are argparse's."""
    for action in make_parser()._actions:
        value = "" if action.nargs == 0 else f" {action.metavar or action.dest}"
        yield ", ".join(action.option_strings) + value, str(action.help) % vars(action)


def _below(command: click.Command, context: click.Context, name: str) -> Iterator[str]:
    """The commands of a group, and for the program itself its topics."""
    if not isinstance(command, click.Group):
        yield from (".SH SEE ALSO", ".BR corebox (1)") if name != "corebox" else ()
        return
    yield ".SH COMMANDS"
    for each in command.list_commands(context):
        found = command.get_command(context, each)
        if found is not None:
            title = f"{name} {each}".replace(" ", "-")
            yield from (".TP", f".BR {_plain(title)} (1)", _plain(found.get_short_help_str(200)))
    if name == "corebox":
        for topic, text in TOPICS.items():
            yield f".SH {_plain(topic.upper())}"
            yield from _paragraphs(text)


def _paragraphs(text: str) -> Iterator[str]:
    """Of click's help: what follows a line with a backspace keeps its lines."""
    for number, paragraph in enumerate(re.split(r"\n\s*\n", text.strip("\n"))):
        lines = [line.rstrip() for line in paragraph.strip("\n").splitlines()]
        if number:
            yield ".PP"
        if lines and lines[0].strip() == "\b":
            yield from (".nf", *(_plain(line) for line in lines[1:]), ".fi")
        else:
            yield _plain(" ".join(line.strip() for line in lines))


def _plain(text: str) -> str:
    """Text in which troff sees no request and no escape."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("~", "\\(ti").replace("^", "\\(ha")
    return "\\&" + text if text.startswith((".", "'")) else text
