"""Sources: what the user names, and names out of a customer's debug information, which may be anything."""

from pathlib import Path

import pytest

from corebox.debugger.session import source_arguments
from corebox.debugger.sources import SourceFolder, parse_source
from corebox.errors import CoreboxError
from corebox.locate.debuginfod import Debuginfod, read_settings
from corebox.locate.sources import fetch_sources

BUILD_ID = "0a0b0c0d"


def test_a_folder_with_and_without_prefix(tmp_path: Path) -> None:
    odd = tmp_path / "a=b"
    odd.mkdir()
    assert parse_source(str(odd)) == SourceFolder(odd, None)
    assert parse_source(f"{odd}=/build/app") == SourceFolder(odd, "/build/app")
    assert parse_source(f"{tmp_path}=/build/app") == SourceFolder(tmp_path, "/build/app")
    assert parse_source(f"{tmp_path}=/build=x") == SourceFolder(tmp_path, "/build=x")


@pytest.mark.parametrize("text", ["/none", "/none=/build", "/=", "/=/bui\nld"])
def test_what_is_no_folder_of_sources(text: str) -> None:
    with pytest.raises(CoreboxError):
        parse_source(text)


def test_a_prefix_is_one_word_of_gdbs_language() -> None:
    (_, command, _, folder) = source_arguments([("/.corebox/source/0", "a b\"c\\d'e;f$")])
    assert command == "set substitute-path a\\ b\\\"c\\\\d\\'e\\;f\\$ /.corebox/source/0"
    assert folder == "/.corebox/source/0"


NAMES = {
    "/src/main.c": "src/main.c",
    "/src/./lib//part.c": "src/lib/part.c",
    "/src/lib/../top.c": "src/top.c",
    "/../../../outside.c": "outside.c",
    "/src/../../../other.c": "other.c",
    "relative.c": None,
    "/src/..": None,
    "/src/": None,
    "/src/main.c/below": None,
    "/src/new\nline.c": None,
    "/src/" + "x" * 2000: None,
    "/": None,
    "": None,
}


def test_no_name_leads_out_of_the_folder(tmp_path: Path) -> None:
    cache, folder = tmp_path / "cache", tmp_path / "a" / "b" / "sources"
    folder.mkdir(parents=True)
    servers = Debuginfod(read_settings(["http://127.0.0.1:9"], {"DEBUGINFOD_CACHE_PATH": str(cache)}))
    (cache / BUILD_ID).mkdir(parents=True)
    for name in NAMES:
        escaped = cache / BUILD_ID / f"source{name.replace('/', '##')}"
        if len(escaped.name) < 200:
            escaped.write_text(name)
    wanted = [(BUILD_ID, name) for name in NAMES] + [("0102030405", "/src/secret.c")]
    assert fetch_sources(servers, wanted, {BUILD_ID}, folder) == 5
    everything = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    laid = {path for path in everything if not path.startswith("cache/")}
    assert laid == {f"a/b/sources/{place}" for place in NAMES.values() if place}
    assert servers.asked <= {"http://127.0.0.1:9"}
