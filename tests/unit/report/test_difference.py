"""What differs between two crashes."""

from corebox.bundle.manifest import BuildIds
from corebox.report.difference import difference, difference_lines
from corebox.report.document import Report, group_threads
from tests.support.documents import validate
from tests.unit.report.samples import report


def crashed_in(*functions: str) -> Report:
    made = report()
    stack = made.answer.threads[0]
    frames = tuple(stack.frames[0]._replace(function=name, pc=index) for index, name in enumerate(functions))
    return made._replace(groups=group_threads([stack._replace(frames=frames)], made.manifest.modules))


def test_a_crash_does_not_differ_from_itself() -> None:
    found = difference(report(), report())
    assert (found.same_family, found.same_signature, found.facts, found.modules, found.memory) == (
        True, True, (), (), (),
    )  # fmt: skip
    assert all(side.same for side in found.stack)
    validate(found.to_json(), "diff")


def test_modules_of_another_build_and_of_one_crash_alone_are_told() -> None:
    first, second = report(), report()
    module = first.manifest.modules[0]
    other = module._replace(build_id=BuildIds("cd" * 20, None))
    more = module._replace(path="/opt/more")
    manifest = second.manifest._replace(modules=(other, more))
    symbols = (second.symbols[0], second.symbols[0]._replace(path="/opt/more"))
    found = difference(first, second._replace(manifest=manifest, symbols=symbols))
    changed, added = found.modules
    assert (changed.name, added.name) == (module.path, "/opt/more")
    assert changed.second is not None
    assert "cd" * 20 in changed.second
    assert added.first is None
    validate(found.to_json(), "diff")


def test_stacks_stand_side_by_side() -> None:
    found = difference(crashed_in("a", "b", "c", "main"), crashed_in("a", "x", "c", "d", "main"))
    assert [tuple(side) for side in found.stack] == [
        ("a", "a"), ("b", "x"), ("c", "c"), (None, "d"), ("main", "main"),
    ]  # fmt: skip
    lines = list(difference_lines(found, 40))
    assert lines[-5:] == [
        "  a                   a",
        "  b                 | x",
        "  c                   c",
        "                    > d",
        "  main                main",
    ]
