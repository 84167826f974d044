"""``corebox build``."""

from pathlib import Path

import click

from corebox.actions.build import BuildOptions, Built, build, rebuild
from corebox.actions.labels import PRIVATE
from corebox.cli import options, output
from corebox.cli.places import places as places_options
from corebox.image.template import default_template, shipped_template
from corebox.locate.places import SymbolOptions
from corebox.store.store import Store


def _print_template(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo(shipped_template().read_text(encoding="utf-8"), nl=False)
        context.exit()


@click.command("build")
@click.argument("bundle", type=options.PATH)
@click.argument("libraries", required=False, type=options.EXISTING)
@click.option("-t", "--tag", "tags", multiple=True, metavar="TAG", help="Name of the image; repeatable.")
@click.option(
    "--builder",
    type=click.Choice(["native", "docker"]),
    default="native",
    show_default=True,
    help="native executes nothing and is reproducible; docker supports templates with RUN.",
)
@click.option(
    "--load/--no-load",
    default=True,
    show_default=True,
    help="Load the image into Docker or Podman if one is running, sending only the missing layers.",
)
@click.option(
    "--context",
    type=click.Path(path_type=Path, readable=False, file_okay=False),
    metavar="DIR",
    help="Write a build context for docker build or buildah.",
)
@click.option(
    "--template",
    type=options.EXISTING,
    metavar="FILE",
    help="Your own Dockerfile.template; default: the one in ~/.config/corebox, else the shipped one.",
)
@click.option(
    "--print-template",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_template,
    help="Print the shipped template as a starting point for your own.",
)
@click.option(
    "--disclose",
    type=click.Choice(PRIVATE),
    multiple=True,
    help="Also put this into the labels, which a registry shows to everybody; repeatable.",
)
@click.option("--check", is_flag=True, help="Build again from scratch and compare the image IDs.")
@places_options
@options.identity
@options.as_json
def command(
    bundle: Path,
    libraries: Path | None,
    tags: tuple[str, ...],
    builder: str,
    load: bool,
    context: Path | None,
    template: Path | None,
    disclose: tuple[str, ...],
    check: bool,
    places: tuple[str, ...],
    identity: Path | None,
    as_json: bool,
) -> int:
    """Turn a bundle into a container image.

    The image's root is the customer's files at their own paths, with corebox's gdb under /.corebox. The same
    bundle gives the same image ID, and nothing is built twice.

    If the customer sent only a core, BUNDLE is the core, and LIBRARIES the archive that the script of corebox request
    made.
    """
    template = template or default_template()
    chosen = BuildOptions(tags, builder, load, context, template, identity, libraries, SymbolOptions(places), disclose)
    built = build(Store.default(), bundle, chosen, output.progress())
    if as_json:
        output.say_json(built.to_json())
    else:
        _tell(built)
    return _check(bundle, chosen, built) if check else 0


def _check(bundle: Path, chosen: BuildOptions, built: Built) -> int:
    again = rebuild(Store.default(), bundle, chosen, output.progress())
    same = again.image_id == built.image_id
    output.note(f"rebuilt: {again.image_id}, {'identical' if same else 'DIFFERENT'}")
    return 0 if same else 1


def _tell(built: Built) -> None:
    output.table(
        (layer.kind, output.size(layer.size), "reused" if reused else "written", layer.digest[:19])
        for layer, reused in built.layers
    )
    output.say(f"image      {built.image_id}")
    for tag in built.tags:
        output.say(f"tag        {tag}")
    if built.loaded:
        output.say(f"loaded     into {built.loaded}: {built.loaded} run -it {built.tags[0]}")
    if built.image:
        output.say(f"open it    corebox shell {built.tags[0]}")
