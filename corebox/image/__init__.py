"""From a bundle to an image: the toolbox, the plan of the layers, the Dockerfile, and the native builder."""

from corebox.image.archive import stream_archive, stream_context
from corebox.image.entries import Entry
from corebox.image.layers import KINDS
from corebox.image.native import Assembly, BuiltLayer, Description, assemble, put_native, write_context
from corebox.image.toolbox import Toolbox, ensure_toolbox

__all__ = [
    "KINDS",
    "Assembly",
    "BuiltLayer",
    "Description",
    "Entry",
    "Toolbox",
    "assemble",
    "ensure_toolbox",
    "put_native",
    "stream_archive",
    "stream_context",
    "write_context",
]
