"""The bundle: one archive with a core file and every file it was mapped from, written, read safely, and proved.

``docs/reference/bundle-format.md`` is the specification. Runs at the customer's: Python 3.6, standard library only.
"""

from corebox.bundle.corecontent import CompactCore, CoreInFile
from corebox.bundle.digests import identity_of
from corebox.bundle.layout import CORE, CORE_LAYOUT, MANIFEST, ROOTFS, RUN_SCRIPT, SUFFIX, SUMS, member_of
from corebox.bundle.manifest import (
    CANNOT_VERIFY,
    MISMATCH,
    MISSING,
    ROLES,
    VERDICTS,
    VERIFIED,
    CrashedProcess,
    FileEntry,
    Manifest,
    MemoryEntry,
    ModuleEntry,
    Remark,
    Site,
    StoredCore,
    SymlinkEntry,
    TruncatedCore,
)
from corebox.bundle.parse import parse_manifest
from corebox.bundle.prove import ModuleProof, prove
from corebox.bundle.read import BundleReader, Unpacked, is_bundle, read_manifest
from corebox.bundle.verify import Verification, verify_bundle, verify_unpacked
from corebox.bundle.write import WrittenBundle, write_bundle

__all__ = [
    "CANNOT_VERIFY",
    "CORE",
    "CORE_LAYOUT",
    "MANIFEST",
    "MISMATCH",
    "MISSING",
    "ROLES",
    "ROOTFS",
    "RUN_SCRIPT",
    "SUFFIX",
    "SUMS",
    "VERDICTS",
    "VERIFIED",
    "BundleReader",
    "CompactCore",
    "CoreInFile",
    "CrashedProcess",
    "FileEntry",
    "Manifest",
    "MemoryEntry",
    "ModuleEntry",
    "ModuleProof",
    "Remark",
    "Site",
    "StoredCore",
    "SymlinkEntry",
    "TruncatedCore",
    "Unpacked",
    "Verification",
    "WrittenBundle",
    "identity_of",
    "is_bundle",
    "member_of",
    "parse_manifest",
    "prove",
    "read_manifest",
    "verify_bundle",
    "verify_unpacked",
    "write_bundle",
]
