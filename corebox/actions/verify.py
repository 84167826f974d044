"""Prove that every module is the file that was mapped, believing no verdict that was written down."""

from typing import Any

from corebox.actions.recover import recover
from corebox.actions.source import plain_bundle
from corebox.actions.subject import BareCore, BundleFile, Image, Subject
from corebox.coredump.core import open_core
from corebox.coredump.prove import ModuleProof
from corebox.coredump.verdict import VERIFIED
from corebox.errors import InputError
from corebox.files.diskroot import DiskRoot
from corebox.gather.find import Places, find_module
from corebox.image.opened import open_image
from corebox.locate.places import Places as Searched
from corebox.store.store import Store
from corebox.unbundle.verify import Verification, prove_core, verify_bundle


def verify(store: Store, subject: Subject, root: str = "/", places: Searched | None = None) -> Verification:
    """Prove the modules of ``subject``; those of a bare core against the files beneath ``root``.

    With ``places``, together with what these have of its files.

    Raises:
        InputError: ``bundle-damaged``, ``not-a-core``, ``no-core`` for an image without a core.
    """
    if places and places.sources:
        name = subject.name if isinstance(subject, Image) else str(subject.path)
        with store.workplace() as scratch:
            recover(store, subject, places, scratch / "recovered.corebox")
            return verify_bundle(scratch / "recovered.corebox", str(scratch))._replace(subject=name)
    if isinstance(subject, BundleFile):
        with store.workplace() as scratch:
            plain = plain_bundle(subject.path, subject.identity, None, scratch)
            return verify_bundle(plain, str(scratch))._replace(subject=str(subject.path))
    if isinstance(subject, BareCore):
        with open_core(str(subject.path)) as core, DiskRoot(root) as disk:
            here = Places(disk, None, {}, None)
            proofs = tuple(find_module(core, module, here).proof for module in core.modules)
            return _verification(None, str(subject.path), proofs)
    opened = open_image(store, subject.image)
    if opened.core is None:
        raise InputError("no-core", f"{subject.name} has no core", "verify the bundle: corebox verify x.corebox")
    with open_core(str(opened.core)) as core:
        proofs = prove_core(core, str(opened.root), opened.manifest)
        return _verification(opened.identity, subject.name, proofs)


def _verification(identity: str | None, name: str, proofs: tuple[ModuleProof, ...]) -> Verification:
    problems = () if proofs else ("no modules are recorded in the core",)
    ok = not problems and all(proof.verdict == VERIFIED for proof in proofs)
    return Verification(identity, name, proofs, problems, ok)


def verification_json(result: Verification) -> dict[str, Any]:
    """The document of ``schema/verify-1.schema.json``."""
    return {
        "version": 1,
        "subject": result.subject,
        "identity": result.identity,
        "ok": result.ok,
        "problems": list(result.problems),
        "modules": [
            {
                "path": proof.path,
                "build_id": {"memory": proof.memory, "file": proof.file},
                "verdict": proof.verdict,
                "detail": proof.detail,
            }
            for proof in result.modules
        ],
    }
