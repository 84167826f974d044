"""The customer's side: decides which files a core needs, finds them, proves them, and writes the bundle.

Nothing of the target is run, not even ``ldd``; nothing is sent anywhere. Python 3.6, standard library and elftools.
"""

from corebox.gather.collect import Collection, Wishes, collect
from corebox.gather.request import request_script
from corebox.gather.tree import unpacked_archive
from corebox.gather.zipapp import make_zipapp

__all__ = ["Collection", "Wishes", "collect", "make_zipapp", "request_script", "unpacked_archive"]
