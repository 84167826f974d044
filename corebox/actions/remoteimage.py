"""Open an image whose core stays in the registry: its small layers are fetched, and of the core what gdb asks for."""

import hashlib
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from corebox.actions.opening import Circumstances, Opening, noted
from corebox.actions.served import require_fuse, serve_core
from corebox.actions.subject import InRegistry
from corebox.bundle.digests import identity_of
from corebox.bundle.layout import CORE_DIGESTS, SUMS
from corebox.image.opened import OpenedImage, open_image
from corebox.image.parts import BUNDLE, CORE, OURS, TOOLBOX
from corebox.image.toolbox import recall_toolbox
from corebox.locate.gaps import lacks_files
from corebox.ondemand.mount import Unservable
from corebox.ondemand.request import InRegistry as BlobInRegistry
from corebox.ondemand.request import Request
from corebox.registry.access import Access
from corebox.registry.client import Client
from corebox.registry.moving import Moving
from corebox.registry.pull import OfferedLayer, RegistrySource, look_up_image, take_layers
from corebox.registry.reference import parse_reference
from corebox.store.partial import trim_partials
from corebox.store.store import Store
from corebox.store.values import Layer, StoredImage, image_damaged

#: Bytes of a compressed core from which on it is worth a file system, unless somebody asks for that.
WORTH = 4 << 20
_FAR = "the core stays at {} and is fetched as gdb reads it; large parts of it are not searched for text (--core whole)"
#: Bytes of all blobs of which only parts are kept.
_MAX_KEPT = 4 << 30


def open_in_registry(
    store: Store, subject: InRegistry, circumstances: Circumstances, work: Path, lasting: ExitStack
) -> Opening | None:
    """Open the image; None if there is nothing to gain: the store has its core, that is small, or all is needed.

    Raises:
        Unservable: the core cannot be read where it lies.
        InputError, HostError: those of pulling.
    """
    reference, pulling = parse_reference(subject.name), subject.pulling
    access = Access(pulling.ca_file, pulling.plain_http)
    with Client(reference, access, "pull") as client, store.adding():
        offered = look_up_image(
            RegistrySource(client, reference, Moving(reference.host, lambda _: None)), reference.wanted
        )
        cores = [each for each in offered.layers if each.kind == CORE]
        if len(cores) != 1 or store.has(cores[0].diff_id) or circumstances.is_little(cores[0].blob.size, WORTH):
            return None
        require_fuse()
        others = [each for each in offered.layers if each.kind != CORE]
        ours = _toolbox_instead(store, others)
        others = [each for each in others if ours is None or each.kind != TOOLBOX]
        take_layers(store, reference, client, others, pulling.fetching)
        layers = [*([ours] if ours else []), *(_stored(store, each) for each in others)]
        image = StoredImage(offered.described.digest, "", (), tuple(layers), offered.config)
        opened = open_image(store, image)
    if circumstances.places.sources and lacks_files(opened.manifest):
        return None  # what is found is put into an image, with the core
    digests = _digests_in(opened)
    kept = store.partial_path(cores[0].blob.digest)
    trim_partials(kept.parent, _MAX_KEPT)
    core = Layer(cores[0].blob.digest, 0, CORE, cores[0].diff_id)
    store.put_partial(image._replace(tags=(str(reference),), layers=(*image.layers, core)))
    blob = BlobInRegistry(str(reference), cores[0].blob, kept, pulling.ca_file, pulling.plain_http)
    request = Request(work / "served", None, digests, blob=blob)
    serving = serve_core(store, request, circumstances.engine, lasting)
    opening = noted(opened._replace(compact=serving.core()), subject.text)
    return opening._replace(notices=(*opening.notices, _FAR.format(reference.host)), is_far=True)


def _toolbox_instead(store: Store, layers: Sequence[OfferedLayer]) -> Layer | None:
    """Our own toolbox, if the store lacks the image's and has one: it is most of what is small in an image."""
    if all(store.has(each.diff_id) for each in layers if each.kind == TOOLBOX):
        return None
    known = recall_toolbox(store)
    return known.layer if known else None


def _stored(store: Store, layer: OfferedLayer) -> Layer:
    return Layer(layer.diff_id, store.blob_path(layer.diff_id).stat().st_size, layer.kind, layer.diff_id)


def _digests_in(opened: OpenedImage) -> Path:
    """The file with the digests of the core's blocks, which the identity of the image's bundle covers.

    Raises:
        Unservable: the image was built of a bundle without.
        InputError: ``image-damaged``.
    """
    path = opened.ours / CORE_DIGESTS
    if not path.is_file():
        raise Unservable("the image has no digests of its core's blocks: an older corebox has built it")
    sums = (opened.ours / Path(BUNDLE).relative_to(OURS) / SUMS).read_bytes()
    line = f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {CORE_DIGESTS}\n".encode("ascii")
    if identity_of(sums) != opened.identity or line not in sums:
        raise image_damaged("its core's digests are not those of its bundle")
    return path
