"""From a bundle to an image: the toolbox, the plan of the layers, the Dockerfile, and the native builder."""

from corebox.image.archive import stream_archive
from corebox.image.context import stream_context, write_context
from corebox.image.export import copy_sparse, export_bundle, export_core, new_name
from corebox.image.layers import ADDED, KINDS, OURS
from corebox.image.native import Assembly, BuiltLayer, Description, assemble, put_native
from corebox.image.opened import OpenedImage, open_image
from corebox.image.tar import Entry
from corebox.image.template import default_template, shipped_template
from corebox.image.toolbox import (
    Toolbox,
    ensure_toolbox,
    export_toolbox,
    import_toolbox,
    lend_toolbox,
    list_toolboxes,
    make_toolbox,
)

__all__ = [
    "ADDED",
    "KINDS",
    "OURS",
    "Assembly",
    "BuiltLayer",
    "Description",
    "Entry",
    "OpenedImage",
    "Toolbox",
    "assemble",
    "copy_sparse",
    "default_template",
    "ensure_toolbox",
    "export_bundle",
    "export_core",
    "export_toolbox",
    "import_toolbox",
    "lend_toolbox",
    "list_toolboxes",
    "make_toolbox",
    "new_name",
    "open_image",
    "put_native",
    "shipped_template",
    "stream_archive",
    "stream_context",
    "write_context",
]
