"""Push images to a registry and pull them, over the OCI distribution API, straight from the store: no daemon."""

from corebox.registry.access import Access
from corebox.registry.pull import Pulled, pull_image
from corebox.registry.push import COMPRESSIONS, Moved, Pushed, push_image
from corebox.registry.reference import Reference, is_reference, parse_reference

__all__ = [
    "COMPRESSIONS",
    "Access",
    "Moved",
    "Pulled",
    "Pushed",
    "Reference",
    "is_reference",
    "parse_reference",
    "pull_image",
    "push_image",
]
