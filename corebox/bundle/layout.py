"""Names and limits of the bundle format (``docs/reference/bundle-format.md``)."""

MAJOR = 2
MINOR = 0
#: In version 1 ``SHA256SUMS`` has the digest of the core's layer in the place of ``core.digests``.
LAYER_DIGEST_MAJOR = 1
#: What is read.
MAJORS = (LAYER_DIGEST_MAJOR, MAJOR)

MANIFEST = "corebox.json"
ROOTFS = "rootfs"
CORE = "core"
CORE_DIGESTS = "core.digests"
CORE_LAYOUT = "core.layout.json"
RUN_SCRIPT = "run.sh"
SUMS = "SHA256SUMS"

SUFFIX = ".corebox"
#: The name of standard output, where it is given in the place of a bundle's.
STREAM = "-"
#: What is ours in an image is beneath this directory.
FOLDER = ".corebox"

#: A manifest that is longer than this is an attack, not a crash: 70,000 files make about 25 MB.
MAX_MANIFEST = 64 << 20
MAX_FILES = 200000
MAX_SYMLINKS = 10000
#: One pax extended header: two paths and a size.
MAX_PAX = 16 << 10
#: The original's program headers in base64, of which there may be four millions, and its runs.
MAX_CORE_LAYOUT = 512 << 20
#: ``run.sh`` is a constant with one path in it.
MAX_RUN_SCRIPT = 64 << 10


def member_of(path: str) -> str:
    """Name of the archive member that holds the file at canonical ``path`` of the site."""
    return ROOTFS + path
