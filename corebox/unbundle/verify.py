"""Checks all that the format promises, and proves each module again, believing no verdict of the manifest."""

import tempfile
from collections.abc import Iterator
from typing import NamedTuple

from corebox.bundle.manifest import Manifest, ModuleEntry
from corebox.coredump.core import CoreFile, open_core
from corebox.coredump.elffile import elf_of
from corebox.coredump.prove import ModuleProof, prove_module
from corebox.coredump.verdict import MISSING, VERIFIED, compare_build_ids
from corebox.describe.lacking import why_left_out
from corebox.files.diskroot import DiskRoot, Found
from corebox.files.temporary import temporary_directory
from corebox.printable import html_table
from corebox.unbundle.read import AnyPath, BundleReader, Unpacked


class Verification(NamedTuple):
    """The result for a subject: ``ok`` if every module is verified and there is no problem."""

    identity: str | None
    subject: str
    modules: tuple[ModuleProof, ...]
    problems: tuple[str, ...]
    ok: bool

    def _repr_html_(self) -> str:
        """What a notebook shows of it."""
        rows = [(each.verdict, each.path, each.memory or "-", each.detail or "") for each in self.modules]
        problems = [("problem", text, "", "") for text in self.problems]
        return html_table(("VERDICT", "FILE", "BUILD ID", ""), [*problems, *rows])


def verify_bundle(path: AnyPath, scratch: str | None = None) -> Verification:
    """Verify the bundle, unpacking it for that into a temporary directory beneath ``scratch``.

    Raises:
        InputError: ``bundle-damaged`` and the others of ``BundleReader``.
        HostError: ``no-space`` when there is no room to unpack.
    """
    with BundleReader(path) as reader, temporary_directory(scratch or tempfile.gettempdir()) as directory:
        return verify_unpacked(reader.manifest, reader.unpack(directory), str(path))


def verify_unpacked(manifest: Manifest, unpacked: Unpacked, subject: str) -> Verification:
    """Verify a bundle that has been read already."""
    problems = list(_problems_of(manifest))
    if unpacked.core is None:
        proofs = _prove_without_core(manifest, str(unpacked.root))
    else:
        with open_core(str(unpacked.core)) as core:
            problems += _disagreements(manifest, core)
            proofs = prove_core(core, str(unpacked.root), manifest)
    left_out = {omission.path: omission.why for omission in manifest.not_taken}
    left_out.update((entry.path, why_left_out(entry)) for entry in manifest.left_out)
    proofs = tuple(
        proof._replace(detail=left_out[proof.path]) if proof.verdict == MISSING and proof.path in left_out else proof
        for proof in proofs
    )
    ok = not problems and all(proof.verdict == VERIFIED for proof in proofs)
    return Verification(unpacked.identity, subject, proofs, tuple(problems), ok)


def _problems_of(manifest: Manifest) -> Iterator[str]:
    truncated = manifest.core.truncated
    if truncated:
        yield "the core is truncated: {} of {} bytes are missing ({})".format(
            truncated.missing_bytes, truncated.expected_size, ", ".join(truncated.lost)
        )
    if not manifest.modules:
        yield "no mapped files are recorded in the core"
    elif not any(module.executable for module in manifest.modules):
        yield "the core does not say which program crashed"


def _disagreements(manifest: Manifest, core: CoreFile) -> list[str]:
    """Where the manifest does not say of the modules what the core says."""
    recorded = {(module.start, module.build_id.memory): module.path for module in manifest.modules}
    actual = {(module.start, module.build_id): module.path for module in core.modules}
    return [
        f"the manifest and the core disagree about {path}"
        for path in sorted({recorded.get(key) or actual[key] for key in set(recorded) ^ set(actual)})
    ]


def prove_core(core: CoreFile, root: str, manifest: Manifest) -> tuple[ModuleProof, ...]:
    """The verdict on each module of the core, with the file that the manifest says is its own beneath ``root``."""
    paths = {(module.start, module.build_id.memory): module.path for module in manifest.modules}
    with DiskRoot(root) as disk:
        named = (
            module._replace(path=paths.get((module.start, module.build_id), module.path)) for module in core.modules
        )
        return tuple(prove_module(core, module, disk.find(module.path)) for module in named)


def _prove_without_core(manifest: Manifest, root: str) -> tuple[ModuleProof, ...]:
    with DiskRoot(root) as disk:
        return tuple(_prove_entry(module, disk.find(module.path)) for module in manifest.modules)


def _prove_entry(module: ModuleEntry, found: Found) -> ModuleProof:
    if found.file is None:
        return ModuleProof(module.path, module.build_id.memory, None, MISSING, found.why)
    elf = elf_of(found.file)
    build_id = elf.build_id if elf else None
    verdict, detail = compare_build_ids(module.build_id.memory, build_id)
    return ModuleProof(module.path, module.build_id.memory, build_id, verdict, detail)
