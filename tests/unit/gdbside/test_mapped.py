"""What was mapped, from the tables of a core."""

from corebox.coredump.values import FileMapping, Segment
from corebox.gdbside.memory.mapped import PF_R, PF_W, PF_X, MappedCore
from tests.unit.gdbside.standin import core, header


def load(start: int, size: int, flags: int) -> Segment:
    return Segment(1, flags, 0, start, size, size)


def test_a_mapping_that_was_cut_at_holes_is_one() -> None:
    made = MappedCore(header(), [load(0x2000, 0x1000, 6), load(0x1000, 0x1000, 6), load(0x3000, 0x1000, 4)])
    assert [(each.start, each.end, each.rights()) for each in made.mappings] == [
        (0x1000, 0x3000, "rw-"),
        (0x3000, 0x4000, "r--"),
    ]


def test_a_segment_without_memory_is_none() -> None:
    assert MappedCore(header(), [load(0x1000, 0, 6)]).mappings == []


def test_joined_neighbours_are_cut_where_a_file_begins_and_ends() -> None:
    file = FileMapping(0x2000, 0x3000, 0x800, "/lib/libc.so", False)
    made = MappedCore(header(), [load(0x1000, 0x3000, PF_R | PF_X)], [file])
    assert [(each.start, each.end, each.path, each.offset) for each in made.mappings] == [
        (0x1000, 0x2000, "", 0),
        (0x2000, 0x3000, "/lib/libc.so", 0x800),
        (0x3000, 0x4000, "", 0),
    ]


def test_a_deleted_file_says_so_and_a_name_in_another_encoding_is_text() -> None:
    name = b"/tmp/\xff".decode("utf-8", "surrogateescape")
    made = MappedCore(header(), [load(0x1000, 0x1000, 6)], [FileMapping(0x1000, 0x2000, 0, name, True)])
    assert made.mappings[0].path == "/tmp/� (deleted)"


def test_a_file_where_no_memory_is_names_nothing() -> None:
    made = MappedCore(header(), [load(0x1000, 0x1000, 6)], [FileMapping(0x9000, 0xA000, 0, "/a", False)])
    assert [each.path for each in made.mappings] == [""]


def test_mappings_are_found_by_address() -> None:
    made = core((0x1000, 0x2000, PF_R), (0x4000, 0x5000, PF_W))
    first, second = made.mappings
    assert (made.at(0x0FFF), made.at(0x1000), made.at(0x1FFF), made.at(0x2000)) == (None, first, first, None)
    assert (made.below(0xFFF), made.below(0x3000), made.below(0x4000)) == (None, first, second)
    assert (made.next_to(0x3000, 0x1000), made.next_to(0x3000, 0xFFF), made.next_to(0x4001, 1 << 20)) == (
        second,
        None,
        None,
    )


def test_numbers_are_read_in_the_core_s_byte_order() -> None:
    assert core(order=">").unpack("I", b"\0\0\0\1", 0) == (1,)
    assert core(bits=32).word == 4
    assert core(order=">").byte_order == "big"
