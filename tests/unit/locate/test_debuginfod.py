"""What debuginfod servers may do to us: send something else, too much, too late, or nothing."""

import time
from pathlib import Path

import pytest

from corebox.coredump.elffile import read_elf
from corebox.errors import UsageError
from corebox.locate.debuginfod import Debuginfod, read_settings
from corebox.locate.wantedfiles import Key, WantedFiles
from tests.support.answering import Handler, send, serving
from tests.support.debugfiles import debug_file

BUILD_ID = "0a0b0c0d"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = debug_file(tmp_path_factory.mktemp("program") / "program", BUILD_ID)
    assert read_elf(str(path)).build_id == BUILD_ID
    return path.read_bytes()


def find(urls: list[str], cache: Path, *keys: Key, **settings: str) -> tuple[dict[Key, Path], list[str], Debuginfod]:
    environment = {"DEBUGINFOD_CACHE_PATH": str(cache), **{f"DEBUGINFOD_{k}": v for k, v in settings.items()}}
    told: list[str] = []
    servers = Debuginfod(read_settings(urls, environment), told.append)
    return servers.find(WantedFiles(frozenset(keys or (BUILD_ID,)))), told, servers


def files(cache: Path) -> list[Path]:
    return [path for path in cache.rglob("*") if path.is_file() and not path.name.endswith("_s")]


def test_what_has_the_build_id_is_kept(program: bytes, tmp_path: Path) -> None:
    with serving(lambda handler: send(handler, program)) as (url, asked):
        found, told, _ = find([url], tmp_path)
        assert found == {BUILD_ID: tmp_path / BUILD_ID / "debuginfo"}
        assert found[BUILD_ID].read_bytes() == program
        assert find([url + "/"], tmp_path)[0] == found
        assert asked == [f"/buildid/{BUILD_ID}/debuginfo"]
        assert told == []


def test_another_file_than_asked_for_is_not_kept(program: bytes, tmp_path: Path) -> None:
    with serving(lambda handler: send(handler, program)) as (url, _):
        found, told, _ = find([url], tmp_path, "0102030405")
    assert found == {}
    assert files(tmp_path) == []  # nor that it was missing: another time it may be right
    assert "another build ID" in told[0]


@pytest.mark.parametrize("limit", [{"MAXSIZE": "1000"}, {"MAXTIME": "1"}, {"TIMEOUT": "1"}])
def test_what_is_too_much_or_too_late_is_given_up(program: bytes, tmp_path: Path, limit: dict[str, str]) -> None:
    sent: list[bytes] = []

    def trickle(handler: Handler) -> None:
        handler.send_response(200)
        handler.end_headers()
        for _ in range(1000 if "MAXTIME" in limit else 1):
            sent.append(program)
            handler.wfile.write(program)
            handler.wfile.flush()
            time.sleep(0.1)
        time.sleep(0 if "MAXTIME" in limit else 1.5)

    with serving(trickle) as (url, _):
        found, told, _ = find([url], tmp_path, **limit)
    assert found == {}
    assert len(told) == 1
    assert files(tmp_path) == []
    assert len(sent) < 1000


@pytest.mark.parametrize(
    ("status", "header"),
    [(503, {"Retry_After": "31536000"}), (302, {"Location": "http://["}), (302, {"Location": "file:///etc/passwd"})],
)
def test_who_asks_for_a_year_or_leads_nowhere_is_given_up(tmp_path: Path, status: int, header: dict[str, str]) -> None:
    with serving(lambda handler: send(handler, b"", status, None, **header)) as (url, _):
        found, told, _ = find([url], tmp_path)
    assert found == {}
    assert len(told) == 1


def test_a_cut_connection_leaves_nothing(program: bytes, tmp_path: Path) -> None:
    with serving(lambda handler: send(handler, program[:2000], length=len(program))) as (url, _):
        found, told, _ = find([url], tmp_path)
    assert found == {}
    assert files(tmp_path) == []
    assert told


def test_the_next_server_is_asked_and_a_silent_one_only_once(program: bytes, tmp_path: Path) -> None:
    lacks, has = serving(lambda handler: send(handler, b"", 404)), serving(lambda handler: send(handler, program))
    with lacks as (first, asked), has as (second, _):
        nobody = "http://127.0.0.1:9"
        found, _, servers = find([nobody, first, second], tmp_path)
    assert list(found) == [BUILD_ID]
    assert len(asked) == 1
    assert servers.silent == {nobody}


def test_a_miss_is_remembered_for_as_long_as_the_control_file_says(tmp_path: Path) -> None:
    with serving(lambda handler: send(handler, b"", 404)) as (url, asked):
        find([url], tmp_path)
        find([url], tmp_path)
        assert len(asked) == 1
        (tmp_path / "cache_miss_s").write_text("-1")
        find([url], tmp_path)
        assert len(asked) == 2


def test_old_files_go_from_time_to_time(program: bytes, tmp_path: Path) -> None:
    with serving(lambda handler: send(handler, program)) as (url, _):
        (path,) = find([url], tmp_path)[0].values()
        assert {each.name for each in tmp_path.iterdir()} >= {"cache_clean_interval_s", "max_unused_age_s"}
        (tmp_path / "max_unused_age_s").write_text("0")
        (tmp_path / "cache_clean_interval_s").write_text("0")
        find([url], tmp_path, "0102030405")
    assert not path.exists()


@pytest.mark.parametrize("url", ["ftp://host", "http://", "file:///etc"])
def test_what_is_no_server(url: str) -> None:
    with pytest.raises(UsageError, match="is not the URL of a server"):
        read_settings([url], {})


def test_a_source_is_asked_for_and_kept_by_its_path(tmp_path: Path) -> None:
    with serving(lambda handler: send(handler, b"int x;\n")) as (url, asked):
        servers = Debuginfod(read_settings([url], {"DEBUGINFOD_CACHE_PATH": str(tmp_path)}))
        found = servers.find_sources([(BUILD_ID, "/src/a b#c.c"), (BUILD_ID, "/src/" + "x" * 300)])
    assert found == {(BUILD_ID, "/src/a b#c.c"): tmp_path / BUILD_ID / "source##src##a b#_c.c"}
    assert asked == [f"/buildid/{BUILD_ID}/source/src/a%20b%23c.c"]
