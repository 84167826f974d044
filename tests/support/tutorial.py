"""What a tutorial tells its reader to type."""

import re
from pathlib import Path

#: What a command prints begins with heads in capitals.
_SHOWN = re.compile(" +[A-Z]+  ")
_FOLDER = Path(__file__).parents[2] / "docs" / "tutorial"


def commands(page: str) -> list[str]:
    """The indented blocks of the page that are typed; the first one installs."""
    text = (_FOLDER / page).read_text()
    blocks = re.findall(r"(?m)(?:^    .*\n)+", text)
    return [re.sub("(?m)^    ", "", block) for block in blocks if not _SHOWN.match(block)]
