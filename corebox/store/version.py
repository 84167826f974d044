"""The version of a store's format, and its places that belong to one machine."""

import json
import shutil
from pathlib import Path

from corebox.errors import HostError
from corebox.files.temporary import remove_abandoned
from corebox.store.files import write_atomically
from corebox.store.locks import Owner, is_of_before

#: 1 had no version, and one entry in its index for each manifest of an image; 2 has one for each image.
FORMAT = 2
_FILE = "format.json"


def read_format(home: Path) -> int:
    """The version of the store in ``home``; 0 for one that is older than versions, or not made yet.

    Raises:
        HostError: ``store-too-new``, ``store-unusable``.
    """
    path = home / _FILE
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        return 0
    except (ValueError, RecursionError):
        value = None
    match value:
        case {"format": int(version)} if version <= FORMAT:
            return version
        case {"format": int(version)}:
            message = f"the store {home} was made by a newer corebox: its format is {version}, this one knows {FORMAT}"
            hint = "update corebox: pip install --upgrade corebox; or use another store: COREBOX_HOME"
            raise HostError("store-too-new", message, hint)
    raise HostError("store-unusable", f"{path} does not state the store's format", f"remove it: rm {path}")


def write_format(home: Path, scratch: Path) -> None:
    """Note that the store has this version's format."""
    write_atomically(home / _FILE, json.dumps({"format": FORMAT}).encode(), scratch)


def scratch_of(folder: Path, us: Owner) -> Path:
    """The directory beneath ``folder`` for temporary files of this machine, where its locks tell whose are abandoned.

    What was left of before the machine was started is removed.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    mine = folder / us.place
    mine.mkdir(mode=0o700, exist_ok=True)
    remove_abandoned(str(mine))
    note = mine.with_suffix(".json")
    if not note.exists():
        write_atomically(note, json.dumps(us).encode(), mine)
        remove_abandoned(str(folder))  # where an older corebox has them
        for other in folder.glob("*.json"):
            if is_of_before(other, us):
                shutil.rmtree(other.with_suffix(""), ignore_errors=True)
                other.unlink(missing_ok=True)
    return mine
