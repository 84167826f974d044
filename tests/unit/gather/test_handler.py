"""The kernel's handler: a bundle for each crash, the raw core where that fails, never too many, each in the log."""

import io
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from corebox.gather.cli import main
from corebox.gather.handler import Crash, handle_crash, parse_crash
from corebox.gather.handlerscript import NO_BUNDLE
from corebox.gather.options import make_parser
from corebox.gather.retention import Kept, Limits, close_hours, enforce, kept_files, make_room, surplus
from corebox.unbundle.read import read_manifest
from tests.unit.gather.handlers import GONE, feed, log_of, stub


def test_each_crash_becomes_a_bundle_and_old_ones_go(handler: Path, core_path: Path) -> None:
    for when in ("1700000001", "1700000002", "1700000003"):
        assert feed(handler, core_path, GONE, when, "0", "!opt!app") == 0
    bundles = sorted(path.name for path in handler.glob("*.corebox"))
    assert bundles == [f"app-{GONE}-1700000002.corebox", f"app-{GONE}-1700000003.corebox"]
    assert not list(handler.glob("*.core"))
    manifest = read_manifest(handler / bundles[0])
    assert manifest.core.size == core_path.stat().st_size
    assert manifest.process.time == "2023-11-14T22:13:22Z"
    lines = log_of(handler)
    assert f"removed app-{GONE}-1700000001.corebox: over the limit" in lines
    made = [line for line in lines if line.startswith(f"app (process {GONE}, user 0): app-{GONE}-17")]
    assert len(made) == 3


def test_a_loop_of_crashes_leaves_some_bundles_and_a_number(handler: Path, core_path: Path) -> None:
    hour = 1700000000 // 3600 * 3600
    gatherer = (handler / "corebox-gather.pyz").read_bytes()
    stub(handler, 0)
    for number in range(8):
        assert feed(handler, core_path, str(999999990 + number), str(hour + number), "1000", "!opt!loop") == 0
    counted = [line for line in log_of(handler) if "only counted" in line]
    assert counted[-1] == (
        "loop (process 999999997, user 1000): only counted, number 5 of this program in this hour: "
        "the limit for a program and hour is 3"
    )
    # Another user's, another program's and another hour's crashes are counted apart.
    for user, program, when in (("1001", "!opt!loop", hour + 9), ("1000", "!opt!other", hour + 9)):
        assert feed(handler, core_path, GONE, str(when), user, program) == 0
    assert len([line for line in log_of(handler) if "only counted" in line]) == 5
    (handler / "corebox-gather.pyz").write_bytes(gatherer)
    assert feed(handler, core_path, GONE, str(hour + 3600), "1000", "!opt!loop") == 0
    assert "loop (user 1000): 5 crashes in the hour from 2023-11-14T22:00Z were only counted" in log_of(handler)
    assert len(list((handler / "hours").iterdir())) == 1


def test_raw_core_is_kept_when_it_cannot_be_understood(handler: Path, tmp_path: Path) -> None:
    odd = tmp_path / "odd"
    odd.write_bytes(b"no core" * 1000)
    assert feed(handler, odd, GONE, "1700000001", "0", "!..!e", "vil") == NO_BUNDLE
    (raw,) = handler.glob("*.core")
    assert raw.name == f"e_vil-{GONE}-1700000001.core"
    assert raw.read_bytes() == odd.read_bytes()
    assert raw.stat().st_mode & 0o777 == 0o600
    assert f"kept the raw core {raw.name}: " in log_of(handler)[-1]


def test_raw_cores_are_counted_like_bundles(handler: Path, core_path: Path, tmp_path: Path) -> None:
    odd = tmp_path / "odd"
    odd.write_bytes(b"no core" * 1000)
    for number in range(3):
        feed(handler, odd, GONE, str(1700000000 + number), "0", f"!odd{number}")
    assert feed(handler, core_path, GONE, "1700000004", "0", "!app") == 0
    kept = sorted(Path(each.path).name for each in kept_files(str(handler)))
    assert kept == [f"app-{GONE}-1700000004.corebox", f"odd2-{GONE}-1700000002.core"]


