"""The parts of an image: the kinds of its layers, and the names of our own files in it."""

from corebox.bundle.layout import CORE_DIGESTS, CORE_LAYOUT, FOLDER

TOOLBOX = "toolbox"
SYSTEM = "system"
PROGRAM = "program"
SYMBOLS = "symbols"
CORE = "core"
CRASH = "crash"
ADDED = "added"
#: In the order of the layers, most shared first.
KINDS = (TOOLBOX, SYSTEM, PROGRAM, SYMBOLS, CORE, CRASH, ADDED)

#: Everything of ours is beneath this directory, nothing of the customer's is.
OURS = FOLDER
LAYOUT_FILE = f"{OURS}/{CORE_LAYOUT}"
DIGESTS_FILE = f"{OURS}/{CORE_DIGESTS}"
MANIFEST_FILE = f"{OURS}/manifest.json"
GDBINIT_FILE = f"{OURS}/gdbinit"
SCRATCH = f"{OURS}/tmp"  # noqa: S108 - a directory of the image
BUNDLE = f"{OURS}/bundle"

#: Where the toolbox is, as the members of its layer are named.
TOOLBOX_HOME = f"{OURS}/toolbox"
#: The file in it that names the versions.
VERSIONS = "versions.json"
