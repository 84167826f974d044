"""The report as one page of HTML that needs nothing else: no network, no script."""

from collections.abc import Iterable

from corebox import __version__
from corebox.coredump.usage import KINDS
from corebox.printable import printable
from corebox.report import goroutines, words
from corebox.report.document import Report
from corebox.report.gaps import gaps
from corebox.report.picture import draw
from corebox.report.regions import Region
from corebox.report.signature import is_runtime
from corebox.report.stack import entries, own_function
from corebox.templates import Markup, PackageLoader, make_environment


def html_page(report: Report, regions: Iterable[Region]) -> str:
    """The page; ``regions`` is the memory to draw."""
    # Jinja escapes what HTML could read as markup, and the filter what could hide or turn text, for every value.
    engine = make_environment(
        loader=PackageLoader("corebox.report", "."),
        autoescape=True,
        finalize=lambda value: printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value,
    )
    engine.tests["runtime"] = is_runtime
    manifest = report.manifest
    page = engine.get_template("page.html").render(
        report=report,
        manifest=manifest,
        why=report.answer.why,
        headline=words.headline(report),
        culprit=words.culprit(report),
        lead=words.lead(report),
        facts=list(words.facts(report)),
        gaps=list(gaps(report)),
        entries=entries,
        tail_call=words.tail_call,
        outer=words.outer,
        unwind=words.unwind,
        own_function=own_function,
        goroutines=goroutines,
        memory=list(words.memory_lines(report.memory)),
        counter=report.program_counter,
        modules=list(zip(manifest.modules, report.symbols, strict=True)),
        picture=draw(regions, manifest.memory),
        kinds=KINDS,
        version=__version__,
    )
    return page.lstrip()