@pytest.mark.parametrize(
    ("program", "name"),
    [
        (b"!opt!-x", "_-x"),
        (b"!opt!100%", "100_"),
        (b"!opt!a\nb: forged", "a_b__forged"),
        (b"!opt!a b  c", "a_b__c"),
        (b"!opt!\xff\xc3\xa9", "___"),
        (b"!opt!..", "_.."),
        (b"!opt!app (deleted)", "app"),
        (b"!opt!'$(touch x)`y`\\", "___touch_x__y__"),
        (b"", "_"),
    ],
    ids=repr,
)
def test_any_name_of_a_program_is_handled(handler: Path, core_path: Path, program: bytes, name: str) -> None:
    """The script and the program make the same name of it, and no line of the log of another's making."""
    assert Crash(1, 1, 0, os.fsdecode(program)).name == name
    stub(handler, 5)
    assert feed(handler, core_path, GONE, "1700000001", "0", program) == 5
    (raw,) = handler.glob("*.core")
    assert raw.name == f"{name}-{GONE}-1700000001.core"
    assert raw.read_bytes() == core_path.read_bytes()
    assert log_of(handler) == [
        f"{name} (process {GONE}, user 0): the gatherer ended with status 5; kept the raw core {raw.name}"
    ]


def test_a_program_named_like_an_option_becomes_a_bundle(handler: Path, core_path: Path) -> None:
    assert feed(handler, core_path, GONE, "1700000001", "0", "--max-bundles\n9,%s 'x") == 0
    (bundle,) = handler.glob("*.corebox")
    name = "_--max-bundles_9__s__x"
    assert bundle.name == f"{name}-{GONE}-1700000001.corebox"
    assert log_of(handler)[0].startswith(f"{name} (process {GONE}, user 0): {bundle.name}: ")


def test_a_pattern_of_an_earlier_version_still_works(handler: Path, core_path: Path) -> None:
    assert feed(handler, core_path, GONE, "1700000001", "my", "app") == 0
    assert [path.name for path in handler.glob("*.corebox")] == [f"my_app-{GONE}-1700000001.corebox"]


def test_what_a_killed_gatherer_has_read_is_not_followed_by_a_core_without_head(handler: Path, core_path: Path) -> None:
    program = (
        f"open({str(handler / f'app-{GONE}-1700000001.core')!r}, 'w')\nimport sys\nsys.stdin.read(1)\nsys.exit(9)\n"
    )
    (handler / "corebox-gather.pyz").write_text(program.replace("sys.stdin.read", "sys.stdin.buffer.read"))
    assert feed(handler, core_path, GONE, "1700000001", "0", "!app") == 9
    assert [path.name for path in handler.glob("*.core")] == [f"app-{GONE}-1700000001.core"]
    assert log_of(handler)[-1].endswith(f"app-{GONE}-1700000001.core is what it has read")


@pytest.mark.parametrize("name", ["with space", "x" * 120, "per%cent"])
def test_directory_that_the_kernel_would_not_take_is_refused(tmp_path: Path, name: str) -> None:
    assert main(["--install-handler", str(tmp_path / name)]) == 2
    assert not (tmp_path / name).exists()


def open_to_all(folder: Path) -> None:
    folder.chmod(0o777)


def of_a_group(folder: Path) -> None:
    folder.chmod(0o775)


