"""Tell what crashed, how, and what is known of each module."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from corebox.actions.source import manifest_of
from corebox.actions.subject import BareCore, BundleFile, Subject
from corebox.bundle.manifest import Manifest
from corebox.coredump.core import open_core
from corebox.coredump.verdict import VERIFIED
from corebox.files.diskroot import DiskRoot
from corebox.gather.collect import GatherOptions, collect
from corebox.image.opened import open_image
from corebox.locate.status import CrashFiles, ModuleSymbols, module_symbols
from corebox.report.memory import judge_memory
from corebox.store.store import Store


class Info(NamedTuple):
    """The facts of a subject.

    Attributes:
        kind: ``core``, ``bundle`` or ``image``.
        name: as given.
        identity: of the bundle, if it is known without reading all of it.
        compared_with: the root whose files a bare core's modules were compared with.
        symbols: of each module.
    """

    kind: str
    name: str
    identity: str | None
    compared_with: str | None
    manifest: Manifest
    symbols: Sequence[ModuleSymbols]

    def to_json(self) -> dict[str, Any]:
        """The document of ``schema/info-1.schema.json``."""
        subject = {"kind": self.kind, "name": self.name, "identity": self.identity}
        return {
            "version": 1,
            "subject": subject,
            "compared_with": self.compared_with,
            "memory": judge_memory(self.manifest).to_json(),
            "symbols": [each.to_json() for each in self.symbols],
            "manifest": self.manifest.to_json(),
        }


def info(store: Store, subject: Subject, root: str = "/") -> Info:
    """Read the facts of ``subject``; a bare core is compared with the files beneath ``root``.

    Raises:
        InputError: ``not-a-core``, ``bundle-damaged`` and the others of its reader.
    """
    if isinstance(subject, BundleFile):
        with store.workplace() as work:
            manifest = manifest_of(subject.path, subject.identity, work)
        return Info("bundle", str(subject.path), None, None, manifest, module_symbols(CrashFiles(manifest)))
    if isinstance(subject, BareCore):
        with open_core(str(subject.path)) as core, DiskRoot(root) as disk:
            manifest = _without_ours(collect(core, disk, GatherOptions()).manifest)
        return Info("core", str(subject.path), None, root, manifest, module_symbols(CrashFiles(manifest)))
    opened = open_image(store, subject.image)
    symbols = module_symbols(CrashFiles(opened.manifest, opened.root, opened.debug))
    return Info("image", subject.name, opened.identity, None, opened.manifest, symbols)


def _without_ours(manifest: Manifest) -> Manifest:
    """Without what is this machine's: its kernel, and its system unless all files of that are those of the crash."""
    is_same = bool(manifest.modules) and all(module.verdict == VERIFIED for module in manifest.modules)
    system = manifest.site.os_release if is_same else {}
    return manifest._replace(site=manifest.site._replace(kernel=None, os_release=system))
