"""Look at a core without a bundle: with the executable that is given, and the files of this machine that fit."""

import os
from collections.abc import Callable
from pathlib import Path

from corebox.actions.build import BuildOptions, build
from corebox.actions.subject import BareCore, Image
from corebox.bundle.corecontent import CompactCore
from corebox.bundle.write import Content, write_bundle
from corebox.coredump.core import open_core
from corebox.files.diskroot import DiskRoot
from corebox.gather.collect import GatherOptions, collect
from corebox.gather.compressed import decompressed_core
from corebox.store.store import Store


def opened_core(
    store: Store, subject: BareCore, executable: Path, progress: Callable[[str], None] = lambda _: None
) -> Image:
    """The image of a core, built of what gathering it here gives.

    Raises:
        InputError: ``not-a-core``, ``no-such-executable``, ``wrong-machine``, and those of ``build``.
        HostError: those of ``build``.
    """
    with store.workplace() as work:
        bundle = work / "gathered.corebox"
        with (
            decompressed_core(str(subject.path), str(work)) as path,
            open_core(path) as core,
            DiskRoot("/") as disk,
        ):
            found = collect(core, disk, GatherOptions(executable=str(executable)))
            write_bundle(
                str(bundle), Content(found.manifest, found.sources, CompactCore(core), jobs=os.cpu_count() or 1)
            )
        built = build(store, bundle, BuildOptions(), progress)
    assert built.image  # the native builder's are in the store
    return Image(str(subject.path), built.image)
