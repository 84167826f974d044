"""What a light bundle lacks, in words, and where that would be found: of distributions the names of places."""

import os
import re
import shlex
from typing import Dict, List, Optional, Tuple

from corebox.bundle.manifest import LeftOutFile, Manifest

#: Stands for what nobody but the reader knows.
RELEASES, REPOSITORY = "FOLDER-OF-RELEASES", "URL-OF-THE-REPOSITORY"
_MAX_NAMED = 3
#: Debian writes "(trixie)" behind the number, and of what is not released yet "forky/sid".
_CODENAME = re.compile(r"\(([a-z]+)\)|\b([a-z]+)/sid\b")


def why_left_out(entry: LeftOutFile) -> str:
    """Why the file is not in the bundle."""
    if entry.package is None:
        return "left out: it has a known build ID"
    return "left out: it is unchanged from package {} {}".format(entry.package, entry.version)


def light_notice(manifest: Manifest, name: str) -> Optional[str]:
    """That files were left out, and the command that gets them; None if none were."""
    if not manifest.left_out:
        return None
    some = ", ".join(os.path.basename(entry.path) for entry in manifest.left_out[:_MAX_NAMED])
    more = ", ..." if len(manifest.left_out) > _MAX_NAMED else ""
    text = "{} left out of this light bundle ({}{}); get {}: corebox recover {} {} -o complete.corebox"
    one = len(manifest.left_out) == 1
    count = "1 file was" if one else "{} files were".format(len(manifest.left_out))
    return text.format(count, some, more, "it" if one else "them", shlex.quote(name), options_for(manifest))


def places_for(manifest: Manifest) -> Tuple[str, ...]:
    """The places that have what was left out, as one gives them to ``--from``."""
    places: List[str] = []
    if any(entry.package for entry in manifest.left_out):
        places.append(_distribution(manifest.site.os_release) or REPOSITORY)
    if any(entry.package is None for entry in manifest.left_out):
        places.append(RELEASES)
    return tuple(places)


def options_for(manifest: Manifest) -> str:
    """These places as options of a command."""
    return " ".join("--from " + place for place in places_for(manifest))


def _distribution(release: Dict[str, str]) -> str:
    if release.get("ID") == "ubuntu" and re.match(r"[0-9]{2}\.[0-9]{2}\Z", release.get("VERSION_ID", "")):
        return "ubuntu:" + release["VERSION_ID"]
    match = _CODENAME.search(release.get("PRETTY_NAME", "")) if release.get("ID") == "debian" else None
    return "debian:" + (match.group(1) or match.group(2)) if match else ""
