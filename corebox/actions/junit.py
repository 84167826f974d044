"""Groups of crashes as JUnit's XML, which GitLab, Jenkins and others show beside the tests of a job."""

import os
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from corebox.actions.similar import Failure, Group
from corebox.printable import printable
from corebox.store.files import new_name


def junit_document(groups: Sequence[Group], failed: Sequence[Failure], by: str) -> bytes:
    """Each group is a test that failed, whose message is the cause; each crash that could not be read an error.

    There is no standard but what its readers take: Jenkins' junit-10.xsd. Names are made printable, as XML has no way
    to say all of them.
    """
    counts = {"tests": str(len(groups) + len(failed)), "failures": str(len(groups)), "errors": str(len(failed))}
    suites = ElementTree.Element("testsuites", {"name": "corebox", **counts})
    suite = ElementTree.SubElement(suites, "testsuite", {"name": "crashes", "skipped": "0", **counts})
    for group in groups:
        common = group.family if by == "family" else group.signatures[0][0]
        case = ElementTree.SubElement(suite, "testcase", classname="crash", name=printable(common))
        causes = "; ".join(cause or "unknown cause" for cause, _ in group.causes)
        kind = printable(group.family.partition(" ")[0])
        failure = ElementTree.SubElement(case, "failure", message=printable(causes), type=kind)
        failure.text = "\n".join(_lines(group))
    for each in failed:
        case = ElementTree.SubElement(suite, "testcase", classname="crash", name=printable(each.name))
        error = ElementTree.SubElement(case, "error", message=printable(each.error.message), type=each.error.code)
        error.text = printable(each.error.hint)
    ElementTree.indent(suites)
    text: bytes = ElementTree.tostring(suites, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _lines(group: Group) -> list[str]:
    """The crashes of each signature."""
    lines = [f"{len(group.names)} x {group.family}"]
    for signature, names in group.signatures:
        lines += [f"{len(names)} x {signature}", *(f"  {os.path.basename(name)}" for name in names)]  # noqa: PTH119  # it may be the name of an image
    return [printable(line) for line in lines]


def write_junit(out: Path, text: bytes) -> None:
    """Write it, complete or not at all.

    Raises:
        HostError: ``cannot-write``.
    """
    with new_name(out) as new:
        new.write_bytes(text)
        new.replace(out)
