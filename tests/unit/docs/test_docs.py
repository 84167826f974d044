"""The documentation: everything is reached, every link leads somewhere, and every command in it exists."""

import itertools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from corebox.cli.main import program
from corebox.gather.options import make_parser
from tests.support.programs import REPOSITORY

DOCS = REPOSITORY / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), *REPOSITORY.glob("*.md")])
LINK = re.compile(r"\[[^]]*\]\(([^)\s]+)\)")
MAX_IMAGE_SIZE = 150_000


def name(page: Path) -> str:
    return str(page.relative_to(REPOSITORY))


def prose(page: Path) -> str:
    """The page without its code."""
    return re.sub(r"(?ms)^```.*?^```|^    .*?$|`[^`]*`", "", page.read_text())


def targets(page: Path) -> Iterator[tuple[Path, str]]:
    """File and heading of each link that stays here."""
    for link in LINK.findall(prose(page)):
        if not re.match("[a-z]+:", link):
            path, _, heading = link.partition("#")
            yield ((page.parent / path).resolve() if path else page), heading


def anchors(page: Path) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"(?m)^#+ (.*)$", page.read_text())
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    assert [str(path) for path, _ in targets(page) if not path.exists()] == []
    headed = [(path, heading) for path, heading in targets(page) if heading]
    assert [(str(path), heading) for path, heading in headed if heading not in anchors(path)] == []


def test_the_index_has_every_page() -> None:
    listed = {path for path, _ in targets(DOCS / "index.md")}
    assert {page for page in DOCS.rglob("*.md") if page.name != "index.md"} <= listed


def test_images_are_shown_and_small() -> None:
    shown = {path for page in PAGES for path, _ in targets(page)}
    for image in (DOCS / "images").iterdir():
        assert image in shown
        assert image.stat().st_size <= MAX_IMAGE_SIZE, image.name


COMMAND = re.compile(r"(?m)^(?: {4})?\s*(?:sudo )?(?:python3 )?(corebox(?:-gather(?:\.pyz)?)? [a-zA-Z-].*)$")


def commands(page: Path) -> Iterator[list[str]]:
    """The words of each corebox command in the page's code."""
    code = re.findall(r"(?ms)^```\n.*?^```|(?<=\n\n)(?: {4}[^\n]*\n)+", page.read_text())
    for line in COMMAND.findall("\n".join(code)):
        yield shlex.split(re.split(r"\s+#|[|;<>&]", line)[0].replace("...", ""))


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=name)
def test_commands_in_the_docs_exist(page: Path) -> None:
    for words in commands(page):
        known = options_of(words)
        ours = itertools.takewhile("--".__ne__, words)
        used = [word.split("=")[0] for word in ours if re.match("--?[a-z]", word)]
        assert set(used) <= known, words


def options_of(words: list[str]) -> set[str]:
    """The options of the command that the words call."""
    if words[0] != "corebox" or words[1] == "gather":
        return {option for action in make_parser()._actions for option in action.option_strings}
    group: click.Command = program
    for word in words[1:]:
        if not isinstance(group, click.Group):
            break
        found = group.get_command(click.Context(group), word)
        assert found or word.isupper() or word.startswith("-"), words
        group = found or group
        if not found:
            break
    return {option for param in group.params for option in (*param.opts, *param.secondary_opts)} | {"--help", "-h"}
