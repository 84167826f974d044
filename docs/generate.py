"""Writes what follows from the program: two schemas, and pages of ``docs/reference``: ``make docs``."""

import argparse
import inspect
import json
import re
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from corebox import api
from corebox.bundle.fields import fields_of, schema_of
from corebox.bundle.manifest import Format, Manifest
from corebox.cli.main import program
from corebox.debugger.answer import Frame, Instruction, Missing, Omitted, Register, Why
from corebox.debugger.goroutines import Goroutines
from corebox.gather.options import make_parser

FOLDER = Path(__file__).parent / "reference"
ROOT = Path(__file__).parents[1]
_WIDTH = 100
_HEAD = """# Commands

Written by `docs/generate.py` from the program's own help; `corebox COMMAND --help` prints the same.
Exit statuses and errors: [errors.md](errors.md).
"""


def commands(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
    """All commands beneath ``group`` with their full names."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield f"{path} {name}", command
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")


def render_commands() -> str:
    """The page of commands."""
    return _HEAD + "".join(_sections())


def _sections() -> Iterator[str]:
    yield _section("corebox", _help(program, "corebox"))
    for name, command in commands(program, "corebox"):
        yield _section(name, _gather_help() if name == "corebox gather" else _help(command, name))


def _section(name: str, text: str) -> str:
    return f"\n## {name}\n\n```\n{text.strip()}\n```\n"


def _help(command: click.Command, name: str) -> str:
    """The help as the program shows it: settings of the program, e.g. -h, hold for all commands beneath it."""
    above, _, last = name.rpartition(" ")
    parent = click.Context(program, info_name=above, **program.context_settings) if above else None
    settings = command.context_settings | {"max_content_width": _WIDTH, "terminal_width": _WIDTH}
    return command.get_help(click.Context(command, info_name=last, parent=parent, **settings))


def _gather_help() -> str:
    """The gatherer's options; argparse's own layout changes with the version of Python."""
    parser = make_parser()
    lines = [textwrap.fill(str(parser.description), _WIDTH), ""]
    for action in (each for each in parser._actions if each.help != argparse.SUPPRESS):
        names = ", ".join(action.option_strings)
        value = "" if action.nargs == 0 else str(action.metavar or action.dest)
        help_text = textwrap.fill(
            str(action.help) % vars(action), _WIDTH, initial_indent="    ", subsequent_indent="    "
        )
        lines += [f"{names} {value}".strip(), help_text]
    return "\n".join(lines)


MANIFEST_SCHEMA = ROOT / "corebox/bundle/schema/bundle-1.schema.json"


def render_manifest_schema() -> str:
    """The schema of the manifest: its head by hand, the rest from the fields that the manifest declares."""
    schema: dict[str, Any] = json.loads(MANIFEST_SCHEMA.read_text())
    declared: dict[str, Any] = schema_of(Manifest)
    schema["properties"] = {"format": {"description": Format.__doc__, **schema_of(Format)}, **declared["properties"]}
    schema["required"] = sorted(["format", *declared["required"]])
    return json.dumps(schema, indent=1) + "\n"


REPORT_SCHEMA = ROOT / "corebox/actions/schema/report-1.schema.json"
#: Where in a report the fields of gdb's answer stand, and what other keys each place has.
_ANSWERED: dict[str, tuple[Any, tuple[str, ...]]] = {
    "why": (Why, ()),
    "threads[].frames": (Frame, ("level", "module", "offset")),
    "threads[].omitted": (Omitted, ()),
    "registers": (Register, ()),
    "disassembly": (Instruction, ("current",)),
    "goroutines": (Goroutines, ()),
    "missing": (Missing, ()),
}


def render_report_schema() -> str:
    """The schema of the report, with the fields that gdb's answer declares."""
    schema: dict[str, Any] = json.loads(REPORT_SCHEMA.read_text())
    places = {path: each for path, each, _ in properties(schema)}
    for path, (form, others) in _ANSWERED.items():
        place = places[path].get("items") or next(iter(places[path].get("anyOf", [places[path]])))
        declared: dict[str, Any] = schema_of(form)
        place["properties"] = {**declared["properties"], **{key: place["properties"][key] for key in others}}
        place["required"] = sorted([*(each.key for each in fields_of(form) if not each.kind.sparse), *others])
    return json.dumps(schema, indent=1) + "\n"


_SCHEMAS_HEAD = """# JSON documents

Written by `docs/generate.py` from the shipped JSON Schemas (draft 2020-12), which are in the installed package.
The number behind a name is its version: within it, keys are only added. Output is ASCII, keys are sorted.
"""


def schemas() -> dict[str, dict[str, Any]]:
    """The shipped schemas by name and version: ``report-1``."""
    paths = sorted(ROOT.glob("corebox/*/schema/*.schema.json"), key=lambda path: path.name)
    return {path.name.removesuffix(".schema.json"): json.loads(path.read_text()) for path in paths}


def render_schemas() -> str:
    """The page of JSON documents."""
    return _SCHEMAS_HEAD + "".join(_schema_section(name, schema) for name, schema in schemas().items())


def properties(schema: dict[str, Any], above: str = "") -> Iterator[tuple[str, dict[str, Any], bool]]:
    """Each property beneath ``schema``: path like ``threads[].frames``, its own schema, whether it must be there."""
    for name, each in schema.get("properties", {}).items():
        path = f"{above}.{name}" if above else name
        yield path, each, name in schema.get("required", ())
        yield from properties(each, path)
    if isinstance(schema.get("items"), dict):
        yield from properties(schema["items"], above + "[]")
    for each in schema.get("anyOf", ()):
        yield from properties(each, above)


def _schema_section(name: str, schema: dict[str, Any]) -> str:
    (path,) = ROOT.glob(f"corebox/*/schema/{name}.schema.json")
    lines = [f"\n## {name}\n", f"{schema['description']}", f"Schema: `{path.relative_to(ROOT)}`.\n"]
    lines += ["| key | type | meaning |", "|---|---|---|"]
    for key, each, required in properties(schema):
        text = each["description"] + ("" if required else " Optional.")
        lines.append(f"| `{key}` | {_type(each)} | {text} |")
    return "\n".join(lines) + "\n"


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        target, _, inside = schema["$ref"].partition("#/properties/")
        name = target.removesuffix(".schema.json")
        return f"[{name}](#{name})" + (f", `{inside}`" if inside else "")
    if "const" in schema:
        return f"`{json.dumps(schema['const'])}`"
    if "enum" in schema:
        return ", ".join(f"`{each}`" for each in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(_type(each) for each in schema["anyOf"])
    kind = schema["type"]
    if kind == "array":
        return f"array of {_type(schema['items'])}"
    return " or ".join(kind) if isinstance(kind, list) else str(kind)


_API_HEAD = """# The Python interface

Written by `docs/generate.py` from the docstrings of `corebox.api`; examples: [use corebox from
Python](../how-to/use-from-python.md).
"""


def render_api() -> str:
    """The page of functions and of what they return."""
    return _API_HEAD + "".join(_api_section(name, getattr(api, name)) for name in api.__all__)


def _api_section(name: str, thing: Any) -> str:
    lines = [_function(name, thing)] if inspect.isfunction(thing) else [_docstring(thing)]
    if fields := ", ".join(getattr(thing, "_fields", ())):
        lines.append(textwrap.fill(f"Fields: {fields}", _WIDTH))
    if inspect.isclass(thing):
        lines += [_function(f".{each}", method) for each, method in _methods(thing)]
    return f"\n## {name}\n\n```\n" + "\n\n".join(lines) + "\n```\n"


def _methods(thing: type) -> Iterator[tuple[str, Any]]:
    for name, method in vars(thing).items():
        if inspect.isfunction(method) and not name.startswith("_") and method.__doc__:
            yield name, method


def _function(name: str, function: Any) -> str:
    """Its signature as one reads it, types without their modules, and what it does."""
    signature = re.sub(r"<function <lambda> at 0x[0-9a-f]+>", "...", f"{name}{inspect.signature(function)}")
    plain = re.sub(r"\b(?:[a-z_]+\.)+(?=[A-Z])", "", signature)
    return f"{plain}\n{textwrap.indent(_docstring(function), '    ')}"


def _docstring(thing: Any) -> str:
    return textwrap.dedent(inspect.getdoc(thing) or "").strip()


PAGES: dict[Path, Callable[[], str]] = {
    MANIFEST_SCHEMA: render_manifest_schema,  # first: a page is made of them
    REPORT_SCHEMA: render_report_schema,
    FOLDER / "api.md": render_api,
    FOLDER / "commands.md": render_commands,
    FOLDER / "schemas.md": render_schemas,
}

if __name__ == "__main__":
    for page, render in PAGES.items():
        page.write_text(render())
