"""What an ELF image is, by its program headers: read alike in the memory of a process and in a file.

Section headers are not needed to run a program. They may be missing or nonsense, so nothing here looks at them.
"""

from typing import Callable, Iterable, Optional

from corebox.coredump.header import PT_LOAD, PT_NOTE
from corebox.coredump.notes import parse_build_id
from corebox.coredump.values import Segment

MAX_NOTES_LENGTH = 1 << 16
#: Gives the bytes of a segment, at most the first ``MAX_NOTES_LENGTH`` or as many as are there.
ReadSegment = Callable[[Segment], bytes]


def build_id_of(order: str, segments: Iterable[Segment], read: ReadSegment) -> Optional[str]:
    """The build ID in the image's notes, lower-case hex; None if it has none, or they are not there."""
    for segment in segments:
        if segment.kind == PT_NOTE:
            data = read(segment)
            for alignment in (4, 8):  # .note.gnu.property is aligned to 8 and may share the segment
                found = parse_build_id(order, data, alignment)
                if found:
                    return found
    return None


def lowest_page(segments: Iterable[Segment]) -> int:
    """Where the lowest page of the image is linked."""
    return min((s.address & ~0xFFF for s in segments if s.kind == PT_LOAD), default=0)


def load_bias(segments: Iterable[Segment], start: int) -> int:
    """How far an image whose lowest page is at ``start`` lies from its linked address."""
    return start - lowest_page(segments)