@pytest.mark.parametrize("below", ["", "corebox", "a/b/corebox"])
@pytest.mark.parametrize("change", [open_to_all, of_a_group])
def test_a_directory_that_others_could_replace_is_refused_wherever_it_is_above(
    tmp_path: Path, below: str, change: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "open"
    place.mkdir()
    change(place)
    assert main(["--install-handler", str(place / below)]) == 2
    assert f"others may write into {place}" in capsys.readouterr().err
    assert list(place.iterdir()) == []


def test_a_directory_reached_by_a_link_is_looked_at_where_it_is(tmp_path: Path) -> None:
    place, link = tmp_path / "open", tmp_path / "link"
    place.mkdir()
    place.chmod(0o777)
    link.symlink_to(place)
    assert main(["--install-handler", str(link / "corebox")]) == 2


def test_sticky_directories_are_fine_above_but_not_themselves(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    assert main(["--install-handler", str(tmp_path)]) == 2
    assert main(["--install-handler", str(tmp_path / "mine")]) == 0


def test_a_directory_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.lstat

    def foreign(path: str) -> os.stat_result:
        status = real(path)
        return os.stat_result((*status[:4], 1000, *status[5:10])) if path == str(tmp_path) else status

    monkeypatch.setattr(os, "lstat", foreign)
    assert main(["--install-handler", str(tmp_path / "corebox")]) == 2
    assert list(tmp_path.iterdir()) == []


STRANGERS = [
    "core.4711",
    "my.core",
    "important.corebox",
    "app-4711.corebox",
    "app-4711-1700000000.core.txt",
    "-x-1-2.core",
    ".hidden-1-2.core",
]
OURS = ["app-4711-1700000000.corebox", "my-app-1-2.corebox.age", "a.b-1-1.corebox.enc", "_-1-1.core"]


def test_only_what_the_handler_has_named_is_counted_and_removed(tmp_path: Path) -> None:
    for age, name in enumerate(OURS + STRANGERS):
        (tmp_path / name).write_text("x")
        os.utime(tmp_path / name, (100 - age, 100 - age))
    (tmp_path / "folder-1-2.core").mkdir()
    (tmp_path / "link-1-2.core").symlink_to("my.core")
    assert sorted(Path(each.path).name for each in kept_files(str(tmp_path))) == sorted(OURS)
    newest = str(tmp_path / OURS[0])
    enforce(str(tmp_path), Limits(1, 1), newest)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {*STRANGERS, OURS[0], "folder-1-2.core", "link-1-2.core", "handler.log"}


def test_a_directory_with_cores_that_are_named_as_the_handler_does_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the pattern %e-%p-%t.core does, which was there before."""
    place = tmp_path / "crashes"
    place.mkdir(mode=0o700)
    stranger = place / "app-4711-1700000000.core"
    (place / "core.1").write_text("mine, and no name of the handler's")
    stranger.write_text("mine")
    assert main(["--install-handler", str(place)]) == 2
    assert f"the handler would take {stranger} for one of its own files" in capsys.readouterr().err
    assert sorted(path.name for path in place.iterdir()) == [stranger.name, "core.1"]
    stranger.unlink()
    assert main(["--install-handler", str(place)]) == 0
    stranger.write_text("the handler's own")
    assert main(["--install-handler", str(place)]) == 0


def kept(*each: tuple[float, int, str]) -> list[Kept]:
    return [Kept(*one) for one in each]


def test_the_newest_stays_whatever_the_limits() -> None:
    files = kept((3.0, 100, "new-1-3"), (2.0, 100, "middle-1-2"), (1.0, 100, "old-1-1"))
    assert surplus(files, Limits(2, 1000)) == ["old-1-1"]
    assert surplus(files, Limits(10, 250)) == ["old-1-1"]
    assert surplus(files, Limits(10, 1)) == ["old-1-1", "middle-1-2"]
    assert surplus([], Limits(10, 1)) == []


def test_a_program_that_crashes_often_does_not_drive_out_the_others() -> None:
    loop = [(10.0 - number, 100, f"loop-{number}-{number}.corebox") for number in range(5)]
    files = kept(*loop, (1.0, 100, "my-app-1-1.core"), (0.5, 100, "my-app-2-2.corebox"))
    assert surplus(files, Limits(4, 1000)) == [each[2] for each in (loop[4], loop[3], loop[2])]
    assert surplus(files, Limits(2, 1000))[3:] == ["my-app-2-2.corebox", "loop-1-1.corebox"]


def full_disk(monkeypatch: pytest.MonkeyPatch, place: Path, size: int) -> None:
    """A disk of so many bytes, on which is what the files in ``place`` take."""

    def statvfs(path: str) -> os.statvfs_result:
        used = sum(each.stat().st_blocks * 512 for each in place.iterdir() if each.is_file())
        return os.statvfs_result((1, 1, size, 0, max(0, size - used), 0, 0, 0, 0, 255))

    monkeypatch.setattr(os, "statvfs", statvfs)


def test_the_oldest_go_until_enough_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        path = tmp_path / f"app-{number}-{number}.corebox"
        path.write_bytes(b"x" * (1 << 20))
        os.utime(path, (number, number))
    full_disk(monkeypatch, tmp_path, (5 << 20) + (64 << 10))  # the log takes something as well
    assert make_room(str(tmp_path), Limits(9, 1 << 30, 2 << 20), "", 1 << 20)
    assert sorted(path.name for path in tmp_path.glob("*.corebox")) == ["app-2-2.corebox", "app-3-3.corebox"]
    newest = str(tmp_path / "app-3-3.corebox")
    assert not make_room(str(tmp_path), Limits(9, 1 << 30, 5 << 20), newest, 1 << 20)
    assert [str(path) for path in tmp_path.glob("*.corebox")] == [newest]


CRASH = Crash(int(GONE), 1700000001, 0, "!opt!app")


@pytest.mark.parametrize("free", [0, 40 << 20], ids=["nothing free", "room for a part"])
def test_a_core_ends_where_the_room_ends(tmp_path: Path, free: int, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "dumps"
    place.mkdir()
    full_disk(monkeypatch, place, (1 << 30) + free)
    core = io.BytesIO(b"\x01" * (100 << 20))
    assert handle_crash(str(place), core, CRASH, make_parser().parse_args(["--no-nice"])) == NO_BUNDLE
    (line,) = log_of(place)
    assert "less than 1.1 GB would remain free on the disk" in line
    raws = list(place.glob("*.core"))
    assert len(raws) == (free > 0)
    assert all(raw.stat().st_size <= free for raw in raws)
    assert ("nothing kept" in line) == (free == 0)


def test_handler_can_be_called_directly(tmp_path: Path, core_path: Path) -> None:
    with core_path.open("rb") as source:
        assert handle_crash(str(tmp_path), source, CRASH, make_parser().parse_args(["--no-nice"])) == 0
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".corebox"] == [CRASH.base + ".corebox"]


def test_a_bug_of_ours_keeps_the_core_and_is_in_the_log(
    tmp_path: Path, core_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RecursionError("too deep")

    monkeypatch.setattr("corebox.gather.handler.collect_wanted", fail)
    with core_path.open("rb") as source:
        assert handle_crash(str(tmp_path), source, CRASH, make_parser().parse_args(["--no-nice"])) == NO_BUNDLE
    assert (tmp_path / (CRASH.base + ".core")).read_bytes() == core_path.read_bytes()
    assert "a bug in corebox: RecursionError: too deep" in log_of(tmp_path)[0]


def test_options_for_what_is_taken_hold_for_each_crash(tmp_path: Path, core_path: Path) -> None:
    place = tmp_path / "dumps"
    words = ["--slim", "--redact", "hunter2-hunter2", "--redact", "it's", "--no-nice"]
    assert main(["--install-handler", str(place), *words]) == 0
    assert feed(place, core_path, GONE, "1700000001", "0", "!app") == 0
    (bundle,) = place.glob("*.corebox")
    core = read_manifest(bundle).core
    assert core.original_stored
    assert core.redacted


def test_a_handler_can_be_installed_again_with_the_key_that_it_has(tmp_path: Path) -> None:
    key, place = tmp_path / "keys.txt", tmp_path / "dumps"
    key.write_text("age1abc\n")
    for given in (key, place / "recipient"):
        assert main(["--install-handler", str(place), "--encrypt-to", str(given)]) == 0
        assert f"'--encrypt-to={place}/recipient'" in (place / "corebox-handler").read_text()
    assert (place / "recipient").read_text() == "age1abc\n"


@pytest.mark.parametrize("text", ["", "1,2,3", "x,1,2,app", "-1,1,2,app", "1,1,1e3,app"])
def test_what_the_kernel_never_says_is_refused(text: str) -> None:
    assert main(["--handle=/none", f"--crash={text}"]) == 2
    assert parse_crash("1,2,3,a,b\n") == Crash(1, 2, 3, "a,b\n")


def test_hours_that_are_not_over_stay(tmp_path: Path) -> None:
    (tmp_path / "hours").mkdir()
    (tmp_path / "hours" / "472222.0.1-1.count").write_text("app (user 0)\n" * 3)
    close_hours(str(tmp_path), 472222 * 3600 + 3599)
    assert len(list((tmp_path / "hours").iterdir())) == 1
    close_hours(str(tmp_path), 472223 * 3600)
    assert list((tmp_path / "hours").iterdir()) == []
    assert log_of(tmp_path) == ["app (user 0): 3 crashes in the hour from 2023-11-14T22:00Z were only counted"]


def test_files_of_somebody_else_among_the_hours_stay(tmp_path: Path) -> None:
    hours = tmp_path / "hours"
    hours.mkdir()
    ours = ["1.0.1-1.1", "1.0.1-1.count.done"]
    strangers = ["2024", "1.txt", "08.00-plan.count", "1.0.1-1.1.bak"]
    for name in ours + strangers:
        (hours / name).write_text("x\n")
    close_hours(str(tmp_path), 1700000000)
    assert {path.name for path in hours.iterdir()} == set(strangers)
