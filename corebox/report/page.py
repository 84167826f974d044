"""The report as one page of HTML that needs nothing else: no network, no script."""

from collections.abc import Iterable

import jinja2
from markupsafe import Markup

from corebox import __version__
from corebox.coredump import KINDS
from corebox.gather.summary import describe_crash, printable
from corebox.report.document import Report
from corebox.report.picture import Region, draw


def html_page(report: Report, regions: Iterable[Region]) -> str:
    """The page; ``regions`` is the memory to draw."""
    # Jinja escapes what HTML could read as markup, and the filter what could hide or turn text, for every value.
    engine = jinja2.Environment(
        loader=jinja2.PackageLoader("corebox.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        finalize=lambda value: printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value,
    )
    manifest = report.manifest
    return engine.get_template("page.html").render(
        report=report,
        manifest=manifest,
        why=report.answer.why,
        crash=describe_crash(manifest),
        counter=report.program_counter,
        modules=list(zip(manifest.modules, report.symbols, strict=True)),
        picture=draw(regions, manifest.memory),
        kinds=KINDS,
        version=__version__,
    )
