"""Symbols from a real debuginfod server, and one cache with the real client."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from corebox.unbundle.read import read_manifest
from tests.support import debuginfod
from tests.support.debuginfod import Server, serving
from tests.support.lab import Lab
from tests.support.registry import free_port
from tests.support.site import Site


@pytest.fixture(scope="module")
def wanted(bundle: Path) -> tuple[str, str]:
    """The build IDs of the program and of the C library."""
    modules = read_manifest(bundle).modules
    libc = next(each for each in modules if re.search(r"/libc[.-][^/]*$", each.path))
    return str(modules[0].build_id.memory), str(libc.build_id.memory)


@pytest.fixture(scope="module")
def server(
    site: Site, debug_package: Path, wanted: tuple[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """It has the distribution's libc6-dbg as a package, and the program's unstripped twin."""
    work = tmp_path_factory.mktemp("debuginfod")
    folder = work / "served"
    folder.mkdir()
    shutil.copy(debug_package, folder)
    shutil.copy(site.root / "opt/acme/twin/pipeline", folder / "twin")
    with serving(folder, work, wanted) as started:
        yield started


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "client cache"


def settings(cache: Path, **more: str) -> dict[str, str]:
    return {"DEBUGINFOD_CACHE_PATH": str(cache), **more}


def backtrace_has_all(shown: str) -> None:
    assert re.search(r"qsort_r \(.*\) at (.*/)?(msort|qsort)\.c:\d+", shown), shown
    assert re.search(r"in main \(.*\) at .*:\d+", shown), shown
    assert "??" not in shown


def test_names_and_lines_come_once_over_the_network(lab: Lab, bundle: Path, server: Server, cache: Path) -> None:
    options, env = ["--symbols", server.url], settings(cache)
    backtrace_has_all(lab.gdb(bundle, "bubblewrap", "backtrace", options=options, env=env).output)
    asked = server.requests()
    backtrace_has_all(lab.gdb(bundle, "bubblewrap", "backtrace", options=options, env=env).output)
    assert server.requests() == asked  # what no server has was not asked for again either
    built = lab.done("build", bundle, "--no-load", "-t", "net:1", *options, env=env)
    assert "symbols" in built.output
    backtrace_has_all(lab.gdb("net:1", "bubblewrap", "backtrace").output)


def test_the_environment_names_servers_and_an_option_forbids_them(
    lab: Lab, bundle: Path, server: Server, cache: Path
) -> None:
    env = settings(cache, DEBUGINFOD_URLS=f"http://127.0.0.1:{free_port()} {server.url}")
    before = server.requests()
    shown = lab.gdb(bundle, "bubblewrap", "backtrace", options=["--no-debuginfod"], env=env)
    assert "??" in shown.output
    assert server.requests() == before
    shown = lab.gdb(bundle, "bubblewrap", "backtrace", env=env)
    backtrace_has_all(shown.output)
    assert "from DEBUGINFOD_URLS; --no-debuginfod skips it" in shown.errors


def test_a_named_server_must_answer(lab: Lab, bundle: Path, cache: Path) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    refused = lab.corebox(
        "shell", bundle, "--engine", "bubblewrap", "--symbols", nobody, "--", "-batch", env=settings(cache)
    )
    assert refused.status == 4
    assert "the debuginfod server 127.0.0.1 does not answer" in refused.errors


def test_the_client_and_we_share_one_cache(
    lab: Lab, bundle: Path, server: Server, cache: Path, wanted: tuple[str, str]
) -> None:
    program, libc = wanted
    nobody = f"http://127.0.0.1:{free_port()}"
    # The client has asked for all but the program's: in vain for some, for they are not in that package.
    others = {str(each.build_id.memory) for each in read_manifest(bundle).modules} - {program}
    statuses = {build_id: debuginfod.find(cache, server.url, "debuginfo", build_id).returncode for build_id in others}
    assert statuses[libc] == 0
    assert len(set(statuses.values())) == 2
    before = len(server.requests())
    options = ["--symbols", server.url]
    backtrace_has_all(lab.gdb(bundle, "bubblewrap", "backtrace", options=options, env=settings(cache)).output)
    assert server.requests()[before:] == [f"/buildid/{program}/debuginfo"]
    # We have fetched the other, which the client takes without a server.
    found = debuginfod.find(cache, nobody, "debuginfo", program)
    assert found.stdout.strip() == str(cache / program / "debuginfo")


def test_what_we_did_not_get_the_client_does_not_ask_for(lab: Lab, bundle: Path, server: Server, cache: Path) -> None:
    lab.gdb(bundle, "bubblewrap", options=["--symbols", server.url], env=settings(cache))
    missing = next(str(each.build_id.memory) for each in read_manifest(bundle).modules if "libstdc++" in each.path)
    before = server.requests()
    assert debuginfod.find(cache, server.url, "debuginfo", missing).returncode != 0
    assert server.requests() == before
