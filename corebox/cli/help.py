"""``corebox help``."""

import click
from click.shell_completion import CompletionItem
from click.types import StringParamType

from corebox.cli.manual import page_of
from corebox.cli.topics import TOPICS
from corebox.errors import UsageError


class _Topic(StringParamType):
    """A command or a topic."""

    def shell_complete(
        self,
        ctx: click.Context,
        param: click.Parameter,  # noqa: ARG002  # click's signature
        incomplete: str,
    ) -> list[CompletionItem]:
        """Those that begin so."""
        root = ctx.find_root().command
        known = [*(root.list_commands(ctx) if isinstance(root, click.Group) else ()), *TOPICS]
        return [CompletionItem(name) for name in known if name.startswith(incomplete)]


@click.command("help", short_help="Explain a command or a topic.")
@click.argument("topic", nargs=-1, type=_Topic())
@click.option("--man", is_flag=True, help="Print a manual page instead, for man -l.")
@click.pass_context
def command(context: click.Context, topic: tuple[str, ...], man: bool) -> int:
    """Explain a command or a topic; the topics are subject, status, environment and places."""
    root = context.find_root()
    if len(topic) == 1 and topic[0] in TOPICS and not man:
        writer = context.make_formatter()
        click.Command("corebox", help=TOPICS[topic[0]]).format_help_text(context, writer)
        click.echo(writer.getvalue().strip("\n"))
        return 0
    above, found, name = root, root.command, "corebox"
    for word in topic:
        below = found.get_command(above, word) if isinstance(found, click.Group) else None
        if below is None:
            hint = "corebox --help lists the commands; the topics are " + ", ".join(TOPICS)
            raise UsageError("no-such-command", f"there is no help on {' '.join(topic)}", hint)
        above, found, name = click.Context(below, info_name=word, parent=above), below, f"{name} {word}"
    if man:
        click.echo(page_of(found, above, name), nl=False)
    elif topic == ("gather",):
        return int(found.main(["--help"], standalone_mode=False) or 0)
    else:
        click.echo(found.get_help(above))
    return 0
