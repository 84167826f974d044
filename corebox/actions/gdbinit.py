"""What gdb starts with, by what a crash's bundle has."""

from corebox.bundle.manifest import Manifest
from corebox.debugger.session import gdbinit, is_foreign


def gdbinit_of(manifest: Manifest) -> str:
    """The commands that gdb starts with, which know the customer's libthread_db and scripts."""
    thread_db = [] if is_foreign(manifest.site.machine) else _paths(manifest, "libthread_db")
    return gdbinit(thread_db, _paths(manifest, "auto-load"))


def _paths(manifest: Manifest, role: str) -> list[str]:
    return [file.path for file in manifest.files if file.role == role]
