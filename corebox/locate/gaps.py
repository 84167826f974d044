"""What is still missing after a search, in words, and the command that helps."""

import shlex
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from corebox.bundle.manifest import Manifest
from corebox.coredump.verdict import SEARCHED, VERIFIED

if TYPE_CHECKING:
    from corebox.locate.search import Gap, Recovered

_MAX_SHOWN = 5


def lacks_files(manifest: Manifest) -> bool:
    """Whether, as the manifest has it, a search could find something for the crash."""
    taken = {entry.path for entry in manifest.files}
    return any(module.path not in taken or module.verdict != VERIFIED for module in manifest.modules)


def describe_gap(gap: "Gap", asked: Iterable[str]) -> str:
    """Why a file is missing: its build ID, the places that were asked, and what they have instead."""
    build = f"build ID {gap.wanted.build_id}" if gap.wanted.build_id else "no build ID in the core"
    words = [f"{SEARCHED} {', '.join(asked) or 'any place'} ({build})"]
    if gap.wanted.package:
        words.append(f"it is of the package {' '.join(gap.wanted.package)}")
    for each in gap.refused:
        package = " ".join(filter(None, (each.origin.package, each.origin.version)))
        where = f"{each.origin.place} ({package})" if package else each.origin.place
        other = f"the build ID {each.build_id}" if each.build_id else each.why
        words.append(f"{where} has {each.name} with {other}")
    return "; ".join(words)


def gap_notices(found: "Recovered", subject: str) -> Iterator[str]:
    """What is missing after a search, in sentences, and what to do; ``subject`` is what the user calls the crash."""
    for gap in found.gaps[:_MAX_SHOWN]:
        yield f"{gap.wanted.names[0]} is missing: {describe_gap(gap, found.asked)}"
    if len(found.gaps) > _MAX_SHOWN:
        yield f"{len(found.gaps) - _MAX_SHOWN} more files are missing: corebox info lists them"
    if found.gaps:
        packages = _other_versions(found)
        if packages:
            yield (
                f"the version that the customer has is needed of {', '.join(packages)}: give the package's file, or a "
                "place that has it, with --from"
            )
        yield (
            "to find what is missing, give more places: --from PLACE; or have the customer run the script that this "
            f"writes: corebox request {shlex.quote(subject)} -o request.sh"
        )


def _other_versions(found: "Recovered") -> list[str]:
    """The packages of which places have another version than the one that is wanted."""
    refused = (each.origin for gap in found.gaps for each in gap.refused)
    return list(dict.fromkeys(each.package for each in refused if each.package))[:_MAX_SHOWN]
