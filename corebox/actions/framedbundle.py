"""Open a bundle whose core stays in it: its files are laid out once, and blocks of the core are read as gdb asks."""

import os
import stat
from contextlib import ExitStack
from pathlib import Path

from corebox.actions.gdbinit import gdbinit_of
from corebox.actions.opening import Circumstances, Opening, noted
from corebox.actions.served import require_fuse, serve_core
from corebox.actions.source import needs_identity, required_identity
from corebox.actions.subject import BundleFile
from corebox.bundle.layout import CORE_DIGESTS, ROOTFS
from corebox.errors import InputError
from corebox.image.layers import require_usable_paths
from corebox.image.opened import OpenedImage
from corebox.image.parts import TOOLBOX_HOME
from corebox.image.toolbox import ensure_toolbox
from corebox.locate.gaps import lacks_files
from corebox.ondemand.request import Request
from corebox.ondemand.sealed import open_sealed
from corebox.store.store import Store
from corebox.store.values import StoredImage, host_architecture
from corebox.unbundle.around import AroundCore, AroundReader

#: Bytes of a core from which on it is worth a file system, unless somebody asks for that.
WORTH = 16 << 20


def open_bundle(
    store: Store, subject: BundleFile, circumstances: Circumstances, work: Path, lasting: ExitStack
) -> Opening | None:
    """Open the bundle; None if there is nothing to gain: its image is built, its core is small, or all is needed.

    Raises:
        Unservable: the core cannot be read where it lies.
        InputError: ``bundle-damaged`` and the others of its reader; ``reserved-path``.
        HostError: those of making a toolbox.
    """
    identity = required_identity(subject.path, subject.identity).absolute() if needs_identity(subject.path) else None
    with AroundReader(subject.path, open_sealed(subject.path, identity) if identity else None) as reader:
        if reader.table is None:
            circumstances.refuse(f"{subject.path} is not in frames: an older corebox has gathered it")
            return None
        around = reader.around()
        if circumstances.is_little(around.place.size, WORTH) or _is_built(store, around.identity):
            return None
        if circumstances.places.sources and lacks_files(reader.manifest):
            return None  # what is found is put into an image, with the core
        require_usable_paths(reader.manifest)
        require_fuse()
        ours = _lay_out_ours(reader, around, work)
        request = Request(
            work / "served", around.place, ours / CORE_DIGESTS, subject.path.absolute(), identity=identity
        )
        serving = serve_core(store, request, circumstances.engine, lasting)
        # Both while the other process starts.
        root = store.laid_out(around.files_key, lambda new: _lay_out(reader, around, new)) / ROOTFS
        opened = _opened(store, reader, around, root, ours)
    return noted(opened._replace(compact=serving.core()), str(subject.path))


def _is_built(store: Store, identity: str) -> bool:
    """Whether the store has an image of the bundle, with its core."""
    try:
        image = store.look_up(identity)
    except InputError:  # several: any will do
        return True
    return image is not None and all(store.has(layer.digest) for layer in image.layers)


def _lay_out(reader: AroundReader, around: AroundCore, new: Path) -> None:
    """Put the bundle's files where sandboxes find them, readable for gdb's user whoever could read them at the site."""
    reader.unpack_files(new, around)
    for folder, _, names in os.walk(new):
        Path(folder).chmod(0o755)
        for path in (Path(folder, name) for name in names):
            status = path.lstat()
            if stat.S_ISREG(status.st_mode):
                path.chmod(status.st_mode & 0o777 | 0o444)


def _lay_out_ours(reader: AroundReader, around: AroundCore, work: Path) -> Path:
    """A folder with what is ours in an image."""
    ours = work / "ours"
    ours.mkdir(mode=0o755)
    texts = {
        "gdbinit": gdbinit_of(reader.manifest).encode("utf-8", "surrogateescape"),
        "manifest.json": reader.manifest.to_bytes(),
        CORE_DIGESTS: around.digests,
    }
    for name, data in texts.items():
        (ours / name).write_bytes(data)
        (ours / name).chmod(0o644)
    work.chmod(0o755)
    return ours


def _opened(store: Store, reader: AroundReader, around: AroundCore, root: Path, ours: Path) -> OpenedImage:
    """What an image of the bundle would be, unpacked, but for its core."""
    toolbox = ensure_toolbox(store)
    with store.adding():
        home = store.unpacked([toolbox.layer]) / TOOLBOX_HOME
    image = StoredImage(around.identity, "", (), (toolbox.layer,), {"architecture": host_architecture()})
    return OpenedImage(image, reader.manifest, around.identity, root, home, ours, None, None)
