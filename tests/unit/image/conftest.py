"""A bundle with a real core, and an image of it with a stand-in for the toolbox."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from corebox.bundle.corecontent import CompactCore
from corebox.bundle.manifest import Manifest, StoredCore
from corebox.bundle.write import Content, write_bundle
from corebox.coredump.core import open_core
from corebox.image.native import Assembly, Description, assemble, put_native
from corebox.image.tar import complete, text_file, write_tar
from corebox.resources import shipped
from corebox.store.store import Store
from corebox.store.values import Layer, StoredImage
from corebox.unbundle.read import BundleReader, Unpacked
from tests.support.realcores import unpack_core
from tests.unit.bundle.samples import manifest, write_sources

Template = Callable[[str], Path]
_CORE = "dynamic"


@dataclass(frozen=True)
class Desk:
    """A store, an unpacked bundle, and what it takes to build."""

    store: Store
    bundle: Path
    manifest: Manifest
    unpacked: Unpacked
    toolbox: Layer

    @property
    def core(self) -> Path:
        """The core as it was at the site."""
        return self.bundle.parent / _CORE

    def assemble(self, template: Path | None = None, gdbinit: str = "set confirm off\n") -> Assembly:
        """All layers."""
        description = Description(
            gdbinit, ("/gdb", "-c", "/core"), {"A": "1"}, {"l": "v"}, template or shipped("Dockerfile.template")
        )
        return assemble(self.store, self.unpacked, self.manifest, self.toolbox, description)

    def build(self, *tags: str, template: Path | None = None) -> StoredImage:
        """The image."""
        return put_native(self.store, self.assemble(template), tags)


def make_bundle(folder: Path, core: str = _CORE) -> Path:
    """A bundle with the sample's files and one of the real cores."""
    with open_core(str(unpack_core(core, folder))) as opened:
        value = manifest(core=StoredCore(True, opened.size, opened.stored_size, None, None, None))
        return Path(
            write_bundle(str(folder / "x.corebox"), Content(value, write_sources(folder), CompactCore(opened))).path
        )


def make_desk(folder: Path, bundle: Path) -> Desk:
    """A desk with an empty store."""
    store = Store(folder / "home")
    with store.writer() as writer:
        write_tar(complete([text_file(".corebox/toolbox/bin/gdb", b"a stand-in")]), writer)
        blob = writer.commit()
    with BundleReader(bundle) as reader:
        unpacked = reader.unpack(folder / "unpacked", hash_layer=True)
    return Desk(store, bundle, reader.manifest, unpacked, Layer(blob.digest, blob.size, "toolbox", blob.digest))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A desk with a fresh bundle."""
    return make_desk(tmp_path, make_bundle(tmp_path))


@pytest.fixture
def template(tmp_path: Path) -> Template:
    """A function that makes the shipped template with more lines at its end."""

    def make(lines: str) -> Path:
        path = tmp_path / "templates" / "Dockerfile.template"
        path.parent.mkdir(exist_ok=True)
        path.write_text(shipped("Dockerfile.template").read_text() + lines)
        return path

    return make
