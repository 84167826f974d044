"""``corebox --version``."""

import contextlib
import platform
from collections.abc import Iterator

import corebox
from corebox.errors import CoreboxError
from corebox.image.toolbox import recall_toolbox
from corebox.store.store import Store


def versions() -> Iterator[str]:
    """A line each for corebox, Python, and the toolbox with its gdb, if there is one."""
    yield f"corebox {corebox.__version__}"
    yield f"Python {platform.python_version()}"
    with contextlib.suppress(CoreboxError):
        # Neither store nor toolbox is made for this.
        toolbox = recall_toolbox(Store.default()) if Store.default_home().is_dir() else None
        if toolbox is None:
            yield "toolbox none yet; make it: corebox toolbox build"
        else:
            yield f"gdb {toolbox.versions.get('gdb', 'unknown')}"
            yield f"toolbox {toolbox.layer.digest} ({toolbox.summary})"
